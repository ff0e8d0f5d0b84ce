"""The machine's clock is stepped by an hour under a running edge: nothing that clients or fusion see changes."""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client import Session
from runtime.settings import Settings
from schemas.records import AudioChunk, Signal
from schemas.topics import MEDIA_AUDIO, SIGNALS
from tests.support.edges import log_of
from tests.support.prerequisites import missing
from tests.support.processes import RoleProcess, free_port
from tests.support.waiting import eventually_async

CHUNK = bytes(1_280)
CHUNK_US = 40_000
HOUR_US = 3_600_000_000
CHUNKS = 40


def library() -> Path:
    """What shows a process another wall clock than the machine's, and leaves it the monotonic one."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("libfaketime (Debian: apt-get install libfaketime)")
    return found[0]


@pytest.fixture
def stepped_edge(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An edge, and what steps its wall clock to so many seconds off the machine's."""
    offset = tmp_path / "offset"
    port = free_port()
    own = settings.model_copy(update={"port": port, "public_ingest_url": f"http://127.0.0.1:{port}"})
    edge = RoleProcess("ingest", own)

    def step(seconds: int) -> None:
        offset.write_text(f"{seconds:+d}", encoding="utf-8")

    step(0)
    with monkeypatch.context() as environment:
        for name, value in {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }.items():
            environment.setenv(name, value)
        edge.launch()
    try:
        edge.wait_ready()
        yield edge, step
    finally:
        edge.kill()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_stepped_clock_changes_nothing(stepped_edge, settings: Settings, hours: int):
    edge, step = stepped_edge
    session_id, sent = asyncio.run(story(edge, step, hours))
    # The edge does see the other time: its log lines bear it.
    lines = edge.log().splitlines()
    last = time.mktime(time.strptime(lines[-1][:19], "%Y-%m-%d %H:%M:%S"))
    assert abs(last - edge.log_path.stat().st_mtime - 3_600 * hours) < 600
    with log_of(settings, MEDIA_AUDIO, AudioChunk) as chunks:
        found = chunks.until(lambda records: len(records) >= len(sent))
    times = [each.captured_at_us for each in sorted(found, key=lambda each: each.sequence)]
    assert [each.sequence for each in sorted(found, key=lambda each: each.sequence)] == sent
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert all(0 < each < HOUR_US // 60 for each in steps)
    with log_of(settings, SIGNALS, Signal) as signals:
        ended = signals.until(lambda records: any(type(r.payload).__name__ == "SessionEnded" for r in records))
    assert [(type(each.payload).__name__, each.session_id) for each in ended] == [
        ("SessionStarted", session_id),
        ("SessionEnded", session_id),
    ]
    assert ended[-1].payload.reason == "client_closed"
    assert 0 <= ended[-1].captured_at_us - times[-1] < HOUR_US // 60


async def story(edge: RoleProcess, step: Callable[[int], None], hours: int) -> tuple[str, list[int]]:
    """Somebody speaks, the clock is stepped, they speak on and leave."""
    session = await Session.create(f"http://127.0.0.1:{edge.settings.port}", audio=True)
    await session.connect()
    sent = [await session.send_audio(CHUNK) for _ in range(CHUNKS)]
    assert await session.drained()
    step(3_600 * hours)
    before = len(edge.log().splitlines())
    sent += [await session.send_audio(CHUNK) for _ in range(CHUNKS)]
    assert await session.drained()
    assert session.reconnects == 0
    await session.end()
    await eventually_async(lambda: len(edge.log().splitlines()) > before, what="the end in the edge's log")
    return session.session_id, sent
