"""The containers' health check, against the metrics page of a role."""

import runpy

import pytest

from runtime.metrics import Metrics
from tests.support.prerequisites import REPOSITORY
from tests.support.processes import free_port

ready = runpy.run_path(str(REPOSITORY / "infra" / "docker" / "healthcheck.py"))["ready"]


@pytest.mark.parametrize("is_ready", [True, False])
def test_it_says_what_the_role_says(is_ready):
    metrics = Metrics("fusion")
    metrics.ready(is_ready)
    assert ready(metrics.serve("127.0.0.1", 0)) is is_ready


def test_nobody_there_is_not_ready():
    assert ready(free_port()) is False
