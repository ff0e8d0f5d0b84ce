"""The client library's media connection against a server that plays the edge, message by message."""

import asyncio
from contextlib import asynccontextmanager

import orjson
from websockets.asyncio.server import ServerConnection, serve

from client.session import Opened, Session
from schemas.media_framing import parse

CHUNK = bytes(640)


@asynccontextmanager
async def against(handler):
    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        opened = Opened("s", "token", 0, f"ws://127.0.0.1:{port}/", None)
        session = Session(f"http://127.0.0.1:{port}", opened, "live")
        try:
            yield session
        finally:
            await session.close()


async def welcome(socket: ServerConnection, **received: int) -> None:
    await socket.send(orjson.dumps({"type": "welcome", "received": received}).decode())
    await socket.send(orjson.dumps({"type": "clock_probe", "server_us": 7}).decode())


async def test_the_clock_is_told_before_any_media():
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def edge(socket: ServerConnection) -> None:
        await welcome(socket)
        async for message in socket:
            heard.put_nowait(message)

    async with against(edge) as session, asyncio.timeout(10):
        await session.send_audio(CHUNK, 1_000)
        await session.connect()
        first, second = await heard.get(), await heard.get()
    assert orjson.loads(first)["type"] == "clock"
    assert isinstance(second, bytes)


async def test_sound_that_the_edge_does_not_have_is_sent_again():
    connections: list[list[int]] = []
    again = asyncio.Event()

    async def edge(socket: ServerConnection) -> None:
        sequences: list[int] = []
        connections.append(sequences)
        await welcome(socket, **({"audio": 0} if len(connections) == 2 else {}))
        async for message in socket:
            if isinstance(message, bytes):
                sequences.append(parse(message).sequence)
            if len(sequences) == 3 and len(connections) == 1:
                socket.transport.abort()
                return
            if len(sequences) == 2 and len(connections) == 2:
                again.set()

    async with against(edge) as session, asyncio.timeout(10):
        for at_us in range(3):
            await session.send_audio(CHUNK, at_us)
        await session.connect()
        await again.wait()
    assert connections == [[0, 1, 2], [1, 2]]
