"""A viewer's socket: where its bytes go, and whether it keeps up."""

import asyncio
import socket
from typing import Final

from websockets.protocol import OPEN

from egress.lines import SHUT, Lines, send
from egress.viewer_connection import ViewerConnection

CONGESTED_BYTES: Final = 16_384
"""More than this in the socket's buffer for half a second: the viewer is slow."""

CONGESTED_US: Final = 500_000
OVERFLOW_BYTES: Final = 524_288
"""Never more than this: a burst, for instance after fusion was restarted, has some 200 frames of room."""

SEND_BUFFER_BYTES: Final = 65_536


class SocketSink:
    """A viewer's socket. Bytes go straight to the kernel while nothing waits in the transport, else through that."""

    __slots__ = (
        "_behind_since_us",
        "_connection",
        "_descriptor",
        "_is_closing",
        "_lines",
        "_protocol",
        "_unsent",
        "_write",
        "line",
    )

    def __init__(self, connection: ViewerConnection, lines: Lines) -> None:
        self._connection = connection
        self._protocol = connection.protocol
        self._behind_since_us: int | None = None
        transport: asyncio.Transport = connection.transport
        # Bound once, as they are called for each frame.
        self._unsent, self._is_closing, self._write = (
            transport.get_write_buffer_size, transport.is_closing, transport.write,
        )  # fmt: skip
        self._lines = lines
        self.line = lines.take()
        # Of one that is lost already the descriptor may be another's.
        lost = self._protocol.state is not OPEN or transport.is_closing()
        kernel: socket.socket | None = None if lost else transport.get_extra_info("socket")
        encrypted = transport.get_extra_info("ssl_object") is not None
        self._descriptor = SHUT if kernel is None or encrypted else kernel.fileno()
        if kernel is not None and kernel.family in {socket.AF_INET, socket.AF_INET6}:
            # Frames that lie in the kernel's buffers can no longer be replaced by newer ones: keep those small.
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, CONGESTED_BYTES)
        connection.disturbed = self._disturbed

    def close(self) -> None:
        """The connection is gone, or nothing will be written to it any more."""
        self._connection.disturbed = None
        self._descriptor = SHUT
        self._lines.give_back(self.line)

    def congested(self, now_us: int) -> bool:
        unsent = self._unsent()
        if unsent <= CONGESTED_BYTES:
            self._behind_since_us = None
            return False
        if self._behind_since_us is None:
            self._behind_since_us = now_us
        return unsent > OVERFLOW_BYTES or now_us - self._behind_since_us > CONGESTED_US

    def write(self, wire: bytes) -> bool:
        if self._protocol.state is not OPEN or self._is_closing():
            return False
        if self._descriptor == SHUT or self._unsent():
            self._write(wire)
            return True
        taken = send(self._descriptor, wire, len(wire))
        if taken == len(wire):
            self._lines.open(self.line, self._descriptor)
        else:
            self.finish(wire[max(taken, 0) :])
        return True

    def finish(self, rest: bytes) -> None:
        # An error is found by the transport, too, which then ends the connection.
        self._lines.shut(self.line)
        self._write(rest)

    def _disturbed(self, lost: bool) -> None:
        """The connection wrote something itself, is being closed, or is lost."""
        if lost:
            self._descriptor = SHUT
        self._lines.shut(self.line)
