from contextlib import contextmanager

import numpy as np
import pytest

from inference_workers.face import CAPACITY, FORGET_AFTER_US, FaceProcessor
from inference_workers.processing import Taken
from runtime.guardian import Watch
from runtime.metrics import Metrics
from schemas.records import VideoFrame
from schemas.vocabulary import Outcome
from tests.support.faces import jpeg
from tests.support.fake_face_engine import FakeFaceEngine
from tests.support.fake_outbox import FakeOutbox

T0 = 1_800_000_000_000_000
MS = 1_000
GREY = jpeg(np.full((16, 16, 3), 128, np.uint8))
HATED = jpeg(np.dstack([np.full((16, 16), 0, np.uint8)] * 2 + [np.full((16, 16), 255, np.uint8)]), quality=100)


class Bench:
    """A processor with a fake engine, and a session feed."""

    def __init__(self, max_batch: int = 4) -> None:
        self.engine = FakeFaceEngine(max_batch)
        self.metrics = Metrics("face-worker")
        self.processor = FaceProcessor(self.engine, self.metrics)
        self.outbox = FakeOutbox()
        self.offset = 0

    def give(self, session: str, sequence: int, ms: int, data: bytes = GREY, *, ahead_ms: int = -20, **fields) -> None:
        at = T0 + ms * MS
        frame = VideoFrame(at + ahead_ms * MS, at, at, 16, 16, sequence, session, data)
        self.processor.accept(Taken(frame, fields.get("partition", 0), self.offset, at, fields.get("accounted", False)))
        self.offset += 1

    def run(self, ms: int):
        return self.processor.run(T0 + ms * MS, self.outbox)

    def outcomes(self, session: str):
        return [(sequence, outcome) for name, sequence, outcome in self.outbox.accounts if name == session]


@pytest.fixture
def bench():
    return Bench()


def test_a_picture_waits_for_its_batch_and_becomes_a_signal(bench):
    bench.give("a", 7, 100)
    assert bench.run(101) == T0 + 105 * MS
    assert bench.outbox.signals == []
    assert bench.run(105) is None
    (sent,) = bench.outbox.signals
    assert (sent.session_id, sent.sequence, sent.captured_at_us) == ("a", 7, T0 + 80 * MS)
    assert sent.payload.face_detected
    assert bench.outcomes("a") == [(7, Outcome.USED)]


def test_an_engine_that_does_not_batch_never_waits():
    bench = Bench(max_batch=1)
    bench.give("a", 0, 100)
    bench.give("b", 0, 100)
    assert bench.run(100) == 0  # more is due at once
    assert bench.run(100) is None
    assert bench.engine.calls == [1, 1]


def test_a_batch_is_of_many_sessions(bench):
    for session in "abcd":
        bench.give(session, 0, 100)
    bench.run(100)
    assert bench.engine.calls == [4]


def test_each_session_has_its_own_state(bench):
    for sequence in range(3):
        for session in "ab":
            bench.give(session, sequence, 100 + 33 * sequence)
        bench.run(105 + 33 * sequence)
    tracks = [(sent.session_id, sent.payload.track_id) for sent in bench.outbox.signals]
    assert tracks == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]


def test_a_bad_picture_is_told_and_set_aside_and_the_others_go_on(bench):
    bench.give("a", 0, 100, b"\xff\xd8 rubbish")
    bench.give("b", 0, 100)
    bench.run(110)
    assert bench.outcomes("a") == [(0, Outcome.UNDECODABLE)]
    assert bench.outcomes("b") == [(0, Outcome.USED)]
    assert bench.outbox.letters == [(0, "10 bytes: not a JPEG: no frame header")]


def test_a_picture_that_breaks_the_engine_costs_only_itself(bench):
    bench.give("a", 0, 100)
    bench.give("b", 0, 100, HATED)
    bench.run(110)
    assert bench.outcomes("a") == [(0, Outcome.USED)]
    assert bench.outcomes("b") == [(0, Outcome.ENGINE_ERROR)]
    bench.give("b", 1, 133)
    bench.run(140)
    assert bench.outcomes("b")[-1] == (1, Outcome.USED)


