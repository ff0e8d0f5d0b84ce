"""A few faults of ``affectstream verify faults`` on the whole product; the command tries all."""

import logging
import os

import pytest

from cli.faults.catalogue import SHORT
from cli.faults.stage import Stage
from cli.faults.suite import told, try_all
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required

log = logging.getLogger(__name__)


@pytest.mark.timeout(500)
def test_faults_lose_and_double_nothing(tmp_path):
    settings = Settings.from_env({}, data_dir=tmp_path, cache_dir=cache_dir(), partitions=2)
    with required(), Stage(settings, os.environ, log.info) as stage:
        suite = try_all(stage, log.info, only=SHORT, longer=False)
    assert {outcome.key: told(outcome) for outcome in suite.outcomes if not (outcome.ok or outcome.skipped)} == {}
    assert any(not outcome.skipped for outcome in suite.outcomes)
