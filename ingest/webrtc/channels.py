"""A peer's data channels: control, as over the media WebSocket; avatar, as over a viewer's. See docs/protocol.md."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import orjson
from aiortc import InvalidStateError, RTCDataChannel

from ingest.connection import Closing, Connection
from ingest.feed import AvatarFeed, Viewing, Wire
from runtime.clock import Clock
from schemas.close_codes import CloseCode

log = logging.getLogger(__name__)

CONTROL: Final = "affectstream.control"
AVATAR: Final = "affectstream.avatar"
WIRES: Final[dict[str, Wire]] = {
    "": "json",
    "affectstream.json": "json",
    "affectstream.cbor": "cbor",
    "affectstream.binary": "binary",
}

MESSAGES_WAITING: Final = 256
"""Control messages that were received and not yet looked at; more come only from a client that floods."""

UNSENT_BYTES: Final = 262_144
"""Control messages that a client does not take."""

CONGESTED_BYTES: Final = 16_384
"""More than this unsent for half a second: the viewer is slow. As at a viewer's socket."""

CONGESTED_US: Final = 500_000
OVERFLOW_BYTES: Final = 524_288
FLUSH_S: Final = 0.5
FLUSH_POLL_S: Final = 0.01


def closing_message(code: CloseCode, reason: str) -> str:
    """The last message of a channel: data channels close without a word of their own."""
    return orjson.dumps({"type": "close", "code": int(code), "reason": reason}).decode()


def _send(channel: RTCDataChannel, message: str | bytes) -> None:
    with contextlib.suppress(InvalidStateError, ConnectionError):  # closed meanwhile: whoever watches it sees that
        channel.send(message)


class ControlChannel:
    """The control channel of one peer; peers without one are sent nothing."""

    def __init__(self) -> None:
        self._channel: RTCDataChannel | None = None
        self._opened = asyncio.Event()
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue(MESSAGES_WAITING)
        self._flooded = False

    def attach(self, channel: RTCDataChannel) -> None:
        """Use this channel; a second one is closed."""
        if self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._received)
        self._opened.set()

    def _received(self, message: str | bytes) -> None:
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            self._flooded = True

    async def send(self, text: str) -> None:
        """Send a message, if there is a channel; raises Closing if the client takes none."""
        if self._channel is None:
            return
        if self._channel.bufferedAmount > UNSENT_BYTES:
            raise Closing(CloseCode.UNAVAILABLE, "the client takes no control messages")
        _send(self._channel, text)

    async def read(self, connection: Connection) -> None:
        """Bring messages to the connection until cancelled; raises Closing."""
        while True:
            message = await self._inbox.get()
            if self._flooded:
                raise Closing(CloseCode.TOO_FAST, f"over {MESSAGES_WAITING} control messages at once")
            if isinstance(message, str):
                await connection.on_text(message)
            else:
                await connection.on_binary(message)

    async def converse(self, connection: Connection) -> None:
        """The edge's side of the conversation, once there is a channel."""
        await self._opened.wait()
        await connection.converse()

    async def close(self, code: CloseCode, reason: str) -> None:
        """Say why, and return when that has left or half a second has passed."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        _send(channel, closing_message(code, reason))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while channel.readyState == "open" and channel.bufferedAmount:  # noqa: ASYNC110 - aiortc has no event
                    await asyncio.sleep(FLUSH_POLL_S)


class AvatarChannel:
    """The avatar channel of one peer: one viewer of its own session."""

    def __init__(
        self, channel: RTCDataChannel, clock: Clock, send_at_once: Callable[[RTCDataChannel, str | bytes], bool]
    ) -> None:
        """``send_at_once`` is asked first, and returns whether it has sent the message."""
        self._channel = channel
        self._send_at_once = send_at_once
        self._clock = clock
        self._behind_since_us: int | None = None
        self._viewing: Viewing | None = None
        self._closed = asyncio.Event()
        channel.on("message", self._received)
        channel.on("close", self._closed.set)

    def congested(self, now_us: int) -> bool:
        unsent = self._channel.bufferedAmount
        if unsent <= CONGESTED_BYTES:
            self._behind_since_us = None
            return False
        if self._behind_since_us is None:
            self._behind_since_us = now_us
        return unsent > OVERFLOW_BYTES or now_us - self._behind_since_us > CONGESTED_US

    def write(self, message: str | bytes) -> None:
        if not self._send_at_once(self._channel, message):
            _send(self._channel, message)

    def close(self, code: CloseCode, reason: str) -> None:
        log.info("an avatar channel closes: %s", reason)
        _send(self._channel, closing_message(code, reason))
        self._closed.set()

    async def serve(
        self, feed: Callable[[], Awaitable[AvatarFeed | None]], session_id: str, expires_at_us: int, variant: str = ""
    ) -> None:
        """Show the session until the channel closes; the peer's media does not depend on it."""
        wire = WIRES.get(self._channel.protocol)
        if wire is None:
            known = ", ".join(name for name in WIRES if name)
            self.close(CloseCode.MALFORMED, f"the channel's protocol must be empty or one of {known}")
        else:
            source = await feed()
            if source is None:
                self.close(CloseCode.UNAVAILABLE, "this edge relays no avatar: connect to avatar_url")
            else:
                await self._show(source.watch(session_id, wire, expires_at_us, self, variant=variant))
        self._channel.close()

    async def _show(self, watching: Coroutine[Any, Any, Viewing]) -> None:
        joining = asyncio.ensure_future(watching)
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((joining, closed), return_when=asyncio.FIRST_COMPLETED)
            if joining.done():
                self._viewing = joining.result()
                await closed
        finally:
            joining.cancel()
            closed.cancel()
            if joining.done() and not joining.cancelled() and joining.exception() is None:
                joining.result().leave()
            self._viewing = None

    def _received(self, message: str | bytes) -> None:
        if self._viewing is not None and not self._closed.is_set():
            self._viewing.take(message)
