"""A fast wrong answer is a failure: what the benchmark refuses to measure."""

import pytest

from benchmarks.processes import CandidateError
from benchmarks.workers.speech import check_heard
from cli.sample import GroundTruth

TRUTH = GroundTruth(10.0, 30, 640, 480, face_visible=((0.0, 4.0), (6.0, 10.0)), speech=((2.0, 8.0),))
TIMES = [number / 10 for number in range(100)]


def test_voices():
    check_heard(TRUTH, [(at_s, TRUTH.speaks(at_s)) for at_s in TIMES])
    with pytest.raises(CandidateError, match="hops only"):
        check_heard(TRUTH, [(at_s, True) for at_s in TIMES])
