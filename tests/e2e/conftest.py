"""The whole product, and what browsers on its page need. Each module that asks gets a deployment of its own."""

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.deployment import Deployment
from cli.sample import Sample, prepare
from tests.support.browser import FakeDevices, fake_devices, require_browser
from tests.support.deployments import running_product, told_by
from tests.support.prerequisites import required

SMILING_S = (0.5, 9.5)
"""When the sample shows the face, before it first blinks to black."""


PRODUCT = pytest.StashKey[Deployment]()
"""The deployment that tests use at the moment."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Every part of the product, and a page for browsers."""
    require_browser()
    with ExitStack() as stack:
        with required():
            product = stack.enter_context(running_product(tmp_path_factory.mktemp("page")))
        request.config.stash[PRODUCT] = product
        stack.callback(request.config.stash.__delitem__, PRODUCT)
        yield product


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what the product's parts have to say, not only what the browser saw."""
    report = yield
    product = item.config.stash.get(PRODUCT, None)
    if report.failed and product is not None:
        report.sections.append(("the product's parts", told_by(product)))
    return report


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
