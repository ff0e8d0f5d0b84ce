"""Avatar messages for viewers whose channels keep messages apart by themselves: the data channels of WebRTC peers.

Runs in the process that has the peers (the ingest edge's); the relay begins with the first viewer.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import orjson

from egress.audience import MESSAGES_BURST, MESSAGES_PER_S, Audience, Violation, parsed
from egress.events import Events
from egress.frames import Frame
from egress.hub import Format, Viewer, Wires
from egress.watched import NONE
from egress.wire import cbor_message
from runtime.clock import Clock
from runtime.lifecycle import Role
from runtime.metrics import Metrics
from runtime.rates import TokenBucket
from runtime.settings import Settings
from schemas.close_codes import CloseCode

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 4_096
LENGTH_BYTES: Final = 4


class Channel(Protocol):
    """A viewer's end: takes whole messages, text or bytes."""

    def congested(self, now_us: int) -> bool:
        """Whether the viewer does not keep up: nothing more should be written now."""
        ...

    def write(self, message: str | bytes) -> None:
        """Write one message; never blocks."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Say why nothing more comes, and close; never blocks."""
        ...


def _lengths(messages: Iterable[bytes]) -> bytes:
    """The hub writes one run of bytes, made once for all viewers: the channel's end takes it apart again."""
    return b"".join(len(message).to_bytes(LENGTH_BYTES, "little") + message for message in messages)


def json_messages(messages: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON texts, each after its length."""
    return _lengths(orjson.dumps(message) for message in messages)


def cbor_messages(messages: Iterable[Mapping[str, Any]]) -> bytes:
    """CBOR items, each after its length."""
    return _lengths(cbor_message(message) for message in messages)


def packed_frame(frame: Frame, relayed_at_us: int) -> bytes:
    """One frame after its length."""
    return _lengths((frame.packed(relayed_at_us),))


WIRES: Final = Wires({"json": json_messages, "cbor": cbor_messages, "binary": json_messages}, {"binary": packed_frame})
TEXT: Final = ord("{")
"""How every text message begins, and no other."""


class ChannelSink:
    """Takes apart what the hub writes."""

    line = NONE

    def __init__(self, channel: Channel, wire: Format) -> None:
        self._channel = channel
        self._text = wire != "cbor"

    def congested(self, now_us: int) -> bool:
        return self._channel.congested(now_us)

    def write(self, wire: bytes) -> bool:
        at = 0
        while at < len(wire):
            end = at + LENGTH_BYTES + int.from_bytes(wire[at : at + LENGTH_BYTES], "little")
            message = wire[at + LENGTH_BYTES : end]
            self._channel.write(message.decode() if self._text and message[0] == TEXT else message)
            at = end
        return True  # a viewing leaves before its channel is closed

    def finish(self, rest: bytes) -> None:
        raise AssertionError(f"a channel has no line and takes whole messages, not {len(rest)} bytes of one")


class Viewing:
    """One viewer of a session, until it leaves."""

    def __init__(self, audience: Audience, clock: Clock, metrics: Metrics, viewer: Viewer, channel: Channel) -> None:
        self._audience = audience
        self._clock = clock
        self._metrics = metrics
        self._viewer = viewer
        self._channel = channel
        self._bucket = TokenBucket(MESSAGES_PER_S, MESSAGES_BURST)
        self._left = False
        self._events: Events = audience.join(viewer)

    @property
    def over(self) -> bool:
        """Whether the viewer has left."""
        return self._left

    def take(self, message: str | bytes) -> None:
        """Take a message of the viewer's; one that breaks the protocol closes its channel."""
        if self._left:
            return
        try:
            self._check(message)
            self._audience.take(self._viewer, self._events, parsed(message))
        except Violation as violation:
            self._metrics.count("rejected_total", reason=violation.code.name.lower())
            self.end(violation.code, str(violation))

    def _check(self, message: str | bytes) -> None:
        if not self._bucket.take(self._clock.now_us()):
            raise Violation(CloseCode.TOO_FAST, f"more than {MESSAGES_PER_S:g} messages a second")
        if len(message) > MAX_MESSAGE_BYTES:
            raise Violation(CloseCode.MALFORMED, f"messages have at most {MAX_MESSAGE_BYTES} bytes")

    def leave(self) -> None:
        """Send nothing more."""
        if not self._left:
            self._left = True
            self._audience.leave(self._viewer, self._events)
            self._audience.interested(self._viewer.session_id, -1)

    def end(self, code: CloseCode, reason: str) -> None:
        """Send nothing more, and say why."""
        if not self._left:
            self.leave()
            self._channel.close(code, reason)


class ChannelFeed:
    """Shows sessions to channels. Used in the event loop's thread only."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._audience: Audience | None = None
        self._tending: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._viewings: dict[Viewer, Viewing] = {}

    @classmethod
    def of(cls, role: Role) -> "ChannelFeed":
        """The feed of a role's process."""
        return cls(role.settings, role.clock, role.metrics)

    async def watch(
        self, session_id: str, wire: Format, expires_at_us: int, sink: Channel, *, variant: str = ""
    ) -> Viewing:
        """Write ``welcome`` and then every message of the session to ``sink``, until the viewing is left.

        Returns once every frame that is published from then on will come; may be cancelled before. Raises BrokerError
        if Kafka does not answer.
        """
        audience = await self._started()
        viewer = Viewer(
            viewer_id=secrets.token_hex(8),
            session_id=session_id,
            format=wire,
            sink=ChannelSink(sink, wire),
            expires_at_us=expires_at_us,
            variant=variant,
        )
        audience.interested(session_id, 1)
        try:
            await audience.relay.reading(session_id)
        except BaseException:
            audience.interested(session_id, -1)
            raise
        audience.welcome(viewer)
        viewing = Viewing(audience, self._clock, self._metrics, viewer, sink)
        self._viewings = {known: other for known, other in self._viewings.items() if not other.over} | {viewer: viewing}
        return viewing

    async def close(self) -> None:
        """End the feed."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        await self._end(CloseCode.RESTARTING, "the service restarts")

    async def _started(self) -> Audience:
        async with self._starting:
            if self._audience is None:
                audience = Audience(self._settings, self._clock, self._metrics, WIRES)
                await asyncio.to_thread(audience.relay.start)
                self._audience = audience
                self._tending = asyncio.create_task(self._tend(audience))
        return self._audience

    async def _tend(self, audience: Audience) -> None:
        """Look after viewers; should the relay fail, they are told, and the next one begins with a new relay."""
        sweeping = asyncio.create_task(audience.sweep(self._close))
        try:
            await asyncio.wait((sweeping, audience.relay.failed), return_when=asyncio.FIRST_COMPLETED)
            for ended in (sweeping, audience.relay.failed):
                if ended.done() and ended.exception() is not None:
                    log.error("the relay of avatar frames has failed", exc_info=ended.exception())
        finally:
            sweeping.cancel()
        await self._end(CloseCode.UNAVAILABLE, "the avatar cannot be shown now: connect again later")

    async def _end(self, code: CloseCode, reason: str) -> None:
        audience, self._audience = self._audience, None
        viewings, self._viewings = self._viewings, {}
        for viewing in viewings.values():
            viewing.end(code, reason)
        if audience is not None:
            await audience.close()

    def _close(self, viewer: Viewer, code: CloseCode, reason: str) -> None:
        # Looked at from within the hub's own round: leaving has to wait until that is over.
        viewing = self._viewings[viewer]
        asyncio.get_running_loop().call_soon(viewing.end, code, reason)
