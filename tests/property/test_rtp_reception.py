"""The laws of the way from packets to frames, whatever a network or a hostile sender does."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.webrtc.receiving import packets
from ingest.webrtc.receiving.continuity import PATIENCE_US, Continuity
from ingest.webrtc.receiving.jitter_buffer import VIDEO, JitterBuffer, Limits
from ingest.webrtc.receiving.packet_order import Lost, PacketOrder
from ingest.webrtc.receiving.packets import PacketError, RtpPacket
from ingest.webrtc.receiving.statistics import ReceptionStatistics
from tests.support.rtp import frames_of, vp8_stream

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=30)
SEQUENCE = st.sampled_from([0, 1, 32_767, 65_500, 65_530, 65_535]) | st.integers(0, 65_535)
TIMESTAMP = st.sampled_from([0, (1 << 32) - 1, (1 << 32) - 20_000, 1 << 31]) | st.integers(0, (1 << 32) - 1)
REACH = 8
"""Packets are displaced by less than this."""


@st.composite
def streams(draw, *, marks):
    return vp8_stream(draw(SIZES), sequence=draw(SEQUENCE), timestamp=draw(TIMESTAMP), marks=marks)


@st.composite
def disturbed(draw, sent, *, loss):
    """Packets as they arrive: displaced, some twice, and if ``loss``, some never."""
    arrivals = []
    for number, each in enumerate(sent):
        if loss and draw(st.integers(0, 5)) == 0:
            continue
        copies = 2 if draw(st.integers(0, 7)) == 0 else 1
        arrivals += [(number + draw(st.integers(0, REACH - 1)), number, each) for _ in range(copies)]
    # The first packet that comes is the stream's beginning to a receiver: it stays first.
    arrivals.sort(key=lambda entry: (entry[1] != 0, entry[0]))
    return [each for _, _, each in arrivals]


def received(jitter, arrivals, *, spacing_us=1_000):
    events = []
    for number, each in enumerate(arrivals):
        events += jitter.put(each, number * spacing_us)
    end = len(arrivals) * spacing_us
    while jitter.waiting:
        end += VIDEO.wait_us
        events += jitter.due(end)
    return events


@given(st.data(), st.booleans())
def test_reordering_and_duplicates_change_nothing(data, marks):
    frames = data.draw(streams(marks=marks))
    sent = [each for frame in frames for each in frame.packets]
    jitter = JitterBuffer(packets.vp8, VIDEO)
    events = received(jitter, data.draw(disturbed(sent, loss=False)), spacing_us=10)
    if not marks and len(frames) == 1:  # nothing tells yet how this sender's frames end
        frames = []
    assert [frame.data for frame in events] == [frame.data for frame in frames]
    assert [frame.timestamp - events[0].timestamp for frame in events] == [6_000 * n for n in range(len(frames))]


@given(st.data())
def test_under_loss_frames_are_whole_in_order_and_every_loss_is_told(data):
    frames = data.draw(streams(marks=True))
    sent = [each for frame in frames for each in frame.packets]
    arrivals = data.draw(disturbed(sent, loss=True))
    events = received(JitterBuffer(packets.vp8, VIDEO), arrivals)
    whole = [frame.data for frame in frames]
    came = [frame.data for frame in frames_of(events)]
    assert came == [data for data in whole if data in came]
    # Two frames that come out next to each other, with no loss told between, were sent next to each other.
    numbers = [None if isinstance(event, Lost) else whole.index(event.data) for event in events]
    for before, after in pairwise(numbers):
        assert before is None or after is None or after == before + 1


@given(st.data())
def test_a_frame_of_which_everything_came_in_order_is_never_lost(data):
    frames = data.draw(streams(marks=True))
    sent = [each for frame in frames for each in frame.packets]
    dropped = data.draw(st.sets(st.integers(1, max(1, len(sent) - 1))))
    arrivals = [each for number, each in enumerate(sent) if number not in dropped]
    came = {frame.data for frame in frames_of(received(JitterBuffer(packets.vp8, VIDEO), arrivals))}
    kept = set(map(id, arrivals))
    for frame in frames:
        assert (frame.data in came) == all(id(each) in kept for each in frame.packets)


HOSTILE = st.builds(
    RtpPacket,
    marker=st.booleans(),
    payload_type=st.just(96),
    sequence=SEQUENCE,
    timestamp=st.integers(0, 3) | TIMESTAMP,
    ssrc=st.just(1),
    payload=st.binary(max_size=12),
    extensions=st.just(b""),
    extension_profile=st.just(0),
)


ARRIVALS = st.lists(st.tuples(HOSTILE, st.integers(-50_000, 200_000)), max_size=120)


@given(ARRIVALS, st.sampled_from([packets.vp8, packets.h264]))
def test_hostile_packets_never_raise_and_memory_stays_bounded(arrivals, piece):
    limits = Limits(packets=4, wait_us=100_000)
    jitter = JitterBuffer(piece, limits)
    now = 1_000_000
    for each, gap in arrivals:
        now += gap
        jitter.put(each, now)
        assert len(jitter.order._held) <= limits.packets
        assert len(jitter.order.to_ask_for(now)) <= limits.packets
        jitter.due(now)
    jitter.due(now + limits.wait_us)
    assert not jitter.order.waiting


@given(st.lists(st.tuples(SEQUENCE, st.integers(0, 50_000)), max_size=100))
def test_no_packet_is_given_out_twice_or_out_of_its_order(arrivals):
    order = PacketOrder[tuple[int, int]](capacity=16, wait_us=100_000)
    now, given_out = 0, []
    for number, (sequence, gap) in enumerate(arrivals):
        now += gap
        given_out += order.put(sequence, (number, sequence), now)
    given_out += order.due(now + 100_000)
    items = [item for item in given_out if not isinstance(item, Lost)]
    assert len({number for number, _ in items}) == len(items)
    for before, after in pairwise(given_out):
        if not isinstance(before, Lost) and not isinstance(after, Lost):
            assert (after[1] - before[1]) & 0xFFFF == 1


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_refused(data):
    try:
        found = packets.parse(data)
    except PacketError:
        return
    assert len(found.payload) + len(found.extensions) + 12 <= len(data)
    for identifier in range(16):
        packets.extension(found, identifier)
    for piece in (packets.vp8, packets.h264):
        try:
            piece(found.payload)
        except PacketError:
            continue


@given(st.lists(st.tuples(st.sampled_from(["key", "delta", "lost", "ask"]), st.integers(0, 400_000)), max_size=60))
def test_no_frame_is_decoded_between_a_loss_and_a_key_frame_but_out_of_patience(events):
    stream, now, broken_since, asked = Continuity(), 0, 0, None
    for what, gap in events:
        now += gap
        if what == "lost":
            broken_since = now if broken_since is None else broken_since
            stream.lost(now)
        elif what == "ask":
            if stream.should_ask(now):
                assert stream.broken
                assert asked is None or now - asked >= 500_000
                asked = now
        elif stream.admits(what == "key", now):
            if what == "key":
                asked = None
            else:
                assert broken_since is None or now - broken_since >= PATIENCE_US
            broken_since = None


@given(st.lists(st.tuples(SEQUENCE, TIMESTAMP, st.integers(0, 10**9)), max_size=60))
def test_reports_fit_their_fields(arrivals):
    statistics, now = ReceptionStatistics(90_000), 0
    for sequence, timestamp, gap in arrivals:
        now += gap
        statistics.add(sequence, timestamp, now)
        report = statistics.report()
        assert 0 <= report.fraction_lost <= 255
        assert -(1 << 23) <= report.packets_lost < 1 << 23
        assert 0 <= report.highest_sequence < 1 << 32
        assert 0 <= report.jitter < 1 << 32
