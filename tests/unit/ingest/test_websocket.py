"""The direct way keeps messages in order, leaves what it does not know to uvicorn, and slows clients down as before."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocket
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Close, Frame, Opcode

from ingest.websocket import DirectProtocol, receive_directly

REQUEST = (
    b"GET /media HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LARGEST = 70_000


class FakeTransport(asyncio.Transport):
    """Keeps what is written, and whether it is read from."""

    def __init__(self):
        super().__init__()
        self.written, self.reading, self.closed = b"", True, False

    def write(self, data):
        self.written += data

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


class Server:
    """A connection whose application accepts it, registers a receiver, and writes down what comes to it and how."""

    def __init__(self, *, takes=lambda _: True, register=True):
        self.takes, self.register = takes, register
        self.seen, self.go_on = [], asyncio.Event()
        self.go_on.set()
        self.transport = FakeTransport()
        config = Config(
            self.app, ws=DirectProtocol, ws_max_size=LARGEST, ws_per_message_deflate=False, lifespan="off",
            interface="asgi3", log_config=None,
        )  # fmt: skip
        config.load()
        self.state = ServerState()
        self.protocol = DirectProtocol(config=config, server_state=self.state, app_state={})
        self.protocol.connection_made(self.transport)

    async def app(self, scope, receive, send):
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        self.socket = socket
        if self.register:
            receive_directly(socket, self.receiver)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                self.seen.append(("gone", message["code"]))
                return
            self.seen.append(("queued", message.get("bytes", message.get("text"))))
            await self.go_on.wait()

    def receiver(self, data):
        taken = self.takes(data)
        if taken:
            self.seen.append(("direct", data))
        return taken

    def feed(self, *pieces):
        for piece in pieces:
            self.protocol.data_received(piece)

    async def open(self):
        self.feed(REQUEST)
        await self.idle()
        assert b"101 Switching Protocols" in self.transport.written
        return self

    async def idle(self):
        """Let the application do what it can."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self):
        """The client goes; what was seen until then."""
        if not self.transport.closed:
            self.protocol.connection_lost(None)
        await self.idle()
        assert not self.state.tasks
        return self.seen


def frame(data, opcode=Opcode.BINARY, *, fin=True):
    return Frame(opcode, data, fin).serialize(mask=True)


async def test_binary_messages_go_to_the_receiver_at_once():
    server = await Server().open()
    server.feed(frame(b"one"), frame(b"two") + frame(b"three"))
    assert server.seen == [("direct", b"one"), ("direct", b"two"), ("direct", b"three")]
    assert server.transport.reading
    await server.end()


async def test_without_a_receiver_everything_is_queued():
    server = await Server(register=False).open()
    server.feed(frame(b"one") + frame(b"two"))
    assert not server.seen
    assert not server.transport.reading
    await server.idle()
    assert server.seen == [("queued", b"one"), ("queued", b"two")]
    assert server.transport.reading
    receive_directly(server.socket, server.receiver)
    server.feed(frame(b"three"))
    receive_directly(server.socket, None)
    server.feed(frame(b"four"))
    await server.idle()
    assert server.seen[2:] == [("direct", b"three"), ("queued", b"four")]
    await server.end()


async def test_what_comes_before_the_application_asks_is_seen_first():
    server = Server()
    server.feed(REQUEST)
    server.feed(frame(b"early"))
    await server.idle()
    server.feed(frame(b"late"))
    await server.idle()
    assert [data for _, data in server.seen] == [b"early", b"late"]
    await server.end()


async def test_text_keeps_its_place_among_binary_messages():
    server = await Server().open()
    server.feed(frame(b"1") + frame(b"text", Opcode.TEXT) + frame(b"2"))
    assert server.seen == [("direct", b"1")]
    server.go_on.clear()
    await server.idle()
    assert server.seen[1:] == [("queued", "text")]
    assert not server.transport.reading  # one more waits
    server.feed(frame(b"3"))
    assert len(server.seen) == 2  # the application is at the text yet
    server.go_on.set()
    await server.idle()
    assert server.seen[2:] == [("queued", b"2"), ("queued", b"3")]
    assert server.transport.reading
    server.feed(frame(b"4"))
    assert server.seen[4:] == [("direct", b"4")]
    await server.end()


async def test_a_receiver_that_takes_nothing_stops_the_reading():
    room = {"is": False}
    server = await Server(takes=lambda _: room["is"]).open()
    server.go_on.clear()
    server.feed(frame(b"1"))
    assert not server.transport.reading
    await server.idle()
    assert server.transport.reading  # as uvicorn does: one is under way, one may wait
    room["is"] = True
    server.feed(frame(b"2"))
    assert not server.transport.reading
    await server.idle()
    assert server.seen == [("queued", b"1")]
    server.go_on.set()
    await server.idle()
    server.feed(frame(b"3"))
    assert server.seen == [("queued", b"1"), ("queued", b"2"), ("direct", b"3")]
    await server.end()


