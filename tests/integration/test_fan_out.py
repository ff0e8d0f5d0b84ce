"""What is sent compiled is what the interpreter would have sent, to the byte and to the count."""

import socket
from contextlib import ExitStack

import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress import fan_out
from egress.fan_out import FanOut
from egress.frame_batches import TOGETHER_FROM, BatchReader, FrameColumns
from egress.hub import Hub, Tally, Viewer
from egress.lines import SHUT, Lines, send
from egress.watched import NONE
from egress.wire import WIRES, packed_frame
from schemas.codec import Codec
from tests.support.frames import avatar_frame

CODEC = Codec()
NEVER = 1 << 62
FUSED_US = 1_800_000_000_123_000


class Pair:
    """A sink with a line, and the socket at which what it sends comes out."""

    def __init__(self, lines, stack):
        self.near, self.far = (stack.enter_context(end) for end in socket.socketpair())
        for end in (self.near, self.far):
            end.setblocking(False)
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        self.lines, self.line = lines, lines.take()
        self.waiting = b""
        self.received = b""
        lines.open(self.line, self.near.fileno())

    def congested(self, now_us):
        del now_us
        return len(self.waiting) > 2_000

    def write(self, wire):
        taken = 0 if self.waiting else max(0, send(self.near.fileno(), wire, len(wire)))
        self.finish(wire[taken:])
        return True

    def finish(self, rest):
        self.waiting += rest
        self.flush()

    def flush(self):
        """What a transport does by and by."""
        self.waiting = self.waiting[max(0, send(self.near.fileno(), self.waiting, len(self.waiting))) :]
        if self.waiting:
            self.lines.shut(self.line)
        else:
            self.lines.open(self.line, self.near.fileno())

    def read(self):
        while True:
            try:
                self.received += self.far.recv(1 << 20)
            except BlockingIOError:
                break
            self.flush()


class Plain:
    """A sink without a line."""

    line = NONE

    def __init__(self):
        self.received = b""

    def congested(self, now_us):
        del now_us
        return False

    def write(self, wire):
        self.received += wire
        return True


def columns(frames):
    batch = BatchReader(CODEC).read([CODEC.encode(frame) for frame in frames], [FUSED_US] * len(frames))
    assert isinstance(batch, FrameColumns)
    return batch


def some(*names_and_numbers):
    """Those frames, and enough that nobody watches."""
    frames = [avatar_frame(name, number) for name, number in names_and_numbers]
    return columns(frames + [avatar_frame("unwatched", number) for number in range(TOGETHER_FROM)])


def messages(data):
    """Whole WebSocket messages; nothing may be left."""
    found = []
    while data:
        assert data[0] in (0x81, 0x82)
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        assert len(data) >= start + length
        found.append(data[: start + length])
        data = data[start + length :]
    return found


class Street:
    """A hub and the lines of its viewers' sockets, which are closed at the end."""

    def __init__(self):
        self.lines = Lines()
        self.hub = Hub(WIRES)
        self.hub.send_by(FanOut(self.lines))
        self.stack = ExitStack()

    def pairs(self, count):
        return [Pair(self.lines, self.stack) for _ in range(count)]


@pytest.fixture
def street():
    one = Street()
    with one.stack:
        yield one


def hub_of(sinks, formats=None, hub=None):
    """A hub with a viewer for each sink, of three sessions in turn."""
    viewers = []
    for number, sink in enumerate(sinks):
        viewers.append(
            Viewer(f"v{number}", f"session-{number % 3}", (formats or {}).get(number, "binary"), sink, NEVER)
        )
        hub.join(viewers[-1], 0)
    return viewers


