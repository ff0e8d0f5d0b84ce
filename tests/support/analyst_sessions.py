"""Sessions to look at on the analyst page: people who feel differently, of any length and at any time."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

from schemas.fusion_config import FusionConfig, MappingName
from schemas.records import (
    AvatarFrame,
    ClientEvent,
    ExperimentAssignment,
    FaceSignal,
    LedgerEntry,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS
from tests.support.session_records import START_US, frame, signal, started, whole_session

Mood = Literal["happy", "sad", "angry", "surprise"]
HOP_US: Final = 40_000
AUS_OF: Final[dict[Mood, tuple[str, ...]]] = {
    "happy": ("AU06", "AU12", "AU25"),
    "sad": ("AU01", "AU04", "AU15"),
    "angry": ("AU04", "AU07", "AU23"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
}


def session(
    session_id: str,
    start_us: int,
    seconds: int,
    *,
    mood: Mood = "happy",
    mapping: MappingName = "blend",
    experiment: ExperimentAssignment | None = None,
    subject: str | None = None,
) -> Iterator[Signal]:
    """A session in log order; ``mood`` comes and goes.

    Signals of the voice lie on its absolute grid of 40 ms, so ``start_us`` is moved to the grid.
    """
    start_us = start_us // HOP_US * HOP_US
    for made in whole_session(session_id, seconds):
        payload = made.payload
        match payload:
            case SessionStarted():
                payload = replace(
                    payload, config=FusionConfig.of(mapping=mapping), experiment=experiment, subject=subject
                )
            case FaceSignal():
                payload = _felt(payload, made.sequence, mood)
            case SpeechSignal():
                payload = replace(payload, emotion_scores=_heard(mood))
            case _:
                pass
        shift = start_us - START_US
        at_us = made.captured_at_us + shift
        is_speech = isinstance(payload, SpeechSignal)
        yield replace(
            made,
            captured_at_us=at_us,
            received_at_us=made.received_at_us + shift,
            ingested_at_us=made.ingested_at_us + shift,
            consumed_at_us=made.consumed_at_us + shift,
            inferred_at_us=made.inferred_at_us + shift,
            sequence=at_us // HOP_US if is_speech else made.sequence,
            payload=payload,
        )


def _heard(mood: Mood) -> tuple[float, ...]:
    """A voice that agrees with the face."""
    return tuple(0.5 if name == mood else 0.3 if name == "neutral" else 0.04 for name in EMOTIONS)


def _felt(face: FaceSignal, k: int, mood: Mood) -> FaceSignal:
    level = 0.5 + 0.5 * math.sin(k / 40)
    rest = (1 - level) * 0.9
    scores = tuple(0.9 * level + 0.02 if name == mood else (rest if name == "neutral" else 0.015) for name in EMOTIONS)
    total = sum(scores)
    shapes = {"jawOpen": 0.3 * level, "browInnerUp": 0.6 * level if mood in {"sad", "surprise"} else 0.0}
    return replace(
        face,
        emotion_scores=tuple(score / total for score in scores),
        valence=level if mood == "happy" else (-level if mood in {"sad", "angry"} else 0.1),
        arousal=level * (-0.4 if mood == "sad" else 0.6),
        au_intensities=tuple(level if au in AUS_OF[mood] else 0.0 for au in AUS),
        blendshapes=tuple(
            shapes.get(name, level if mood == "happy" and "Smile" in name else 0.01) for name in BLENDSHAPES
        ),
    )


def long_frames(session_id: str, start_us: int, ticks: int) -> Iterator[AvatarFrame]:
    """So many frames of one session, one a tick, without the signals that they would come from."""
    for k in range(ticks):
        made = frame(session_id, k)
        yield replace(made, captured_at_us=start_us + k * 1_000_000 // 30)


def ends(session_id: str, start_us: int, end_us: int) -> tuple[Signal, Signal]:
    """Start and end of such a session."""
    first = replace(started(session_id), captured_at_us=start_us)
    return first, signal(session_id, 0, end_us, SessionEnded("client_closed"), "ingest")


def event(session_id: str, kind: Literal["rating", "opt_out"], at_us: int, value: float | None = None) -> ClientEvent:
    """What somebody who watched did."""
    return ClientEvent(
        captured_at_us=at_us,
        received_at_us=at_us + 2_000,
        kind=kind,
        sequence=at_us % 1_000_000,
        session_id=session_id,
        client_id="viewer",
        value=value,
    )


def dropped(session_id: str, at_us: int, outcome: str, count: int) -> LedgerEntry:
    """Pictures that the edge did not take."""
    return LedgerEntry(
        recorded_at_us=at_us,
        stage="ingest",
        modality="face",
        outcome=outcome,
        count=count,
        first_sequence=0,
        last_sequence=count - 1,
        session_id=session_id,
    )
