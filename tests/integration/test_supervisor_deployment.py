"""The whole deployment as children of one process: on a Kafka of one's own, and with a supervisor that is killed."""

import itertools
import os
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from cli.deployment import BROKER, Deployment
from cli.roles import GUARDED, RoleName
from cli.setup import prepare_everything
from runtime.errors import AffectstreamError
from runtime.settings import Settings
from tests.support.prerequisites import REPOSITORY, cache_dir, required
from tests.support.waiting import eventually


def knowing(word: str) -> set[str]:
    """Processes that were told ``word``, by their environment or command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes() + path.with_name("cmdline").read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found - {str(os.getpid())}


@pytest.fixture
def own_kafka(broker, tmp_path):
    """Settings and environment of somebody who runs a Kafka."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "AFFECTSTREAM_TOPIC_PREFIX": f"d{uuid.uuid4().hex[:8]}.",
        "AFFECTSTREAM_PARTITIONS": "2",
        "AFFECTSTREAM_DATA_DIR": str(tmp_path),
        "AFFECTSTREAM_CACHE_DIR": str(cache_dir()),
    }
    settings = Settings.from_env(environ)
    with required():
        prepare_everything(settings, environ, print)
    return settings, environ


def test_an_own_kafka_is_used_and_stop_leaves_nothing_running(own_kafka):
    settings, environ = own_kafka
    deployment = Deployment(settings, environ, port=0)
    deployment.start(print)
    try:
        assert BROKER not in deployment.supervisor.children
        assert set(deployment.supervisor.children) == {role.value for role in RoleName}
        answer = httpx.get(f"{deployment.addresses.ingest}/v1/client-config", trust_env=False)
        assert answer.json()["egress_url"] == deployment.addresses.egress
        with pytest.raises(AffectstreamError, match="another demo uses"):
            Deployment(settings, environ, port=0).start(print)
        assert knowing(str(settings.data_dir))
    finally:
        deployment.stop()
    assert not knowing(str(settings.data_dir))


def test_every_role_ends_with_a_demo_that_is_killed(own_kafka):
    settings, environ = own_kafka
    command = [sys.executable, "-m", "cli", "demo", "--no-sample", "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, text=True) as demo:
        try:
            # It says where its logs are first.
            assert any("The page" in line for line in itertools.islice(demo.stdout, 3))
            assert len(knowing(str(settings.data_dir))) == 1 + len(RoleName) + len(GUARDED)
        finally:
            demo.kill()
    eventually(lambda: not knowing(str(settings.data_dir)), deadline_s=30, every_s=0.2, what="every role ends")