def test_every_viewer_gets_its_session_s_frames_as_the_interpreter_makes_them(street):
    hub = street.hub
    pairs = street.pairs(100)
    hub_of(pairs, hub=hub)
    batch = some(
        ("session-0", 5), ("session-1", 5), ("session-0", 6), ("session-2", 1 << 20), ("session-0", 6), ("session-1", 4)
    )
    times = iter(range(1_000, 100_000, 1_000))
    told = hub.deliver_all(batch, lambda: FUSED_US + next(times))
    assert told is not None
    assert told[0].session_id == "session-2"
    wanted = {"session-0": (5, 6), "session-1": (5,), "session-2": (1 << 20,)}
    for number, pair in enumerate(pairs):
        pair.read()
        got = messages(pair.received)
        name = f"session-{number % 3}"
        frames = [batch.frame(row) for row in range(6) if batch.ids[row] == name]
        assert [int.from_bytes(one[8:12], "little") for one in got] == list(wanted[name])
        for one, sequence in zip(got, wanted[name], strict=True):
            frame = next(frame for frame in frames if frame.sequence == sequence)
            relayed_at_us = hub.relayed(name, sequence)[1]
            assert hub.relayed(name, sequence) == (frame.captured_at_us, relayed_at_us)
            assert one == packed_frame(frame, relayed_at_us)
    # 34, 33 and 33 viewers; a moment of relaying is no more than some messages old.
    assert dict(hub.take_tallies()) == {
        "session-0": Tally(68, 0, 1),
        "session-1": Tally(33, 0, 1),
        "session-2": Tally(33, 0, 0),
    }
    assert hub.relayed("session-2", 1 << 20)[1] > hub.relayed("session-0", 5)[1]


def test_what_a_socket_does_not_take_waits_and_is_not_torn(street):
    lines, hub = street.lines, street.hub
    slow, *others, quick = street.pairs(4)
    hub_of([slow, *others, quick], hub=hub)
    for number in range(400):
        hub.deliver_all(some(("session-0", number)), lambda: FUSED_US)
        quick.read()
    assert len(messages(quick.received)) == 400
    assert lines.descriptors[slow.line] == SHUT
    assert slow.waiting
    slow.read()
    hub.sweep(1, lambda *_: None)
    slow.read()
    hub.deliver_all(some(("session-0", 400)), lambda: FUSED_US)
    slow.read()
    got = messages(slow.received)
    kinds = [one[0] for one in got]
    assert kinds.count(0x81) == 1  # how many were skipped
    tally = dict(hub.take_tallies())["session-0"]
    assert (tally.used, tally.slow_client) == (401 + kinds.count(0x82), 401 - kinds.count(0x82))
    assert got[-1][8:12] == (400).to_bytes(4, "little")


def test_a_lone_frame_goes_to_many_viewers_as_to_few(street):
    lines, hub = street.lines, street.hub
    pairs = street.pairs(30)
    hub_of(pairs, hub=hub)
    lines.shut(pairs[3].line)
    frame = some(("session-0", 7)).frame(0)
    assert hub.deliver(frame, FUSED_US)
    assert not hub.deliver(frame, FUSED_US)
    for number, pair in enumerate(pairs):
        pair.read()
        assert messages(pair.received) == ([packed_frame(frame, FUSED_US)] if number % 3 == 0 else [])
    assert dict(hub.take_tallies()) == {"session-0": Tally(10, 0, 1)}
    assert lines.descriptors[pairs[3].line] != SHUT


def test_sessions_with_other_viewers_are_the_interpreter_s(street):
    hub = street.hub
    pair, json = street.pairs(2)
    plain = Plain()
    viewers = hub_of([pair, plain, Plain(), json], {3: "json"}, hub)
    hub.deliver_all(some(("session-0", 1), ("session-1", 1)), lambda: FUSED_US)
    for one in (pair, json):
        one.read()
    assert [one[0] for one in messages(pair.received)] == [0x82]
    assert {one[0] for one in messages(json.received)} == {0x81}
    assert [one[0] for one in messages(plain.received)] == [0x82]
    hub.leave(viewers[3])
    hub.deliver_all(some(("session-0", 2)), lambda: FUSED_US)
    pair.read()
    assert len(messages(pair.received)) == 2
    assert dict(hub.take_tallies()) == {"session-0": Tally(3, 0, 0), "session-1": Tally(1, 0, 0)}