async def test_fragments_go_uvicorns_way_and_control_frames_come_between():
    server = await Server().open()
    server.feed(frame(b"a", fin=False), frame(b"ping", Opcode.PING) + frame(b"b", Opcode.CONT))
    await server.idle()
    assert server.seen == [("queued", b"ab")]
    assert server.transport.written.endswith(Frame(Opcode.PONG, b"ping").serialize(mask=False))
    server.feed(frame(b"c"))
    assert server.seen[1:] == [("direct", b"c")]
    await server.end()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, LARGEST])
async def test_messages_of_every_length_in_pieces(size):
    message = bytes(itertools.islice(itertools.cycle(range(251)), size))
    wire = frame(message) + frame(b"next")
    server = await Server().open()
    server.feed(*(wire[at : at + 1_000] for at in range(0, len(wire), 1_000)))
    server.feed(*(wire[at : at + 1] for at in range(min(len(wire), 20))), wire[20:])
    assert server.seen == [("direct", message), ("direct", b"next")] * 2
    await server.end()


async def test_a_message_that_is_too_large_closes_the_connection_by_its_header_alone():
    server = await Server().open()
    server.feed(frame(b"fits"), frame(bytes(LARGEST + 1))[:14])
    await server.idle()
    assert server.seen == [("direct", b"fits"), ("gone", 1009)]
    assert server.transport.closed
    server.feed(b"and more", frame(b"!"))
    assert len(await server.end()) == 2


async def test_fragments_that_are_too_large_together():
    server = await Server().open()
    server.feed(frame(bytes(LARGEST), fin=False), frame(b"!", Opcode.CONT)[:6])
    await server.idle()
    assert server.seen == [("gone", 1009)]
    await server.end()


@pytest.mark.parametrize(
    "wrong",
    [
        Frame(Opcode.BINARY, b"not masked").serialize(mask=False),
        b"\xc2" + frame(b"reserved bit")[1:],
        b"\x83" + frame(b"unknown opcode")[1:],
        frame(b"a", fin=False) + frame(b"another begins"),
        frame(b"nothing to go on with", Opcode.CONT),
    ],
)
async def test_what_breaks_the_protocol_closes_the_connection(wrong):
    server = await Server().open()
    server.feed(frame(b"good") + wrong + frame(b"never"))
    await server.idle()
    assert server.seen == [("direct", b"good"), ("gone", 1002)]
    assert server.transport.closed
    await server.end()


async def test_nothing_is_taken_after_a_close():
    server = await Server().open()
    server.feed(frame(b"last") + frame(Close(1000, "enough").serialize(), Opcode.CLOSE) + frame(b"never"))
    await server.idle()
    assert server.seen == [("direct", b"last"), ("gone", 1000)]
    assert Frame(Opcode.CLOSE, Close(1000, "enough").serialize()).serialize(mask=False) in server.transport.written
    await server.end()


async def test_nothing_is_taken_once_the_application_has_closed():
    server = await Server().open()
    await server.socket.close(4000)
    server.feed(frame(b"crossed"), frame(Close(4000, "").serialize(), Opcode.CLOSE))
    await server.idle()
    assert ("direct", b"crossed") not in server.seen
    assert server.transport.closed
    await server.end()


async def test_half_a_frame_at_the_end_is_nothing():
    server = await Server().open()
    server.feed(frame(b"whole"), frame(b"half a message")[:9])
    assert await server.end() == [("direct", b"whole"), ("gone", 1005)]


async def test_another_server_has_no_direct_way():
    socket = WebSocket({"type": "websocket", "extensions": {}}, receive=None, send=None)
    receive_directly(socket, bool)


@given(
    st.lists(st.tuples(st.sampled_from(["binary", "text", "ping", "fragments"]), st.booleans()), max_size=20),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_however_it_is_cut_and_whatever_is_taken_the_order_is_kept(messages, cuts):
    async def run():
        server = await Server(takes=lambda data: data.endswith(b"!")).open()
        wire, wanted = b"", []
        for number, (kind, taken) in enumerate(messages):
            body = b"%d%s" % (number, b"!" if taken else b"?")
            if kind == "ping":
                wire += frame(body, Opcode.PING)
                continue
            wanted.append(body)
            if kind == "fragments":
                wire += frame(body[:1], fin=False) + frame(body[1:], Opcode.CONT)
            else:
                wire += frame(body, Opcode.BINARY if kind == "binary" else Opcode.TEXT)
        at = 0
        for size in itertools.cycle(cuts):
            if at >= len(wire):
                break
            server.feed(wire[at : at + size])
            at += size
            if size % 2:
                await server.idle()
        await server.idle()
        *seen, gone = await server.end()
        assert [data.encode() if isinstance(data, str) else data for _, data in seen] == wanted
        assert gone[0] == "gone"

    asyncio.run(run())
