"""A TCP proxy that misbehaves when told to: late, narrow, silent, cut."""

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

CHUNK: Final = 65_536
QUEUED: Final = 4_194_304
"""Bytes of one direction under way; more are not read from the sender."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the proxy passes on what it is given."""

    latency_s: float = 0.0
    """Each way."""
    bytes_per_s: float | None = None
    """Of each connection, each way."""
    silent: bool = False
    """Nothing is passed on; connections stay, and new ones are taken. It is all passed on afterwards, in order."""
    refusing: bool = False
    """Connections are cut, and new ones too."""


GOOD: Final = Manner()


class Proxy:
    """Passes connections to a port of this machine's on to another one; a context, with a thread of its own."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._manner = GOOD
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def behave(self, manner: Manner = GOOD) -> None:
        """Pass on in this manner from now on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._behave, manner)

    def _behave(self, manner: Manner) -> None:
        self._manner = manner
        if manner.refusing:
            for writer in list(self._open):
                writer.transport.abort()
        assert self._changed is not None
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self) -> None:
        self._loop, self._changed, self._stopped = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopped.wait()
        server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._manner.refusing:
            writer.transport.abort()
            return
        try:
            to, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass_on(reader, back))
                ways.create_task(self._pass_on(to, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way of one connection, until its sender ends it."""
        loop = asyncio.get_running_loop()
        under_way: deque[tuple[float, bytes]] = deque()
        held = 0
        more, less = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            nonlocal held
            while True:
                data = await reader.read(CHUNK)
                under_way.append((loop.time(), data))
                held += len(data)
                more.set()
                if not data:
                    return
                while held > QUEUED:
                    less.clear()
                    await less.wait()

        async def write() -> None:
            nonlocal held
            while True:
                while not under_way:
                    more.clear()
                    await more.wait()
                came_s, data = under_way.popleft()
                await self._wait_until_due(came_s, len(data))
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
                held -= len(data)
                less.set()

        async with asyncio.TaskGroup() as parts:
            parts.create_task(read())
            parts.create_task(write())

    async def _wait_until_due(self, came_s: float, size: int) -> None:
        """Return when what came at an instant is to be passed on in the manner of then."""
        loop = asyncio.get_running_loop()
        while True:
            manner, changed = self._manner, self._changed
            assert changed is not None
            if manner.silent:
                await changed.wait()
                continue
            wait_s = came_s + manner.latency_s - loop.time()
            if manner.bytes_per_s is not None:
                wait_s = max(wait_s, size / manner.bytes_per_s)
            if wait_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), wait_s)
                continue
            return
