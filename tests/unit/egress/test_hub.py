from hypothesis import given
from hypothesis import strategies as st

from egress.frames import DecodedFrame
from egress.hub import STALLED_US, Hub, Viewer, Wires
from egress.watched import NONE
from schemas.close_codes import CloseCode
from tests.support.frames import avatar_frame

NEVER = 1 << 62


class FakeSink:
    """Takes writes while it is open."""

    line = NONE

    def __init__(self):
        self.closed = False
        self.leaving = False
        self.messages = []

    def congested(self, now_us):
        del now_us
        return self.closed

    def write(self, wire):
        if not self.leaving:
            self.messages.extend(wire)
        return not self.leaving


def ignore(viewer, code, reason):
    del viewer, code, reason


def encode(messages):
    """Messages as they are, so that tests can read them."""
    return tuple(messages)


def hub_with(*sinks, formats=()):
    counted = {"json": 0, "cbor": 0}

    def encoder(name):
        def count(messages):
            counted[name] += 1
            return encode(messages)

        return count

    hub = Hub(Wires({name: encoder(name) for name in counted}, {}))
    viewers = []
    for i, sink in enumerate(sinks):
        wire = formats[i] if formats else "json"
        viewers.append(Viewer(f"v{i}", "s", wire, sink, NEVER))
        hub.join(viewers[-1], 0)
    return hub, viewers, counted


def deliver(hub, *sequences, session_id="s"):
    return [hub.deliver(DecodedFrame(avatar_frame(session_id, k), 0), 1_000 * k) for k in sequences]


def sequences(sink):
    return [m["sequence"] for m in sink.messages if m["type"] == "avatar_frame"]


def test_frames_go_to_the_viewers_of_their_session():
    one, two = FakeSink(), FakeSink()
    hub, _, _ = hub_with(one, two)
    assert deliver(hub, 0, 1) == [True, True]
    assert deliver(hub, 0, session_id="other") == [False]
    assert sequences(one) == sequences(two) == [0, 1]
    assert [m["type"] for m in one.messages] == ["avatar_frame", "emotion_update", "avatar_frame"]


def test_each_frame_is_encoded_once_a_format():
    sinks = [FakeSink() for _ in range(6)]
    hub, _, counted = hub_with(*sinks, formats=["json", "cbor"] * 3)
    deliver(hub, 1, 2)
    assert counted == {"json": 2, "cbor": 2}


def test_repeated_frames_are_dropped():
    sink = FakeSink()
    hub, _, _ = hub_with(sink)
    assert deliver(hub, 4, 5, 4, 5, 6) == [True, True, False, False, True]
    tally = dict(hub.take_tallies())["s"]
    assert (tally.used, tally.duplicate, tally.slow_client) == (3, 2, 0)
    assert hub.take_tallies() == []


def test_a_slow_viewer_gets_the_newest_and_is_told_what_it_missed():
    slow, quick = FakeSink(), FakeSink()
    hub, _, _ = hub_with(slow, quick)
    deliver(hub, 1)
    slow.closed = True
    deliver(hub, 2, 4, 5)
    slow.closed = False
    deliver(hub, 7)
    assert sequences(quick) == [1, 2, 4, 5, 7]
    assert sequences(slow) == [1, 7]
    assert [m["count"] for m in slow.messages if m["type"] == "skipped"] == [3]
    tally = dict(hub.take_tallies())["s"]
    assert (tally.used, tally.slow_client) == (7, 3)


def test_what_a_connection_that_is_being_closed_does_not_take_is_no_delivery():
    sink, other = FakeSink(), FakeSink()
    hub, _, _ = hub_with(sink, other)
    deliver(hub, 1)
    sink.leaving = True
    deliver(hub, 2)
    sink.closed = True
    deliver(hub, 3)
    sink.closed = False
    hub.sweep(4_000, ignore)
    tally = dict(hub.take_tallies())["s"]
    assert (tally.used, tally.slow_client) == (4, 0)
    assert sequences(other) == [1, 2, 3]


def test_what_waits_is_sent_between_frames():
    sink = FakeSink()
    hub, _, _ = hub_with(sink)
    sink.closed = True
    deliver(hub, 1, 2)
    hub.sweep(3_000, ignore)
    assert sequences(sink) == []
    sink.closed = False
    hub.sweep(4_000, ignore)
    assert [m["type"] for m in sink.messages] == ["skipped", "avatar_frame"]


