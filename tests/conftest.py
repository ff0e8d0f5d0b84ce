"""Fixtures that every suite shares: a real broker for the session, settings with topics of the test's own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cli.broker import EmbeddedKafka, prepare
from runtime.settings import Settings
from runtime.topics import ensure_topics
from tests.support.prerequisites import REPOSITORY, cache_dir, in_ci, required

TESTS = REPOSITORY / "tests"
# How long an example takes is the machine's affair, not a law's. CI judges a change by examples that depend on the
# test alone; new ones are found where people work.
settings.register_profile("developers", deadline=None)
settings.register_profile("CI", deadline=None, derandomize=True)
settings.load_profile("CI" if in_ci() else "developers")

SUITES = ("unit", "property", "contract", "integration", "e2e", "architecture", "models")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """tests/models needs an environment of its own: it is collected only by those who name it."""
    asked = any("models" in Path(argument.split("::")[0]).parts for argument in config.args)
    return True if collection_path == TESTS / "models" and not asked else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder sets the marker."""
    for item in items:
        if item.path.is_relative_to(TESTS):
            suite = item.path.relative_to(TESTS).parts[0]
            if suite in SUITES:
                item.add_marker(suite)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A real single-node Apache Kafka for the whole session. Do not stop or kill this one: others use it."""
    with required():
        distribution = prepare(cache_dir())
    broker = EmbeddedKafka(distribution, tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def broker(kafka: EmbeddedKafka) -> str:
    """The bootstrap servers of a real Kafka."""
    return kafka.bootstrap_servers


@pytest.fixture
def settings(broker: str, tmp_path: Path) -> Settings:
    """Settings with a topic prefix and a data directory of the test's own; every topic exists, with two partitions."""
    settings = Settings.from_env(
        {},
        kafka_bootstrap_servers=broker,
        topic_prefix=f"t{uuid.uuid4().hex[:10]}.",
        partitions=2,
        open_sessions=True,
        data_dir=tmp_path / "data",
        cache_dir=cache_dir(),
    )
    settings.data_dir.mkdir()
    ensure_topics(settings)
    return settings
