"""The benchmark itself, in small: it must run, and its counts add up; the figures are not judged here."""

import pytest

from benchmarks.ingest.bench import Plan, measure
from cli import sample
from tests.support.prerequisites import required


@pytest.mark.timeout(600)
def test_both_receivers_on_real_kafka(settings):
    said = []
    with required():
        sample.prepare(settings, said.append)
    plan = Plan(
        sessions=2, stock_sessions=1, latency_sessions=1, seconds=3.0, repeats=1, codecs=("H264",), least_kept=0.0
    )
    results = measure(settings, plan, said.append)
    keys = results.keys()
    assert {"sessions_per_core", "frame_p95_ms", "vs_stock_aiortc"} <= keys.keys()
    own, stock = results.runs
    assert (own.receivers, own.sessions, stock.receivers, stock.sessions) == ("own", 2, "stock", 1)
    assert own.outcomes["used"] > 0
    assert stock.outcomes["used"] > 0
    assert keys["sessions_per_core"] > 0
    assert keys["frame_p95_ms"] > 0
    assert said
