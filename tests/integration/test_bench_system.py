"""The benchmark itself, in small: every hop accounts for what came in; the figures are not judged here."""

import pytest

from benchmarks.system.bench import Plan, measure


@pytest.mark.timeout(300)
def test_the_ledger_balances_at_every_hop(settings):
    said = []
    results = measure(settings, Plan(sessions=4, seconds=3.0, surge_s=2.0), said.append)
    assert results.mistakes == ()
    assert results.frames > 100
    assert results.surge is not None
    assert results.surge.admitted + sum(results.surge.refused.values()) == 8
    keys = results.keys()
    assert {"sessions", "p95_ms", "lost", "shed", "recovery_s"} <= keys.keys()
    assert keys["p95_ms"] > 0
    assert said
