import sys

import pytest

from benchmarks.processes import Candidate, CandidateError, Program, environment


def program(tmp_path, text):
    return Program([sys.executable, "-c", text], environment(), tmp_path)


def test_a_candidate_is_watched_and_ended(tmp_path):
    text = "import time; print('READY', flush=True); time.sleep(60)"
    with Candidate(program(tmp_path, text), tmp_path / "said.txt") as candidate:
        candidate.wait_for(lambda: "READY" in candidate.said(), deadline_s=30)
        assert candidate.running
        assert candidate.cpu_s() >= 0
    assert not candidate.running


def test_a_candidate_that_ends_says_why(tmp_path):
    with (
        Candidate(program(tmp_path, "raise SystemExit('no topic')"), tmp_path / "said.txt") as candidate,
        pytest.raises(CandidateError, match="no topic"),
    ):
        candidate.wait_for(lambda: False, deadline_s=30)
