"""The documentation's pictures of the page and the wall: ``python -m tests.support.page_pictures``.

Starts the product, plays it the sample session, and then sixteen people whose faces are simulated (they send features,
as on-device clients do: the sessions, their fusion and their avatars are real). Needs the built page and Chromium.
Writes ``page``, ``page-dark``, ``wall`` and ``wall-dark`` into ``docs/``, compressed as far as PNG goes.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import cv2

from cli.deployment import Deployment
from cli.links import wall_link
from cli.sample import prepare
from client import Session, play
from runtime.clock import SystemClock
from schemas.records import FaceSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS
from tests.support.browser import WEB
from tests.support.deployments import running_product
from tests.support.prerequisites import REPOSITORY

TAKING_S: Final = 300.0
COMPRESSION: Final = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]
PEOPLE: Final = 16
FACE_HZ: Final = 30
SHOWN: Final[Mapping[str, Mapping[str, float]]] = {
    "neutral": {},
    "happy": {"AU06": 0.7, "AU12": 0.9, "AU25": 0.3},
    "surprise": {"AU01": 0.8, "AU02": 0.8, "AU05": 0.6, "AU26": 0.5},
    "sad": {"AU01": 0.7, "AU04": 0.4, "AU15": 0.8},
    "angry": {"AU04": 0.9, "AU07": 0.6, "AU24": 0.4},
    "fear": {"AU01": 0.8, "AU02": 0.5, "AU04": 0.4, "AU05": 0.8, "AU20": 0.7, "AU25": 0.3},
    "disgust": {"AU09": 0.8, "AU10": 0.7, "AU17": 0.4},
}
"""Action Units that show each emotion (EMFACS)."""


def face_of(number: int, picture: int) -> FaceSignal:
    """That person's face in that picture: what they feel, with a blink now and then and a little sway."""
    emotion = EMOTIONS[number % len(EMOTIONS)]
    aus = [0.0] * len(AUS)
    # The first two seconds are at rest: the neutral face is learned from them.
    strength = min(1.0, max(0.0, picture / FACE_HZ - 2.0)) * (0.85 + 0.15 * (number % 3) / 2)
    for name, intensity in SHOWN[emotion].items():
        aus[AUS.index(name)] = intensity * strength
    blink = 1.0 if (picture + 37 * number) % 110 < 4 else 0.0
    aus[AUS.index("AU45")] = blink
    scores = [0.02] * len(EMOTIONS)
    scores[EMOTIONS.index("neutral" if strength == 0 else emotion)] += 1 - sum(scores)
    turn = ((picture + 50 * number) % 240) / 240
    yaw = 8.0 * (4 * abs(turn - 0.5) - 1) * (1 if number % 2 else -1)
    return FaceSignal(
        face_detected=True, confidence=0.95, emotion_scores=tuple(scores), valence=0.0, arousal=0.0, dominance=0.0,
        au_intensities=tuple(aus), blendshapes=(0.0,) * len(BLENDSHAPES), yaw_deg=yaw, pitch_deg=0.0,
        roll_deg=yaw / 4, gaze_x=0.0, gaze_y=0.0, blink_left=blink, blink_right=blink, box=(0.3, 0.2, 0.4, 0.5),
        face_count=1, track_id=0,
    )  # fmt: skip


async def person(number: int, server: str) -> None:
    """One simulated person's session, until cancelled."""
    session = await Session.create(server, video=True, face_on_device=True, mapping="direct_au")
    async with session:
        picture, loop = 0, asyncio.get_running_loop()
        started = loop.time()
        while True:
            await asyncio.sleep(max(0.0, started + picture / FACE_HZ - loop.time()))
            await session.send_face(face_of(number, picture), engine="simulated@1")
            picture += 1


@asynccontextmanager
async def meanwhile(*doing: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """These go on in the block, and are cancelled at its end."""
    tasks = [asyncio.create_task(each) for each in doing]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def take(script: str, address: str, folder: Path) -> list[Path]:
    """Have ``script`` take its pictures at ``address`` into ``folder``; raises CalledProcessError if it cannot."""
    with tempfile.TemporaryDirectory() as taken:
        subprocess.run(["node", f"e2e/{script}", address, taken], cwd=WEB, check=True, timeout=TAKING_S)
        written = []
        for picture in sorted(Path(taken).glob("*.png")):
            cv2.imwrite(str(folder / picture.name), cv2.imread(str(picture)), COMPRESSION)
            written.append(folder / picture.name)
    return written


async def take_all(deployment: Deployment, folder: Path) -> list[Path]:
    """Take every picture of a running product."""
    url = deployment.addresses.ingest
    sample = prepare(deployment.settings, print)
    opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    playing = asyncio.create_task(
        play(sample.video, sample.audio, url, loop=True, follow=False, opened=opened.set_result, stop=stop)
    )
    try:
        session = await opened
        address = f"{url}/#session={session.session_id}&token={session.token}"
        written = await asyncio.to_thread(take, "picture.mjs", address, folder)
    finally:
        stop.set()
        await playing
    async with meanwhile(*(person(number, url) for number in range(PEOPLE))):
        wall = wall_link(deployment.settings, SystemClock(), url, ttl_s=600)
        written += await asyncio.to_thread(take, "wallPicture.mjs", wall, folder)
    return written


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, running_product(Path(home)) as product:
        for path in asyncio.run(take_all(product, REPOSITORY / "docs")):
            sys.stdout.write(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size // 1000} kB\n")
