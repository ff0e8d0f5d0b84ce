import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.supervisor import ChildSpec, Supervisor
from runtime.errors import AffectstreamError
from tests.support.prerequisites import REPOSITORY
from tests.support.waiting import eventually

OBEDIENT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)
BROKEN = "raise SystemExit('I cannot work like this')"


def spec(tmp_path: Path, name: str, program: str) -> ChildSpec:
    log_path = tmp_path / f"{name}.log"
    return ChildSpec(
        name=name,
        command=[sys.executable, "-c", program],
        environment=dict(os.environ),
        log_path=log_path,
        ready=lambda _since_s: log_path.exists() and "up" in log_path.read_text(),
    )


@pytest.fixture
def supervisor():
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop(deadline_s=0.0)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def polled(supervisor: Supervisor, condition):
    def check():
        supervisor.poll()
        return condition()

    return eventually(check, deadline_s=10)


def test_a_killed_child_is_started_again(supervisor, tmp_path):
    child = supervisor.add(spec(tmp_path, "a", OBEDIENT))
    supervisor.wait_ready(["a"], deadline_s=10)
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    polled(supervisor, lambda: child.restarts == 1 and child.state == "ready")
    assert child.process.pid != first
    assert child.last_exit == -signal.SIGKILL


def test_a_child_that_cannot_run_is_tried_ever_more_slowly_and_named(supervisor, tmp_path):
    child = supervisor.add(spec(tmp_path, "b", BROKEN))
    with pytest.raises(AffectstreamError, match=r"(?s)b is not ready.*I cannot work like this"):
        supervisor.wait_ready(["b"], deadline_s=2.0)
    # Pauses of 0.05, 0.1, 0.2, 0.4, 0.8 s: a sixth of 1.6 s cannot be over.
    assert 2 <= child.restarts <= 5


def test_stop_leaves_nothing_running_even_of_the_stubborn(supervisor, tmp_path):
    children = [supervisor.add(spec(tmp_path, "a", OBEDIENT)), supervisor.add(spec(tmp_path, "s", STUBBORN))]
    supervisor.wait_ready(["a", "s"], deadline_s=10)
    pids = [child.process.pid for child in children]
    started = time.monotonic()
    supervisor.stop(deadline_s=0.5)
    assert time.monotonic() - started < 3
    assert all(gone(pid) for pid in pids)
    assert [child.last_exit for child in children] == [0, -signal.SIGKILL]
    supervisor.poll()
    assert all(child.process is None for child in children)


def test_children_end_with_a_supervisor_that_is_killed(tmp_path):
    program = (
        "import os, sys, time; from pathlib import Path; from cli.supervisor import *\n"
        f"s = Supervisor(); log = Path({str(tmp_path)!r}) / 'log'\n"
        f"spec = ChildSpec('a', [sys.executable, '-c', {OBEDIENT!r}], dict(os.environ), log,\n"
        "                 lambda _: log.exists() and 'up' in log.read_text())\n"
        "child = s.add(spec); s.wait_ready(['a'], deadline_s=20); print(child.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    eventually(lambda: gone(pid), what="the orphan ends")
