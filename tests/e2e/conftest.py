"""The whole product, and what browsers on its page need. Each module that asks gets a deployment of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.deployment import Deployment
from cli.sample import Sample, prepare
from inference_workers import models
from runtime.settings import Settings
from tests.support.browser import FakeDevices, fake_devices, require_browser
from tests.support.prerequisites import cache_dir, required

SMILING_S = (0.5, 9.5)
"""When the sample shows the face, before it first blinks to black."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Every part of the product, and a page for browsers."""
    require_browser()
    settings = Settings.from_env({}, data_dir=tmp_path_factory.mktemp("page"), cache_dir=cache_dir(), partitions=2)
    with required():
        models.pull(settings)
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        deployment = Deployment(settings, environ, port=0)
        deployment.start(print)
    yield deployment
    deployment.stop()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ``PAGE_SHOTS``, to look at them afterwards, or a temporary folder."""
    chosen = os.environ.get("PAGE_SHOTS")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("shots")


@pytest.fixture(scope="module")
def sample(deployment: Deployment) -> Sample:
    """A film of a face and a voice."""
    with required():
        return prepare(deployment.settings, print)


@pytest.fixture(scope="module")
def devices(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> FakeDevices:
    """A camera that shows a smiling face, and a microphone that hears a voice."""
    start_s, end_s = SMILING_S
    return fake_devices(sample, tmp_path_factory.mktemp("devices"), start_s=start_s, end_s=end_s)
