import itertools

import pytest

from benchmarks.fusion.measure import Point, Run, Spread, follow, steady
from benchmarks.fusion.signals import RecordedLog
from benchmarks.processes import CandidateError


class FakeCandidate:
    """Uses a tenth of a second of processor time for each look."""

    def __init__(self, ends_after=1_000):
        self._looks = 0
        self._ends_after = ends_after

    def cpu_s(self):
        self._looks += 1
        return 5.0 + self._looks / 10

    def require_running(self):
        if self._looks >= self._ends_after:
            raise CandidateError("ended")


def test_a_run_is_followed_to_its_last_frame():
    counts = itertools.chain([0, 10, 10, 30], itertools.repeat(30))
    course = follow(FakeCandidate(), lambda: next(counts), wanted=30, cpu_before_s=5.0)
    assert [point.frames for point in course] == [0, 10, 30]
    assert course[-1].cpu_s == pytest.approx(0.4)


def test_a_candidate_that_ends_before_its_last_frame_fails():
    with pytest.raises(CandidateError, match="ended"):
        follow(FakeCandidate(ends_after=3), lambda: 0, wanted=30, cpu_before_s=5.0)


def test_the_steady_cost_leaves_the_first_third_out():
    course = [Point(0.0, 0.0, 0), Point(1.0, 5.0, 100), Point(2.0, 6.0, 200), Point(3.0, 7.0, 300)]
    assert steady(course) == pytest.approx(3.0)
    assert steady([Point(0.0, 2.0, 300)]) == 2.0


def test_the_cost_of_a_session_second():
    log = RecordedLog(sessions=10, seconds=5)
    run = Run("ours", log, 1.0, 1.0, 1.0, 0.5, 0)
    assert run.us_a_session_second == pytest.approx(10_000)
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
