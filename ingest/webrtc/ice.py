"""Servers and addresses for ICE: what settings say, as clients and aiortc want it. Pure but for listing interfaces."""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ifaddr

from runtime.errors import SettingsError
from runtime.settings import Settings

SCHEMES: Final = ("stun:", "stuns:", "turn:", "turns:")


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server, with what opens it."""

    url: str
    username: str = ""
    credential: str = ""

    def as_json(self) -> dict[str, Any]:
        """As in RTCConfiguration.iceServers."""
        if not self.username:
            return {"urls": [self.url]}
        return {"urls": [self.url], "username": self.username, "credential": self.credential}

    def as_link(self) -> str:
        """As in an HTTP Link header (RFC 9725, section 4.6)."""
        link = f'<{self.url}>; rel="ice-server"'
        if not self.username:
            return link
        return f'{link}; username="{self.username}"; credential="{self.credential}"; credential-type="password"'


def urls(settings: Settings) -> list[str]:
    """The servers' URLs; raises SettingsError if one is none of STUN or TURN."""
    found = [url.strip() for url in settings.ice_servers.split(",") if url.strip()]
    for url in found:
        if not url.startswith(SCHEMES) or any(c in url for c in '<>"; '):
            raise SettingsError(
                f"AFFECTSTREAM_ICE_SERVERS: {url!r} is not a STUN or TURN URL, as in stun:stun.example.org:3478"
            )
    return found


def servers(settings: Settings, session_id: str, now_s: int) -> list[IceServer]:
    """The servers for one session's client, with credentials for TURN.

    With a shared secret they are good for ``turn_ttl_s``: the user name is the instant of expiry and the session, the
    password base64(HMAC-SHA1(secret, user name)), as coturn's use-auth-secret has it (draft-uberti-behave-turn-rest).
    """
    username, credential = settings.turn_username, settings.turn_credential
    if settings.turn_secret:
        username = f"{now_s + settings.turn_ttl_s}:{session_id}"
        digest = hmac.new(settings.turn_secret.encode(), username.encode(), hashlib.sha1).digest()
        credential = base64.b64encode(digest).decode()
    return [
        IceServer(url, username, credential) if url.startswith("turn") else IceServer(url) for url in urls(settings)
    ]


def interface_addresses() -> list[str]:
    """IPv4 and IPv6 addresses of this machine but for loopback and link-local ones."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            address = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            parsed = ipaddress.ip_address(address)
            if not parsed.is_loopback and not parsed.is_link_local:
                found.append(address)
    return found


def local_addresses(settings: Settings, interfaces: Sequence[str]) -> list[str]:
    """The addresses on which peers may reach this edge.

    What ``ice_addresses`` says. If it says nothing: an edge that listens on all addresses offers all interfaces, one
    that listens on loopback offers loopback, and the interfaces too, since browsers send from those; any other edge
    offers the address that it listens on. Raises SettingsError.
    """
    if settings.ice_addresses:
        wanted = [address.strip() for address in settings.ice_addresses.split(",")]
        for address in wanted:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise SettingsError(f"AFFECTSTREAM_ICE_ADDRESSES: {address!r} is not an IP address") from error
        return wanted
    try:
        listening = ipaddress.ip_address("127.0.0.1" if settings.host == "localhost" else settings.host)
    except ValueError:  # a name: whatever it stands for is one of these
        return list(interfaces)
    if listening.is_loopback:
        return [str(listening), *interfaces]
    return list(interfaces) if listening.is_unspecified else [str(listening)]
