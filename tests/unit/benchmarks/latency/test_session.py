import pytest

from benchmarks.latency.session import WARM_S, _Course, _results
from benchmarks.latency.stations import Arrival
from benchmarks.processes import CandidateError

BEGAN_US = 1_800_000_000_000_000
FIRST_TICK = BEGAN_US * 30 // 1_000_000


def hops(captured):
    return {"captured": captured, "received": captured + 2, "ingested": captured + 3, "consumed": captured + 4,
            "inferred": captured + 20}  # fmt: skip


def course(*, without=(), speech=True, seconds=8):
    """A session with 40 ms from face to client, and 50 ms from voice to client."""
    arrivals, pictures = [], []
    for n in range(30 * seconds):
        tick_us = (FIRST_TICK + n) * 1_000_000 // 30
        pictures.append(tick_us - 10_000)
        if n in without:
            continue
        told = {"face": hops(-10.0), **({"speech": hops(-20.0)} if speech else {}), "fused": 25.0, "relayed": 28.0}
        message = {"timestamp_ms": tick_us // 1_000, "sequence": n, "hops_ms": told}
        arrivals.append(Arrival(tick_us + 30_000, message))
    return _Course(pictures, arrivals, [0.0], BEGAN_US)


def test_the_slower_modality_counts():
    found = _results(course(), {})
    assert found.whole.p50 == pytest.approx(50.0, abs=0.1)
    assert found.journeys["face"].whole.p99 == pytest.approx(40.0, abs=0.1)
    assert found.unaccounted.p99 < 0.1
    assert found.frames == pytest.approx(30 * (8 - WARM_S), abs=2)


def test_missing_frames_are_told_and_many_are_an_error():
    assert _results(course(without={200}, seconds=12), {}).missing == 1
    with pytest.raises(CandidateError, match="never came"):
        _results(course(without=range(200, 210)), {})


def test_a_modality_that_does_not_count_is_an_error():
    with pytest.raises(CandidateError, match="speech counted in 0 of"):
        _results(course(speech=False), {})


def test_no_frames_are_an_error():
    with pytest.raises(CandidateError, match="no frame came"):
        _results(course(without=range(1_000)), {})
