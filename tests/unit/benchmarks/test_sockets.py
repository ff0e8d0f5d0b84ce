"""The cheap client against the frames of a library that is no kin of it."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks.sockets import BINARY, TEXT, RawSocket, masked

PAYLOADS = st.lists(
    st.tuples(st.sampled_from((Opcode.TEXT, Opcode.BINARY)), st.binary(max_size=300) | st.just(b"x" * 70_000)),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield RawSocket(ours, 0, b""), theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1_000, 65_535, 65_536])
def test_a_server_reads_what_is_sent(size):
    payload = bytes(number % 251 for number in range(size))
    reader = StreamReader()
    reader.feed_data(masked(BINARY, payload))
    parsing = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as stop:
        next(parsing)
    assert (stop.value.value.opcode, bytes(stop.value.value.data)) == (Opcode.BINARY, payload)


@given(PAYLOADS, st.lists(st.integers(1, 500), min_size=1, max_size=50))
def test_messages_are_whole_however_they_come(messages, pieces):
    ours, theirs = socket.socketpair()
    got = []
    raw = RawSocket(ours, 3, b"")
    data = b"".join(Frame(opcode, payload).serialize(mask=False) for opcode, payload in messages)
    at = 0
    for size in [*pieces, len(data)]:
        raw.take(memoryview(data[at : at + size]), lambda _, opcode, payload: got.append((opcode, bytes(payload))))
        at += size
    assert got == [(int(opcode), payload) for opcode, payload in messages]
    ours.close()
    theirs.close()


def test_a_ping_is_answered(pair):
    raw, theirs = pair
    raw.take(memoryview(Frame(Opcode.PING, b"here?").serialize(mask=False)), lambda *_: None)
    answer = theirs.recv(100)
    assert answer == masked(int(Opcode.PONG), b"here?")


def test_a_close_is_remembered_with_its_reason(pair):
    raw, _ = pair
    raw.take(memoryview(Frame(Opcode.CLOSE, b"\x0f\xa0gone").serialize(mask=False)), lambda *_: None)
    assert raw.closed
    assert raw.reason == "4000 gone"
    raw.send(masked(TEXT, b"nobody hears this"))


def test_what_the_socket_does_not_take_goes_first_later(pair):
    raw, theirs = pair
    whole = b""
    for number in range(200):
        frame = masked(BINARY, bytes((number,)) * 5_000)
        whole += frame
        raw.send(frame)
    assert raw.unsent
    got = b""
    while len(got) < len(whole):
        got += theirs.recv(1 << 20)
        raw.send(b"")
    assert got == whole
