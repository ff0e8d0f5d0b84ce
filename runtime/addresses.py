"""Where a connection comes from, through the proxies that are trusted to say so. Pure."""

import contextlib
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, comma-separated; ValueError if one is none."""
    return tuple(ip_network(entry.strip(), strict=False) for entry in text.split(",") if entry.strip())


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """The address of the client: the peer, or who stands before the last trusted proxy in ``X-Forwarded-For``.

    The header is read from its end: what stands before an address that is not trusted, anybody may have written.
    """
    address = peer
    for hop in reversed([] if forwarded_for is None else forwarded_for.split(",")):
        if not _within(address, trusted):
            break
        address = hop.strip()
    return address


def _within(address: str, networks: Sequence[Network]) -> bool:
    with contextlib.suppress(ValueError):
        parsed = ip_address(address)
        return any(parsed in network for network in networks)
    return False
