"""WebSocket clients that cost next to nothing: thousands in one process beside what they measure.

They speak the part of RFC 6455 that our servers use with clients that negotiate no extension: whole messages, pings
and closes. Everything that is received is looked at; nothing is decoded that is not asked for.
"""

import base64
import os
import resource
import select
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from runtime.errors import AffectstreamError

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
RECEIVE_BYTES: Final = 1 << 18
OPEN_TIMEOUT_S: Final = 30.0
AT_ONCE: Final = 64
SPARE_FILES: Final = 256

Take = Callable[["RawSocket", int, memoryview], None]
"""Is given each text and binary message: the socket, the opcode, the payload, which is gone afterwards."""


class SocketError(AffectstreamError):
    """A server did not want a connection, ended one, or broke the protocol."""


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame. The mask is zero: it protects proxies from browsers' scripts, and costs to apply."""
    length = len(payload)
    if length < 126:
        return struct.pack("!BBI", 0x80 | opcode, 0x80 | length, 0) + payload
    if length < 1 << 16:
        return struct.pack("!BBHI", 0x80 | opcode, 0x80 | 126, length, 0) + payload
    return struct.pack("!BBQI", 0x80 | opcode, 0x80 | 127, length, 0) + payload


class RawSocket:
    """One open WebSocket; ``number`` is the caller's."""

    __slots__ = ("_rest", "closed", "fd", "number", "reason", "sock", "unsent")

    def __init__(self, sock: socket.socket, number: int, rest: bytes) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.number = number
        self._rest = rest
        self.closed = False
        self.reason = ""
        self.unsent = bytearray()

    def send(self, frame: bytes) -> None:
        """Send a frame made by :func:`masked`; what the socket does not take now goes before the next one."""
        if self.closed:
            return
        if self.unsent:
            self.unsent += frame
            frame = bytes(self.unsent)
            self.unsent.clear()
        try:
            sent = self.sock.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.end(str(error))
            return
        if sent < len(frame):
            self.unsent += frame[sent:]

    def take(self, data: memoryview, take: Take) -> None:
        """Take what was received: every whole message goes to ``take``, pings are answered."""
        if self._rest:
            data = memoryview(self._rest + bytes(data))
            self._rest = b""
        at, end = 0, len(data)
        while end - at >= 2:
            opcode, length, start = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
            if length == 126:
                if end - at < 4:
                    break
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif length == 127:
                if end - at < 10:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end < start + length:
                break
            at = start + length
            if opcode <= BINARY:
                take(self, opcode, data[start:at])
            elif opcode == PING:
                self.send(masked(PONG, bytes(data[start:at])))
            elif opcode == CLOSE:
                payload = bytes(data[start:at])
                self.end(f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode(errors='replace')}")
                return
        if at < end:
            self._rest = bytes(data[at:])

    def end(self, reason: str) -> None:
        """It is over; ``reason`` says why."""
        if not self.closed:
            self.closed, self.reason = True, reason
            self.sock.close()


class Sockets:
    """Open WebSockets, and the one place where they are read. Not thread-safe."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._poll = select.epoll()
        self._by_fd: dict[int, RawSocket] = {}
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self.ended: list[RawSocket] = []
        """Those that the server has closed or broken."""

    def open(self, requests: Sequence[tuple[str, str, str]], first_number: int = 0) -> list[RawSocket]:
        """Open a WebSocket for each (url, token, subprotocol), some at once; raises SocketError."""
        raise_file_limit(len(self._by_fd) + len(requests))
        opened: list[RawSocket] = []
        for start in range(0, len(requests), AT_ONCE):
            some = [_ask(*request) for request in requests[start : start + AT_ONCE]]
            for sock in some:
                rest = _answered(sock)
                sock.setblocking(False)
                raw = RawSocket(sock, first_number + len(opened), b"")
                opened.append(raw)
                self._by_fd[raw.fd] = raw
                self._poll.register(raw.fd, select.EPOLLIN)
                if rest:
                    raw.take(memoryview(rest), self._take)
        return opened

    def receive(self, timeout_s: float) -> None:
        """Take what has come, waiting so long for anything to come."""
        try:
            ready = self._poll.poll(timeout_s, len(self._by_fd) or 1)
        except InterruptedError:
            return
        buffer = self._buffer
        for fd, _ in ready:
            raw = self._by_fd[fd]
            try:
                count = raw.sock.recv_into(buffer)
            except BlockingIOError:
                continue
            except OSError as error:
                raw.end(str(error))
                count = -1
            if count == 0:
                raw.end("the connection was cut")
            elif count > 0:
                raw.take(buffer[:count], self._take)
            if raw.unsent and not raw.closed:
                raw.send(b"")
            if raw.closed:
                del self._by_fd[fd]
                self.ended.append(raw)

    def close(self) -> None:
        """Close all, as a client that goes away."""
        for raw in self._by_fd.values():
            raw.send(masked(CLOSE, (1_000).to_bytes(2, "big")))
            raw.end("closed")
        self._by_fd.clear()
        self._poll.close()


def raise_file_limit(sockets: int) -> None:
    """Let this process have so many sockets; raises SocketError if the machine does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + SPARE_FILES
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise SocketError(f"{wanted} files are needed and {hard} allowed: raise the limit (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ask(url: str, token: str, subprotocol: str) -> socket.socket:
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), OPEN_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = [
        f"GET {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token}",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
    ]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    return sock


def _answered(sock: socket.socket) -> bytes:
    """Wait for the answer to the handshake; returns what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4_096)
        if not more:
            raise SocketError(f"the server ended the connection: {data[:200]!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise SocketError(f"the server refused the connection: {head.splitlines()[0]!r}")
    return rest