def test_behind_a_live_session_goes_on_with_its_newest_picture(bench):
    for sequence in range(30):
        bench.give("a", sequence, 33 * sequence)
    bench.give("b", 0, 990)
    while bench.run(1_000) is not None:
        pass
    outcomes = bench.outcomes("a")
    assert sorted(sequence for sequence, _ in outcomes) == list(range(30))
    assert outcomes[-1] == (29, Outcome.USED)
    assert sum(outcome is Outcome.STALE for _, outcome in outcomes) >= 20
    assert bench.outcomes("b") == [(0, Outcome.USED)]


def test_keeping_up_nothing_is_stale(bench):
    for sequence in range(100):
        bench.give("a", sequence, 33 * sequence)
        bench.run(33 * sequence + 6)
    assert {outcome for _, outcome in bench.outcomes("a")} == {Outcome.USED}


def test_a_recording_played_fast_loses_nothing_but_is_not_taken_faster_than_it_is_worked_off(bench):
    for sequence in range(CAPACITY):
        bench.give("a", sequence, 10 * sequence, ahead_ms=1_000)
    assert bench.processor.room() == 0
    bench.processor.settle(T0, bench.outbox)
    assert bench.processor.room() == CAPACITY
    assert bench.outcomes("a") == [(sequence, Outcome.USED) for sequence in range(CAPACITY)]


def test_settling_leaves_nothing_without_an_outcome(bench):
    bench.give("a", 0, 100)
    bench.give("a", 1, 1_000)
    bench.give("b", 0, 1_000)
    bench.processor.settle(T0 + 1_001 * MS, bench.outbox)
    assert bench.outcomes("a") == [(0, Outcome.STALE), (1, Outcome.USED)]
    assert bench.outcomes("b") == [(0, Outcome.USED)]
    assert bench.processor.needed_from(0) is None


def test_a_revoked_partition_is_forgotten(bench):
    bench.give("a", 0, 100, partition=3)
    bench.give("b", 0, 100, partition=4)
    bench.run(110)
    bench.processor.forget([3])
    bench.give("a", 1, 133, partition=3)
    bench.give("b", 1, 133, partition=4)
    bench.run(140)
    assert [sent.payload.track_id for sent in bench.outbox.signals] == [1, 1, 1, 2]


def test_a_session_that_is_silent_is_freed(bench):
    bench.give("a", 0, 0)
    bench.run(10)
    bench.give("a", 1, FORGET_AFTER_US // MS + 20_000)
    bench.run(FORGET_AFTER_US // MS + 20_010)
    assert bench.outbox.signals[-1].payload.track_id == 1


def test_what_waits_of_an_erased_session_is_accounted_and_its_state_freed(bench):
    bench.give("a", 0, 100)
    bench.run(105)
    bench.give("a", 1, 110)
    bench.give("b", 0, 110)
    bench.processor.erase(lambda session: session == "a", bench.outbox)
    bench.run(115)
    assert bench.outcomes("a") == [(0, Outcome.USED), (1, Outcome.ERASED)]
    assert bench.outcomes("b") == [(0, Outcome.USED)]
    assert set(bench.processor._sessions) == {"b"}


def test_a_picture_that_a_predecessor_ended_on_is_not_tried_again():
    class Suspicious(Watch):
        def suspected(self, item):
            return item == "a 1"

    bench = Bench(max_batch=1)
    bench.processor = FaceProcessor(bench.engine, bench.metrics, Suspicious())
    for sequence in range(3):
        bench.give("a", sequence, 100 + sequence)
        bench.run(100 + sequence)
    assert bench.outcomes("a") == [(0, Outcome.USED), (1, Outcome.ENGINE_ERROR), (2, Outcome.USED)]
    assert bench.engine.calls == [1, 1]


def test_the_watch_is_told_which_pictures_the_engine_is_at():
    told = []

    class Listening(Watch):
        @contextmanager
        def over(self, items):
            told.append(list(items))
            yield

    bench = Bench(max_batch=4)
    bench.processor = FaceProcessor(bench.engine, bench.metrics, Listening())
    bench.give("a", 7, 100)
    bench.give("b", 3, 100)
    bench.run(105)
    assert told == [["a 7"], ["b 3"], ["a 7", "b 3"]]
