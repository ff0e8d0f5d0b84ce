import math

import pytest
from prometheus_client import generate_latest

from cli.telemetry import Samples, quantile, since
from runtime.metrics import Metrics


def page_of(metrics: Metrics) -> Samples:
    return Samples.parse(generate_latest(metrics.registry).decode())


def test_reads_what_a_role_serves():
    metrics = Metrics("fusion")
    metrics.count("records_out_total", 3, topic="avatar.frames")
    metrics.count("records_out_total", 2, topic="ledger")
    metrics.ready(True)
    samples = page_of(metrics)
    assert samples.total("records_out_total", topic="avatar.frames") == 3
    assert samples.total("records_out_total") == 5
    assert samples.ready("fusion")
    assert not samples.ready("egress")


def test_a_role_that_does_not_answer_is_not_ready():
    assert not Samples().ready("fusion")
    assert Samples().total("records_out_total") == 0


def test_quantiles_interpolate_within_a_bucket():
    metrics = Metrics("egress")
    for ms in range(1, 101):
        metrics.observe("hop_seconds", ms / 1000, hop="whole")
    buckets = page_of(metrics).buckets("hop_seconds", hop="whole")
    assert quantile(buckets, 0.5) == pytest.approx(0.05, abs=0.002)
    assert quantile(buckets, 0.95) == pytest.approx(0.095, abs=0.005)


@pytest.mark.parametrize("buckets", [{}, {0.1: 0.0, math.inf: 0.0}])
def test_an_empty_histogram_has_no_quantile(buckets):
    assert quantile(buckets, 0.5) is None


def test_beyond_the_last_bound_the_last_bound_is_told():
    assert quantile({0.1: 1.0, 10.0: 1.0, math.inf: 100.0}, 0.95) == 10.0


def test_since_subtracts_and_survives_a_restart():
    assert since({0.1: 5.0, math.inf: 8.0}, {0.1: 2.0, math.inf: 3.0}) == {0.1: 3.0, math.inf: 5.0}
    assert since({0.1: 1.0, math.inf: 1.0}, {0.1: 2.0, math.inf: 3.0}) == {0.1: 1.0, math.inf: 1.0}
