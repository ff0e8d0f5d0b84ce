"""One small box, as it is started: ``affectstream edge``. A session through it, and nothing left of it afterwards."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cli.play import SamplePlayer
from cli.roles import GUARDED
from cli.sample import prepare
from cli.setup import prepare_everything
from client import Session
from runtime.settings import Settings
from tests.support.prerequisites import REPOSITORY, cache_dir, required
from tests.support.waiting import eventually

ROLES = {"ingest", "face-worker", "speech-worker", "fusion", "egress"}
FRAMES = 400


class Box:
    """A running ``affectstream edge``."""

    def __init__(self, process: "subprocess.Popen[str]", page: str) -> None:
        self.process = process
        self.page = page

    @property
    def parts(self) -> list[str]:
        """What runs below it: the role of each process, or ``kafka``."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            line = child.cmdline()
            found.append("kafka" if "kafka.Kafka" in line else line[-1])
        return sorted(found)


@contextmanager
def box(data_dir: Path) -> Iterator[Box]:
    """Started on ports of its own; killed at the end if it still runs."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-m", "cli", "edge", "--port", "0", "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env={**environ, "AFFECTSTREAM_CACHE_DIR": str(cache_dir()), "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"The page: (http://\S+)", line):
                yield Box(process, found[1])
                break
        else:
            pytest.fail(f"it ended with {process.wait()}:\n{''.join(said)}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def stopped(running: Box) -> int:
    """Its exit code once it was asked to stop."""
    running.process.send_signal(signal.SIGTERM)
    return running.process.wait(60)


@pytest.mark.timeout(240)
def test_a_session_goes_through_it_and_it_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = Settings.from_env({}, data_dir=tmp_path, cache_dir=cache_dir())
    with required():
        prepare_everything(settings, {}, print)
        sample = prepare(settings, print)
    with box(tmp_path) as running:
        expected = sorted([*ROLES, *(role.value for role in GUARDED), "kafka"])
        assert running.parts == expected  # and so no analytics
        below = psutil.Process(running.process.pid).children(recursive=True)

        player = SamplePlayer(running.page, sample)
        player.start()
        eventually(lambda: seen(player) >= FRAMES, deadline_s=60, every_s=0.1, what=lambda: f"{seen(player)} frames")
        player.stop()
        assert player.error is None
        assert player.observation is not None
        figures = player.observation.figures()
        assert figures["sequence_gaps"] == 0
        assert figures["happy_on_top_share"] > 0.9
        assert running.parts == expected, "nothing was restarted into something else"

        assert stopped(running) == 0
        assert not [process for process in below if process.is_running()]
    assert not (tmp_path / "clickhouse").exists()


@pytest.mark.timeout(240)
def test_each_start_begins_with_nothing(tmp_path: Path) -> None:
    """A box whose power went away starts by itself, whatever its disk has lost; and no key outlives it."""
    with required():
        prepare_everything(Settings.from_env({}, cache_dir=cache_dir()), {}, print, with_sample=False)
    with box(tmp_path) as running:
        session = asyncio.run(opened(running.page))
        running.process.kill()
    eventually(lambda: not knowing(str(tmp_path)), deadline_s=30, every_s=0.2)
    # Half of fusion's store and all of the log's end are gone, as after a power cut.
    for path in (tmp_path / "kafka" / "log").rglob("*.log"):
        os.truncate(path, 0)
    for path in (tmp_path / "fusion").rglob("*.sqlite3"):
        os.truncate(path, path.stat().st_size // 2)
    with box(tmp_path) as running:
        assert asyncio.run(opened(running.page)).session_id != session.session_id
        assert stopped(running) == 0


def seen(player: SamplePlayer) -> int:
    """Frames that came so far."""
    return 0 if player.observation is None else player.observation.frames


async def opened(page: str) -> Session:
    """A session that was started, and is left alone."""
    session = await Session.create(page, audio=True, video=True)
    await session.close()
    return session


def knowing(word: str) -> list[str]:
    """Processes that were told ``word``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes() + path.with_name("cmdline").read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return [each for each in found if each != str(os.getpid())]
