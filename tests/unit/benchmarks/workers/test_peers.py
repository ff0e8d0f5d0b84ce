"""A fast wrong answer is a failure: what the benchmark refuses to measure."""

import pytest

from benchmarks.processes import CandidateError
from benchmarks.workers.peers import check_same

BOX = (0.25, 0.25, 0.5, 0.5)


def test_a_peer_must_find_the_same_faces():
    check_same([BOX] * 100, [BOX] * 99 + [None])
    check_same([BOX], [(0.27, 0.27, 0.5, 0.5)])
    with pytest.raises(CandidateError, match="98 of 100 faces"):
        check_same([BOX] * 100, [*[BOX] * 98, None, (0.0, 0.0, 0.2, 0.2)])