def test_silence_is_said_once_until_frames_come_again():
    sink = FakeSink()
    hub, _, _ = hub_with(sink)
    for now in (STALLED_US - 1, STALLED_US, STALLED_US + 1):
        hub.sweep(now, ignore)
    assert [m["type"] for m in sink.messages] == ["stalled"]
    hub.deliver(DecodedFrame(avatar_frame("s", 1), 0), 3_000_000)
    hub.sweep(3_000_001 + STALLED_US, ignore)
    assert [m["type"] for m in sink.messages] == ["stalled", "avatar_frame", "stalled"]


def test_expired_viewers_are_handed_over():
    hub, _, _ = hub_with(FakeSink())
    brief = Viewer("brief", "s", "json", FakeSink(), 500)
    hub.join(brief, 0)
    closed = []
    for now in (499, 500):
        hub.sweep(now, lambda *close: closed.append(close))
    assert closed == [(brief, CloseCode.BAD_TOKEN, "the token has expired")]


def test_viewers_are_told_of_the_end_once_the_last_frames_are_through():
    sink = FakeSink()
    hub, viewers, _ = hub_with(sink)
    closed = []
    hub.end("s")
    hub.deliver(DecodedFrame(avatar_frame("s", 1), 0), 1_000_000)
    for now in (STALLED_US, 1_000_000 + STALLED_US, 1_000_001 + STALLED_US):
        hub.sweep(now, lambda *close: closed.append(close))
    assert [(viewer, code) for viewer, code, _ in closed] == [(viewers[0], CloseCode.SESSION_ENDED)]
    assert [m["type"] for m in sink.messages] == ["avatar_frame"]


def test_an_end_is_told_to_those_who_wait_in_silence_and_to_those_who_come_later():
    hub, viewers, _ = hub_with(FakeSink())
    hub.sweep(STALLED_US, ignore)
    hub.end("s")
    closed = []
    hub.sweep(STALLED_US + 1, lambda viewer, *_: closed.append(viewer))
    hub.leave(viewers[0])
    late = Viewer("late", "s", "json", FakeSink(), NEVER)
    hub.join(late, 10 * STALLED_US)
    hub.sweep(11 * STALLED_US, lambda viewer, *_: closed.append(viewer))
    assert closed == [viewers[0], late]


def test_sessions_of_which_nothing_came_are_looked_up_once():
    hub, _, _ = hub_with()
    for name, started in (("old", 5), ("older", 3), ("wall", None)):
        hub.join(Viewer(name, "s", "json", FakeSink(), NEVER, started_at_us=started), 0)
    hub.join(Viewer("other", "heard", "json", FakeSink(), NEVER, started_at_us=1), 0)
    deliver(hub, 0, session_id="heard")
    hub.sweep(STALLED_US - 1, ignore)
    assert hub.take_unheard() == {}
    hub.sweep(STALLED_US, ignore)
    assert hub.take_unheard() == {"s": 3}
    hub.sweep(2 * STALLED_US, ignore)
    assert hub.take_unheard() == {}


def test_a_wall_outlives_the_sessions_that_it_shows():
    sink = FakeSink()
    hub, _, _ = hub_with()
    hub.join(Viewer("wall", "s", "json", sink, NEVER, ends_with_session=False), 0)
    hub.end("s")
    closed = []
    hub.sweep(STALLED_US, lambda *close: closed.append(close))
    assert closed == []
    assert [m["type"] for m in sink.messages] == ["stalled"]


def test_recent_frames_are_remembered_for_acknowledgements():
    hub, viewers, _ = hub_with(FakeSink())
    deliver(hub, *range(200))
    assert hub.relayed("s", 199) == (avatar_frame("s", 199).captured_at_us, 199_000)
    assert hub.relayed("s", 0) is None
    assert hub.relayed("other", 1) is None
    hub.leave(viewers[0])
    assert hub.relayed("s", 199) is None
    assert hub.count == 0


@given(st.lists(st.one_of(st.sampled_from(["block", "open", "sweep"]), st.integers(0, 40)), max_size=80))
def test_every_delivery_is_accounted_for(steps):
    sink, other = FakeSink(), FakeSink()
    hub, viewers, _ = hub_with(sink, other)
    accepted = 0
    for step in steps:
        if step == "sweep":
            hub.sweep(0, ignore)
        elif isinstance(step, str):
            sink.closed = step == "block"
        else:
            accepted += deliver(hub, step)[0]
    for viewer in viewers:
        hub.leave(viewer)
    tally = dict(hub.take_tallies()).get("s")
    assert (tally.used + tally.slow_client if tally else 0) == 2 * accepted
    assert sequences(sink) == sorted(set(sequences(sink)))
    assert sequences(other) == sorted(set(sequences(other)))
    told = sum(m["count"] for m in sink.messages if m["type"] == "skipped")
    assert told <= (tally.slow_client if tally else 0)
