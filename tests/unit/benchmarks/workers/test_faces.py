"""A fast wrong answer is a failure: what the benchmark refuses to measure."""

import pytest

from benchmarks.processes import CandidateError
from benchmarks.workers.faces import check_seen
from cli.sample import GroundTruth

TRUTH = GroundTruth(10.0, 30, 640, 480, face_visible=((0.0, 4.0), (6.0, 10.0)), speech=((2.0, 8.0),))
TIMES = [number / 10 for number in range(100)]


def test_an_engine_that_sees_what_is_shown():
    check_seen(TRUTH, [(at_s, TRUTH.shows_face(at_s)) for at_s in TIMES])
    # A picture early or late where the truth changes is no fault.
    check_seen(TRUTH, [(at_s, TRUTH.shows_face(at_s + 0.05)) for at_s in TIMES])


@pytest.mark.parametrize("answer", [True, False])
def test_an_engine_that_always_says_the_same(answer):
    with pytest.raises(CandidateError, match="pictures only"):
        check_seen(TRUTH, [(at_s, answer) for at_s in TIMES])


def test_nothing_seen_is_nothing_measured():
    with pytest.raises(CandidateError, match="0 of 0"):
        check_seen(TRUTH, [])
