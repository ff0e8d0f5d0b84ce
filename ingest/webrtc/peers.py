"""Every WebRTC peer of one edge: how many there may be, who offers too often, what became of those that failed.

aiortc is loaded with the first offer, in a thread: an edge that takes media over WebSockets only never pays for it.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ingest.clockmap import LiveTimeline
from ingest.edge import Edge
from ingest.feed import AvatarFeed
from ingest.sessions import Session
from ingest.webrtc import ice
from ingest.webrtc.offer import Fragment, Offer, OfferError
from ingest.webrtc.receiving.pool import MediaPool
from runtime.rates import KeyedBuckets
from schemas.close_codes import CloseCode

if TYPE_CHECKING:
    from types import ModuleType

    from ingest.webrtc.peer import Peer

log = logging.getLogger(__name__)

REMEMBERED_FAILURES: Final = 1_000
REMEMBERED_PEERS: Final = 10_000
CLOSE_S: Final = 3.0


class NoSuchPeer(LookupError):  # noqa: N818 - a condition
    """No peer of that name serves the session; the message says what became of it, if that is known."""


class Peers:
    """Opens, finds and closes peers."""

    def __init__(self, edge: Edge, feed: Callable[[], AvatarFeed] | None = None) -> None:
        """``feed`` makes the source of avatar messages, once a viewer asks; None: this edge relays none.

        Raises SettingsError if the settings for ICE cannot be used.
        """
        self._edge = edge
        self._make_feed = feed
        self._feed: AvatarFeed | None = None
        self._pool: MediaPool | None = None
        self._addresses = ice.local_addresses(edge.settings, ice.interface_addresses())
        self._stun = [url for url in ice.urls(edge.settings) if url.startswith("stun:")]
        self._peers: dict[str, Peer] = {}
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._failures: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._gone: OrderedDict[str, str] = OrderedDict()
        limit = edge.settings.offers_per_minute
        self._offers = KeyedBuckets(limit / 60, limit)
        self._opening = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._peers) + self._opening

    def may_offer(self, address: str) -> bool:
        """Whether this address may make one more offer now; it counts as made."""
        return self._offers.take(address, self._edge.clock.now_us())

    def stopping(self) -> bool:
        """Whether the edge closes its peers, and takes no new ones."""
        return self._closed

    async def open(self, session: Session, offer: Offer) -> tuple[str, str]:
        """Serve a peer from now on, in place of the session's older connection; its name and the SDP answer.

        Raises OfferError.
        """
        edge, timeline = self._edge, session.timeline
        if not isinstance(timeline, LiveTimeline):
            raise OfferError(409, "recorded", "a recorded session is sent over the media WebSocket")
        if len(self) >= edge.settings.max_peers or self.stopping():
            raise OfferError(503, "too_many_peers", f"this edge serves {edge.settings.max_peers} WebRTC peers at once")
        self._opening += 1
        try:
            module = await asyncio.to_thread(_peer_module)
            peer: Peer = module.Peer(
                edge,
                session,
                timeline,
                secrets.token_hex(8),
                pool=self._the_pool(),
                stun=self._stun,
                addresses=self._addresses,
                feed=self._the_feed,
            )
            try:
                answer = await peer.answer(offer)
            except BaseException:
                await peer.close()
                raise
            if self.stopping():
                await peer.close()
                raise OfferError(503, "unavailable", "this edge stops: try again")
            self._peers[peer.connection_id] = peer
            self._serving[peer.connection_id] = asyncio.create_task(self._serve(peer))
        finally:
            self._opening -= 1
        self._count()
        return peer.connection_id, answer

    async def trickle(self, session_id: str, connection_id: str, fragment: Fragment) -> None:
        """Give a peer candidates; raises NoSuchPeer, OfferError."""
        await self._find(session_id, connection_id).trickle(fragment)

    async def restart(self, session_id: str, connection_id: str, fragment: Fragment) -> tuple[str, str]:
        """Restart a peer's ICE; the fragment that answers, and its entity tag. Raises NoSuchPeer, OfferError."""
        return await self._find(session_id, connection_id).restart(fragment)

    def etag(self, session_id: str, connection_id: str) -> str:
        """The entity tag of a peer's ICE session; raises NoSuchPeer."""
        return self._find(session_id, connection_id).etag

    def check(self, session_id: str, connection_id: str) -> None:
        """Raise NoSuchPeer unless this peer serves the session."""
        self._find(session_id, connection_id)

    def left(self, session_id: str, connection_id: str) -> bool:
        """Whether this peer served the session lately, has gone, and nothing serves the session in its place."""
        return self._gone.get(connection_id) == session_id and session_id not in self._edge.connections

    async def close(self) -> None:
        """Close every peer, telling those that listen that the edge restarts. Sessions go on."""
        self._closed = True
        for peer in self._peers.values():
            peer.connection.close_soon(CloseCode.RESTARTING, "this edge restarts: come back with the same token")
        if self._serving:
            _, late = await asyncio.wait(self._serving.values(), timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._feed is not None:
            await self._feed.close()
        if self._pool is not None:
            await asyncio.to_thread(self._pool.close)

    def _find(self, session_id: str, connection_id: str) -> "Peer":
        peer = self._peers.get(connection_id)
        if peer is not None and peer.session.session_id == session_id:
            return peer
        owner, failure = self._failures.get(connection_id, ("", ""))
        raise NoSuchPeer(failure if owner == session_id else "")

    async def _serve(self, peer: "Peer") -> None:
        try:
            await peer.serve()
        except Exception:
            log.exception("WebRTC peer %s failed", peer.connection_id)
            peer.failure = peer.failure or "the edge failed: see its log"
        finally:
            del self._peers[peer.connection_id]
            del self._serving[peer.connection_id]
            self._gone[peer.connection_id] = peer.session.session_id
            if len(self._gone) > REMEMBERED_PEERS:
                self._gone.popitem(last=False)
            if peer.failure:
                self._failures[peer.connection_id] = (peer.session.session_id, peer.failure)
                if len(self._failures) > REMEMBERED_FAILURES:
                    self._failures.popitem(last=False)
            self._count()

    def _count(self) -> None:
        self._edge.metrics.set("clients_connected", len(self._peers), kind="webrtc")

    def _the_pool(self) -> MediaPool:
        if self._pool is None:
            self._pool = MediaPool()
        return self._pool

    async def _the_feed(self) -> AvatarFeed | None:
        if self._feed is None and self._make_feed is not None:
            self._feed = self._make_feed()
        return self._feed


def _peer_module() -> "ModuleType":
    from ingest.webrtc import peer  # noqa: PLC0415 - loads aiortc and FFmpeg's libraries: half a second

    return peer
