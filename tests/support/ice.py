"""A client that changes networks: aiortc's cannot, so its connection takes over what a second one has negotiated."""

from collections.abc import Awaitable, Callable
from typing import Any

from aioice import Connection
from aiortc.rtcicetransport import candidate_to_aioice
from aiortc.sdp import candidate_from_sdp

from ingest.webrtc.offer import parse_fragment
from ingest.webrtc.restart import take_over

Negotiate = Callable[[str], Awaitable[str | None]]
"""Takes the fragment that asks for a restart; returns the fragment that answers, or None."""


def leave_network(ice: Any) -> None:
    """Nothing is sent or received on the sockets of now any more."""
    for protocol in ice._protocols:
        protocol.datagram_received = _drop
        protocol.send_stun = _drop
        protocol.send_data = _drop_later


async def restart_ice(ice: Any, negotiate: Negotiate) -> bool:
    """Restart ICE from new sockets on loopback; whether it was granted."""
    fresh: Any = Connection(ice_controlling=True)
    fresh._local_candidates = await fresh.get_component_candidates(1, ["127.0.0.1"])
    fresh._local_candidates_start = fresh._local_candidates_end = True
    fresh.data_received = ice.data_received
    candidates = [f"a=candidate:{candidate.to_sdp()}" for candidate in fresh.local_candidates]
    answer = await negotiate(fragment(fresh.local_username, fresh.local_password, *candidates))
    if answer is None:
        await fresh.close()
        return False
    said = parse_fragment(answer)
    fresh.remote_username, fresh.remote_password = said.user_fragment, said.password
    for _, text in said.candidates:
        await fresh.add_remote_candidate(candidate_to_aioice(candidate_from_sdp(text.removeprefix("candidate:"))))
    await fresh.connect()
    for protocol in fresh._protocols:
        protocol.receiver = ice
    ice._protocols += fresh._protocols
    take_over(ice, fresh)
    return True


def fragment(user_fragment: str, password: str, *candidates: str) -> str:
    """A trickle ICE SDP fragment (RFC 8840, section 9)."""
    lines = (f"a=ice-ufrag:{user_fragment}", f"a=ice-pwd:{password}", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0")
    return "\r\n".join([*lines, *candidates, ""])


def _drop(*_: Any) -> None:
    """Nothing comes through."""


async def _drop_later(*_: Any) -> None:
    """Nothing comes through."""
