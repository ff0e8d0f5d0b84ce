"""Clients of a load, in a process of their own: sessions of one kind that are fed and watched for some seconds.

``python -m benchmarks.cost.clients URL KIND COUNT SECONDS [VIDEO AUDIO]`` says ``ready`` when every session is
connected and watched, sends when a line comes, and ends with a line of JSON: how many frames came.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.edge_mode.clients import load, send_features, send_media, sessions_of
from client.session import Session


async def _watch(session: Session, frames: Counter[str], joined: asyncio.Event) -> None:
    """Take packed frames, as the page does, and count them."""
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
                frames[session.session_id] += isinstance(message, bytes)
        except ConnectionClosed:
            return


async def _run(url: str, kind: str, count: int, seconds: float, files: Sequence[Path]) -> Counter[str]:
    media = load(files[0], files[1]) if kind == "media" else None
    sessions = await sessions_of(url, count, on_device=media is None)
    frames: Counter[str] = Counter({session.session_id: 0 for session in sessions})
    joined = [asyncio.Event() for _ in sessions]
    watching = [asyncio.create_task(_watch(*each)) for each in zip(sessions, [frames] * count, joined, strict=True)]
    await asyncio.gather(*(event.wait() for event in joined))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    if media is None:
        await send_features(sessions, seconds)
    else:
        await send_media(sessions, media, seconds)
    for session in sessions:
        await session.end()
    await asyncio.wait(watching, timeout=10)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return frames


def main() -> None:
    """As the module's documentation says."""
    url, kind, count, seconds, *files = sys.argv[1:]
    frames = asyncio.run(_run(url, kind, int(count), float(seconds), [Path(name) for name in files]))
    sys.stdout.write(json.dumps({"sessions": len(frames), "frames": sum(frames.values())}) + "\n")


if __name__ == "__main__":
    main()
