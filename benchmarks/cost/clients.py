"""Clients of a load, in a process of their own: sessions that send media and are watched for some seconds.

``python -m benchmarks.cost.clients URL COUNT SECONDS VIDEO AUDIO OUT`` says READY when every session is connected and
watched, and then sends. At the end it writes OUT (.npy): the instants at which frames came, µs.
"""

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.edge_mode.clients import load, send_media, sessions_of
from client.session import Session


async def _watch(session: Session, instants_us: list[int], joined: asyncio.Event) -> None:
    """Take packed frames, as the page does, and note when they came."""
    assert session.opened.avatar_url is not None
    async with connect(
        session.opened.avatar_url,
        additional_headers={"Authorization": f"Bearer {session.opened.token}"},
        subprotocols=[Subprotocol("affectstream.binary")], compression=None, proxy=None, max_queue=None,
    ) as socket:  # fmt: skip
        try:
            while True:
                message = await socket.recv()
                joined.set()
                if isinstance(message, bytes):
                    instants_us.append(time.time_ns() // 1_000)
        except ConnectionClosed:
            return


async def _run(url: str, count: int, seconds: float, video: Path, audio: Path) -> list[int]:
    media = load(video, audio)
    sessions = await sessions_of(url, count, on_device=False)
    instants_us: list[int] = []
    joined = [asyncio.Event() for _ in sessions]
    watching = [
        asyncio.create_task(_watch(session, instants_us, event))
        for session, event in zip(sessions, joined, strict=True)
    ]
    await asyncio.gather(*(event.wait() for event in joined))
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    await send_media(sessions, media, seconds)
    for session in sessions:
        await session.end()
    await asyncio.wait(watching, timeout=10)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return instants_us


def main() -> None:
    """As the module's documentation says."""
    url, count, seconds, video, audio, out = sys.argv[1:]
    instants_us = asyncio.run(_run(url, int(count), float(seconds), Path(video), Path(audio)))
    np.save(out, np.array(instants_us, np.int64))


if __name__ == "__main__":
    main()
