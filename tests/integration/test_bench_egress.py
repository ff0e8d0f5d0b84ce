"""The benchmark itself, in small: it must run and check its frames; the figures are not judged here."""

import os

import pytest

from benchmarks.egress.bench import Plan, measure
from benchmarks.processes import CandidateError


@pytest.mark.timeout(300)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="TOO FEW CORES: one for egress, one for the load")
def test_every_frame_reaches_every_client(settings):
    said = []
    try:
        keys = measure(settings, Plan(clients=20, sessions=(5,), seconds=3.0), said.append).keys()
    except CandidateError as error:
        if "the machine is too busy" in str(error):
            pytest.skip(f"TOO BUSY TO MEASURE: {error}")
        raise
    assert keys["clients"] == 20
    assert keys["p99_ms"] > 0
    assert keys["runs"][0]["frames"] == 20 * 88
    assert keys["runs"][0]["cpu_share"]["egress"] > 0
    assert said
