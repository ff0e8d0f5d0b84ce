"""Binary messages of a WebSocket handed over as they come in, instead of through uvicorn's queue and a task.

uvicorn queues every message, stops reading, wakes the application's task and reads on: dear for messages that are
dealt with in a few microseconds. An application that accepted a connection may give it a receiver
(:func:`receive_directly`), which is then called with each whole binary message from ``data_received`` itself, as long
as nothing that came before waits. Everything else goes uvicorn's way: other frames, fragments, and what the receiver
does not take. So messages keep their order, and a receiver that takes nothing slows its client down as before.

Frames are cut here. websockets' parser gets whole ones only, so that it never stands in the middle of one when the
next is handed over; what breaks the protocol or is too large is left to it at once, with everything that follows.
"""

from collections.abc import Callable
from typing import Any, Final

from starlette.websockets import WebSocket
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined] # the compiled one, where there is one
from websockets.http11 import Request
from websockets.protocol import OPEN

EXTENSION: Final = "affectstream.direct"
"""In the scope's extensions: what takes a receiver."""

Receiver = Callable[[bytes], bool]
"""Takes a binary message; False: it is to come to the application in the ordinary way. Must not raise."""

WHOLE_BINARY: Final = 0x82
MASKED: Final = 0x80
MASK_BYTES: Final = 4
SHORT_BYTES: Final = 2
"""Of a header without a long length and without the mask."""


class DirectProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol on websockets, and beside it a direct way for binary messages; for ``uvicorn.Config.ws``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiver: Receiver | None = None
        self._app_waits = False
        """The application has dealt with all that it was given, nothing is queued, and it waits for more."""
        self._begun = bytearray()
        """What has come of a frame: at most the largest message and its header."""
        self._wanted = 0
        """At least so many bytes must have come of it before it is looked at again."""
        self._cutting = True
        """False: all that comes is websockets' affair, as the connection is being closed or broke the protocol."""

    def handle_connect(self, event: Request) -> None:
        """Tell the application of the direct way."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._register

    def _register(self, receiver: Receiver | None) -> None:
        self._receiver = receiver

    async def receive(self) -> ASGIReceiveEvent:
        """The next event for the application."""
        self._app_waits = True
        try:
            return await super().receive()
        finally:
            self._app_waits = False

    def data_received(self, data: bytes) -> None:
        """Take what came in: the request, which uvicorn hands over by itself, then frames."""
        if not self._cutting or not self.handshake_initiated:
            super().data_received(data)
            return
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)
            self._begun.clear()
        at, end, most = 0, len(data), self.config.ws_max_size
        while at < end:
            start = at + SHORT_BYTES
            if start > end:
                self._wait_for(data, at, start)
                return
            length = data[at + 1] - MASKED
            if length >= 126:
                long = start
                start += 2 if length == 126 else 8
                if start > end:
                    self._wait_for(data, at, start)
                    return
                length = int.from_bytes(data[long:start], "big")
            start += MASK_BYTES
            stop = start + length
            if (
                data[at] == WHOLE_BINARY
                and stop <= end
                and 0 <= length <= most
                and self._app_waits
                and self._receiver is not None
                and self.conn.current_size is None
                and not self.close_sent
                and self._receiver(apply_mask(data[start:stop], data[start - MASK_BYTES : start]))
            ):
                at = stop
                continue
            if self._not_ours(length):
                self._cutting = False
                super().data_received(data[at:])
                return
            if stop > end:
                self._wait_for(data, at, stop)
                return
            super().data_received(data[at:stop])
            if not self.queue.empty():
                self._app_waits = False
            if self.conn.state is not OPEN:  # what follows a frame that ends a connection is nobody's
                self._cutting = False
                return
            at = stop

    def _not_ours(self, length: int) -> bool:
        """Whether a frame of this length (below 0: it is not masked) breaks the protocol or comes at a wrong time."""
        most = self.config.ws_max_size - (self.conn.current_size or 0)
        return not 0 <= length <= most or self.close_sent or self.conn.state is not OPEN

    def _wait_for(self, data: bytes, at: int, stop: int) -> None:
        self._begun += data[at:]
        self._wanted = stop - at


def receive_directly(socket: WebSocket, receiver: Receiver | None) -> None:
    """Have a socket's binary messages handed to ``receiver`` (None: no longer), if its server knows how."""
    register = socket.scope.get("extensions", {}).get(EXTENSION)
    if register is not None:
        register(receiver)
