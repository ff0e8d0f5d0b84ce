"""Clients of both kinds, paced as cameras and microphones are: 30 pictures and 25 chunks a second, or features."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.fusion.signals import FACE_HZ, HOP_US
from client import Session
from client.recording import pieces, tracks
from client.session import wall_clock_us
from schemas.media_framing import MediaKind
from schemas.records import FaceSignal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

HOP_HZ: Final = 1_000_000 // HOP_US
MOST_PIECES: Final = 900
ENGINE: Final = "bench@1"


@dataclass(frozen=True)
class Media:
    """What the media clients send round and round."""

    pictures: Sequence[bytes]
    chunks: Sequence[bytes]


def load(video: Path, audio: Path) -> Media:
    """The first seconds of a recording: JPEG pictures and 40 ms chunks of PCM16."""
    taken = list(islice(pieces(tracks(video, audio), chunk_ms=HOP_US // 1_000), MOST_PIECES))
    return Media(
        [piece.payload for piece in taken if piece.kind is MediaKind.JPEG],
        [piece.payload for piece in taken if piece.kind is MediaKind.PCM16],
    )


def face(rng: random.Random) -> FaceSignal:
    """A face somewhere in a picture; which one costs the service alike."""
    share = 1.0 / len(EMOTIONS)

    def weights(count: int) -> tuple[float, ...]:
        return tuple(rng.random() for _ in range(count))

    return FaceSignal(
        face_detected=True, confidence=0.9, emotion_scores=(share,) * len(EMOTIONS), valence=0.2, arousal=0.1,
        dominance=0.0, au_intensities=weights(len(AUS)), blendshapes=weights(len(BLENDSHAPES)), yaw_deg=4.0,
        pitch_deg=-2.0, roll_deg=1.0, gaze_x=0.1, gaze_y=0.0, blink_left=0.1, blink_right=0.1,
        box=(0.3, 0.2, 0.4, 0.5), face_count=1, track_id=0,
    )  # fmt: skip


def speech() -> SpeechSignal:
    """A hop of speech."""
    return SpeechSignal(
        speaking_probability=0.9, energy_dbfs=-20.0, emotion_scores=(0.0,) * len(EMOTIONS), emotion_unknown=0.0,
        emotion_confidence=0.0, emotion_age_ms=0.0, valence=0.0, arousal=0.0, dominance=0.0,
        viseme_scores=(1.0, *(0.0,) * (len(VISEMES) - 1)), viseme_confidence=0.9,
    )  # fmt: skip


async def sessions_of(server: str, count: int, *, on_device: bool) -> list[Session]:
    """So many connected sessions."""
    opened = []
    for _ in range(count):
        session = await Session.create(
            server, audio=True, video=True, face_on_device=on_device, speech_on_device=on_device
        )
        await session.connect()
        opened.append(session)
    return opened


async def send_media(sessions: Sequence[Session], media: Media, seconds: float) -> None:
    """Send pictures and sound of every session for so long."""

    async def picture(session: Session, number: int, at_us: int) -> None:
        await session.send_jpeg(media.pictures[number % len(media.pictures)], at_us)

    async def chunk(session: Session, number: int, at_us: int) -> None:
        await session.send_audio(media.chunks[number % len(media.chunks)], at_us - HOP_US)

    await _paced(sessions, seconds, picture, chunk)


async def send_features(sessions: Sequence[Session], seconds: float) -> None:
    """Send features of every session for so long."""
    rng = random.Random(1)
    faces, heard = [face(rng) for _ in range(16)], speech()

    async def found(session: Session, number: int, at_us: int) -> None:
        seen = faces[number % len(faces)]
        await session.send_face(seen, engine=ENGINE, captured_at_us=at_us - 25_000, inference_us=20_000)

    async def hop(session: Session, _number: int, at_us: int) -> None:
        await session.send_speech(heard, engine=ENGINE, ended_at_us=at_us, inference_us=1_000)

    await _paced(sessions, seconds, found, hop)


Send = Callable[[Session, int, int], Awaitable[None]]
"""Sends a session's item of this number, which is due at an instant, µs."""


async def _paced(sessions: Sequence[Session], seconds: float, seen: Send, heard: Send) -> None:
    streams = [
        _stream(session, send, rate, seconds, index / len(sessions))
        for index, session in enumerate(sessions)
        for send, rate in ((seen, FACE_HZ), (heard, HOP_HZ))
    ]
    await asyncio.gather(*streams)


async def _stream(session: Session, send: Send, rate: int, seconds: float, phase: float) -> None:
    """Send at a rate, phases spread over a period so that sessions do not come all at once."""
    began_us = wall_clock_us() + round(phase * 1e6 / rate)
    for number in range(round(seconds * rate)):
        due_us = began_us + number * 1_000_000 // rate
        await asyncio.sleep(max(0, due_us - wall_clock_us()) / 1e6)
        await send(session, number, due_us)
