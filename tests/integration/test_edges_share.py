"""Two edges that share a Redis: a session goes on at the other one when its edge is lost, and nothing ends it early."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from client import Session
from runtime.settings import Settings
from schemas.records import AudioChunk, Signal
from schemas.topics import MEDIA_AUDIO, SIGNALS
from tests.support.edges import log_of
from tests.support.processes import RoleProcess, free_port
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually_async

log = logging.getLogger(__name__)

CHUNK = bytes(1_280)  # 40 ms
CHUNK_S = 0.040


STARTS_PER_S = 0.3
"""With a burst of ten seconds' worth: three sessions at once, and the next after some seconds."""


@pytest.fixture
def edges(settings: Settings, tmp_path, request: pytest.FixtureRequest):
    """Two edges; their Redis speaks TLS to a named user. A test may ask for other settings (indirectly)."""
    with redis_server(tmp_path / "redis", tls=True) as redis:
        shared = settings.model_copy(update={"redis_url": redis.url, **getattr(request, "param", {})})
        running = []
        try:
            for name in ("a", "b"):
                port = free_port()
                own = shared.model_copy(
                    update={"instance": name, "port": port, "public_ingest_url": f"http://127.0.0.1:{port}"}
                )
                running.append(RoleProcess("ingest", own))
                running[-1].launch()
            for process in running:
                process.wait_ready()
            yield running
        finally:
            for process in running:
                process.kill()


def url_of(edge: RoleProcess) -> str:
    return f"http://127.0.0.1:{edge.settings.port}"


async def talking(session: Session, sent: list[int], stop: asyncio.Event) -> None:
    while not stop.is_set():
        sent.append(await session.send_audio(CHUNK))
        await asyncio.sleep(CHUNK_S)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_session_survives_the_loss_of_its_edge(edges, settings, how):
    first, second = edges

    async def story() -> tuple[str, list[int], float]:
        session = await Session.create([url_of(first), url_of(second)], audio=True)
        await session.connect()
        sent: list[int] = []
        stop = asyncio.Event()
        speaking = asyncio.create_task(talking(session, sent, stop))
        await eventually_async(lambda: len(sent) > 30, what="sound at the first edge")
        lost_s = time.monotonic()
        os.kill(first.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        await eventually_async(lambda: session.reconnects == 1, deadline_s=30, what="the other edge")
        back_s = time.monotonic() - lost_s
        so_far = len(sent)
        await eventually_async(lambda: len(sent) > so_far + 30, what="sound at the other edge")
        stop.set()
        await speaking
        assert await session.drained()
        await session.end()
        return session.session_id, sent, back_s

    session_id, sent, back_s = asyncio.run(story())
    log.info("edge %s: at the other one after %.2f s", how, back_s)
    assert sent == list(range(len(sent)))
    with log_of(settings, MEDIA_AUDIO, AudioChunk) as chunks:
        found = chunks.until(lambda records: {each.sequence for each in records} >= set(sent))
    # What the first edge took with it unacknowledged is sent again: nothing is missing, and a worker knows repetitions.
    assert {each.sequence for each in found} == set(sent)
    assert all(each.session_id == session_id for each in found)
    if how == "frozen":
        os.kill(first.pid, signal.SIGCONT)
    with log_of(settings, SIGNALS, Signal) as signals:
        kinds = [
            type(each.payload).__name__
            for each in signals.until(lambda records: any(type(r.payload).__name__ == "SessionEnded" for r in records))
        ]
    assert kinds == ["SessionStarted", "SessionEnded"]


def test_an_end_at_one_edge_is_an_end_at_both(edges):
    first, second = edges

    async def story() -> None:
        here = await Session.create(url_of(first), audio=True)
        await here.connect()
        await here.send_audio(CHUNK)
        there = Session(url_of(second), here.opened, "live")
        await there.delete()
        # The edge that serves it hears of that, and closes the connection for good.
        await eventually_async(lambda: here._link is not None and here._link.done(), deadline_s=30, what="an end")
        await here.close()

    asyncio.run(story())


@pytest.mark.parametrize("edges", [{"starts_per_s": STARTS_PER_S}], indirect=True)
def test_starts_are_counted_over_both_edges(edges):
    # Side by side: within a few seconds there is room for another one.
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda edge: httpx.post(f"{url_of(edge)}/v1/sessions", json={}), edges * 4))
    codes = Counter(answer.status_code for answer in answers)
    # Each for itself they would have let six start, at once.
    assert codes.keys() == {201, 429}
    assert codes[201] in {3, 4}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 429} == {"too_fast"}
