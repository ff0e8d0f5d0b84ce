"""A broker that stands still for a while, as one does whose disk or network hangs."""

import asyncio
import os
import signal
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection

from cli.broker import EmbeddedKafka, prepare
from runtime.settings import Settings
from runtime.topics import ensure_topics
from tests.support.prerequisites import cache_dir, required


@contextmanager
def broker_to_pause(folder: Path) -> Iterator[tuple[Settings, EmbeddedKafka]]:
    """A broker of a test's own with its topics there, and settings for it; it goes on at the end."""
    with required():
        distribution = prepare(cache_dir())
    broker = EmbeddedKafka(distribution, folder / "kafka")
    broker.start()
    settings = Settings.from_env(
        {},
        kafka_bootstrap_servers=broker.bootstrap_servers,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        partitions=2,
        open_sessions=True,
        data_dir=folder,
    )
    try:
        ensure_topics(settings)
        yield settings, broker
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        broker.stop()


async def send_until_given_up(
    sending: Coroutine[Any, Any, None], socket: ClientConnection, broker: EmbeddedKafka, *, deadline_s: float
) -> None:
    """Send, pause the broker after half a second, and return when the edge has closed the connection."""
    task = asyncio.create_task(sending)
    await asyncio.sleep(0.5)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(deadline_s):
            await socket.wait_closed()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
