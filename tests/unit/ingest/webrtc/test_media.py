"""A peer's media on its way to the intake: numbers, holes, and sound that waits for what completes a hop."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.admission import Refused
from ingest.clockmap import LiveTimeline
from ingest.webrtc.media import NEAR_US, PeerMedia, completes_hop
from ingest.webrtc.receiving.sink import Picture, Sound
from runtime.clock import ManualClock
from runtime.metrics import Metrics
from schemas.vocabulary import Modality, Outcome

GRID_US = 1_800_000_000_000_000
"""An end of a hop: a multiple of 40 ms."""

PACKET = b"\1\0" * 320


class FakeIntake:
    """Takes everything, unless there is no room or it is told to refuse."""

    def __init__(self):
        self.taken, self.room, self.refuses = [], True, False

    def offer_placed(self, media):
        if self.refuses:
            raise Refused(Outcome.NO_CONSENT, "withdrawn")
        if self.room:
            self.taken.append(media)
        return self.room


class Bench:
    """A PeerMedia with all that is around it."""

    def __init__(self, phase_us):
        self.clock = ManualClock(GRID_US + phase_us)
        self.metrics = Metrics("ingest")
        self.intake = FakeIntake()
        self.notes = []
        self.grant = type("Grant", (), {"started_at_us": GRID_US})
        self.session_id, self.last_sequence = "s", {}
        self.media = PeerMedia(self, self, LiveTimeline(), self)
        self._timestamp = 0

    def note(self, session_id, modality, outcome, sequence=-1, count=1):
        del session_id
        self.notes.append((modality, outcome, sequence, count))

    def hear(self, count=1, lost=0):
        """``count`` packets of 20 ms, each received when it has been spoken; before them ``lost`` that are missing."""
        self._timestamp += lost * 960
        self.clock.advance(us=lost * 20_000)
        for _ in range(count):
            self.clock.advance(us=20_000)
            self.media.sound(Sound(PACKET, self._timestamp, 48_000, self.clock.now_us()))
            self._timestamp += 960


@pytest.mark.parametrize("phase_us", [5_000, 10_000, 15_000])
def test_two_packets_are_one_record_that_completes_a_hop(phase_us):
    # Captured is the arrival, as far as is known: a packet begins when it is there.
    bench = Bench(phase_us)
    bench.hear(20)
    assert {len(media.payload) for media in bench.intake.taken[1:]} == {1_280}
    assert [media.sequence for media in bench.intake.taken] == list(
        range(bench.intake.taken[0].sequence, bench.intake.taken[0].sequence + len(bench.intake.taken))
    )
    for media in bench.intake.taken:
        end_us = media.captured_us + len(media.payload) * 1_000 // 32
        assert media.captured_us // 40_000 < end_us // 40_000
    assert bench.notes == []


@pytest.mark.parametrize("phase_us", [0, NEAR_US // 2, 40_000 - NEAR_US // 2])
def test_near_a_hops_end_nothing_waits(phase_us):
    bench = Bench(phase_us)
    bench.hear(10)
    assert len(bench.intake.taken) == 10


@given(st.integers(0, 39_999), st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=8))
def test_no_packet_is_lost_and_none_waits_longer_than_the_next(phase_us, speech):
    bench = Bench(phase_us)
    sent = 0
    for count, lost in speech:
        bench.hear(count, lost)
        sent += count
        heard = sum(len(media.payload) for media in bench.intake.taken)
        assert heard >= (sent - 1) * len(PACKET)
    bench.media.finish()
    assert sum(len(media.payload) for media in bench.intake.taken) == sent * len(PACKET)
    sequences = [media.sequence for media in bench.intake.taken]
    assert sequences == sorted(set(sequences))


def test_missing_sound_leaves_a_hole_in_the_numbers():
    bench = Bench(10_000)
    bench.hear(3)
    bench.hear(4, lost=2)
    bench.media.finish()
    sequences = [media.sequence for media in bench.intake.taken]
    assert max(after - before for before, after in pairwise(sequences)) == 2


def test_what_finds_no_room_waits_in_order_and_is_accounted_for():
    bench = Bench(0)
    bench.intake.room = False
    for number in range(4):
        bench.media.picture(Picture(b"jpeg", 640, 480, number * 6_000, bench.clock.now_us()))
    first = bench.intake.taken
    assert first == []
    assert [(modality, outcome) for modality, outcome, _, _ in bench.notes] == [
        (Modality.FACE, Outcome.REPLACED_BY_NEWER)
    ] * 2
    bench.intake.room = True
    bench.media.finish()
    assert len(bench.intake.taken) == 2
    assert len({*[s for _, _, s, _ in bench.notes], *[media.sequence for media in bench.intake.taken]}) == 4


def test_what_is_refused_at_the_end_is_noted():
    bench = Bench(10_000)
    bench.hear(1)
    bench.intake.refuses = True
    bench.hear(1)
    bench.media.finish()
    held = sum(len(media.payload) for media in bench.intake.taken)
    noted = [(outcome, count) for _, outcome, _, count in bench.notes]
    assert held + 640 * len(noted) <= 2 * 640
    assert {outcome for outcome, _ in noted} <= {Outcome.NO_CONSENT}


@given(st.integers(0, 1 << 50), st.integers(1_000, 100_000))
def test_what_spans_a_hops_end_completes_it(begin_us, length_us):
    end_us = begin_us + length_us
    if end_us // 40_000 > begin_us // 40_000:
        assert completes_hop(begin_us, end_us)
    elif begin_us % 40_000 > 2 * NEAR_US and end_us % 40_000 < 40_000 - 2 * NEAR_US:
        assert not completes_hop(begin_us, end_us)