def test_viewers_that_were_there_before_are_sent_to_likewise(street):
    hub = Hub(WIRES)
    pairs = street.pairs(3)
    hub_of(pairs, hub=hub)
    assert not hub.compiled
    hub.deliver_all(some(("session-0", 1)), lambda: FUSED_US)
    hub.send_by(FanOut(street.lines))
    assert hub.compiled
    hub.deliver_all(some(("session-0", 1), ("session-0", 2)), lambda: FUSED_US)
    pairs[0].read()
    assert [one[8] for one in messages(pairs[0].received)] == [1, 2]
    assert dict(hub.take_tallies()) == {"session-0": Tally(2, 0, 1)}


def test_a_socket_that_is_gone_is_left_to_its_transport(street):
    lines, hub = street.lines, street.hub
    [pair] = street.pairs(1)
    given_back = []
    pair.finish = given_back.append
    hub_of([pair], hub=hub)
    pair.far.close()
    hub.deliver_all(some(("session-0", 1)), lambda: FUSED_US)
    assert lines.descriptors[pair.line] == SHUT
    assert [one[0] for one in given_back] == [0x82]


@given(
    st.lists(
        st.one_of(
            st.lists(
                st.tuples(st.sampled_from(["session-0", "session-1", "session-2"]), st.integers(0, 60)),
                min_size=1,
                max_size=40,
            ),
            st.sampled_from(["read", "sweep", "leave", "join"]),
        ),
        max_size=12,
    )
)
def test_every_delivery_is_accounted_for_and_no_message_is_torn(steps):
    street = Street()
    hub = street.hub
    with street.stack:
        pairs = street.pairs(5)
        viewers = dict(zip(pairs, hub_of(pairs, hub=hub), strict=True))
        for step in steps:
            if step == "read":
                pairs[0].read()
            elif step == "sweep":
                hub.sweep(0, lambda *_: None)
            elif step == "leave":
                if pairs[-1] in viewers:
                    hub.leave(viewers.pop(pairs[-1]))
            elif step == "join":
                if pairs[-1] not in viewers:
                    viewers[pairs[-1]] = Viewer("again", "session-1", "binary", pairs[-1], NEVER)
                    hub.join(viewers[pairs[-1]], 0)
            else:
                hub.deliver_all(some(*step), lambda: FUSED_US)
        for viewer in viewers.values():
            hub.leave(viewer)
        written = 0
        for pair in pairs:
            pair.read()
            got = [one for one in messages(pair.received) if one[0] == 0x82]
            numbers = [(one[196:], int.from_bytes(one[8:12], "little")) for one in got]
            for name in {name for name, _ in numbers}:
                mine = [number for other, number in numbers if other == name]
                assert mine == sorted(set(mine)) or pair is pairs[-1]
            written += len(got)
    assert sum(tally.used for _, tally in hub.take_tallies()) == written


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_what_production_calls_is_what_was_compiled_ahead(street):
    fan_out.compile_all()
    before = [len(kernel.signatures) for kernel in (fan_out._fan_out, fan_out._spread)]
    hub = street.hub
    pairs = street.pairs(15)
    hub_of(pairs, hub=hub)
    hub.deliver_all(some(("session-0", 1)), lambda: FUSED_US)
    hub.deliver(some(("session-0", 2)).frame(0), FUSED_US)
    assert [len(kernel.signatures) for kernel in (fan_out._fan_out, fan_out._spread)] == before == [1, 1]


def test_sending_takes_what_there_is_room_for_and_never_waits():
    near, far = socket.socketpair()
    with near, far:
        assert send(near.fileno(), b"hello, world", 5) == 5
        assert far.recv(100) == b"hello"
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        taken = [send(near.fileno(), bytes(3_000), 3_000) for _ in range(10)]
        assert taken[-1] == -1
        far.close()
        assert send(near.fileno(), b"nobody", 6) == -1
