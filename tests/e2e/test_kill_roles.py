"""SIGKILL every part in turn while a session streams: the stream resumes, and no row is lost or doubled.

On an idle machine with two cores frames flow again within 4 s of every kill (the log says after how long). Timings do
not gate tests, for machines that run tests are not idle: the deadlines here only end a test that hangs.
"""

import logging
import os
import signal
import time

import pytest

from cli.deployment import BROKER, Deployment
from cli.play import SamplePlayer
from cli.roles import RoleName
from cli.sample import prepare
from cli.setup import prepare_everything
from cli.verdict import Auditor
from runtime.clock import SystemClock
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

RESUME_S = 60.0
READY_S = 60.0
STEADY_S = 2.0
PICTURES_PER_S = 30


@pytest.fixture
def deployment(tmp_path):
    settings = Settings.from_env({}, data_dir=tmp_path, cache_dir=cache_dir(), partitions=2)
    with required():
        # Only what a process needs to run: settings of the shell must not get into the roles.
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        prepare_everything(settings, environ, print)
        deployment = Deployment(settings, environ, port=0)
        deployment.start(print)
    yield deployment
    deployment.stop()


@pytest.mark.timeout(600)
def test_a_session_survives_the_death_of_every_part(deployment):
    with required():
        sample = prepare(deployment.settings, print)
    player = SamplePlayer(deployment.addresses.ingest, sample)
    player.start()
    supervisor = deployment.supervisor

    def polled(condition, deadline_s: float, what: str) -> float:
        """Seconds until the condition holds, the supervisor doing its work meanwhile."""
        started_s = time.monotonic()

        def check() -> bool:
            supervisor.poll()
            assert player.running(), f"the player ended: {player.error}"
            return condition()

        eventually(check, deadline_s=deadline_s, what=what)
        return time.monotonic() - started_s

    def frames_beyond(instant_ms: float) -> bool:
        return player.observation is not None and player.observation.newest_ms > instant_ms

    polled(lambda: frames_beyond(time.time() * 1_000 - 1_000), RESUME_S, "the first frames")
    resumed_s, ready_s = {}, {}
    for name in [*(role.value for role in RoleName), BROKER]:
        child = supervisor.children[name]
        died_ms = time.time() * 1_000
        os.kill(child.process.pid, signal.SIGKILL)
        resumed_s[name] = polled(lambda at=died_ms: frames_beyond(at + 500), RESUME_S, f"frames without {name}")
        ready_s[name] = polled(
            lambda c=child: c.restarts == 1 and c.state == "ready", READY_S, f"{name} again\n{child.log_end()}"
        )
        steady_ms = time.time() * 1_000
        polled(lambda at=steady_ms: frames_beyond(at + STEADY_S * 1_000), RESUME_S + STEADY_S, f"frames after {name}")
    log.info("frames after a kill, s: %s", {name: round(s, 2) for name, s in resumed_s.items()})
    log.info("ready after a kill, s: %s", {name: round(s, 2) for name, s in ready_s.items()})

    player.stop()
    assert player.error is None
    auditor = Auditor(deployment.settings, deployment.addresses.analytics, SystemClock())
    topics, balance = auditor.settle(player.session_id, deadline_s=90, meanwhile=supervisor.poll)
    assert {topic: verdict for topic, verdict in topics.items() if not verdict.complete} == {}
    # Exact in spite of all the deaths: every number in the log has its outcome at the worker, every use its signal,
    # every signal its outcome in fusion, and no tick is missing.
    assert [check for check in balance["checks"] if not check["balanced"]] == []
    # Sound is sent again until it is safe. A picture that was under way when the edge died is gone, and is counted.
    log.info("unseen: %s", balance["unseen"])
    assert balance["unseen"]["speech"]["items"] == 0
    # No more of those than were filmed while a part was away.
    assert balance["unseen"]["face"]["items"] < PICTURES_PER_S * sum(resumed_s.values())
    assert topics["avatar.frames"].rows > 300
    assert player.observation.repeated == 0  # nor out of order
    # Nobody died but by our hand, nor was taken for dead.
    assert [name for name, child in supervisor.children.items() if "another goes on" in child.log_end(10_000)] == []
    assert {name: child.restarts for name, child in supervisor.children.items()} == dict.fromkeys(
        [BROKER, *(role.value for role in RoleName)], 1
    )
