"""A made-up session as records: what fills topics where the producer does not matter."""

import math
from collections.abc import Iterator

from schemas.fusion_config import FusionConfig
from schemas.records import (
    AvatarFrame,
    ClientEvent,
    FaceSignal,
    LedgerEntry,
    Payload,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.vocabulary import ANGLES, AUS, BLENDSHAPES, EMOTIONS, LEVELS, VISEMES

START_US = 1_800_000_000_000_000
HOPS_MS = (-21.4, -12.1, -11.8, -9.3, -3.2)
"""captured, received, ingested, consumed, inferred, relative to the tick."""


def signal(session_id: str, sequence: int, captured_at_us: int, payload: Payload, source: str = "made@1") -> Signal:
    """A signal that took 18 ms from capture to inference."""
    return Signal(
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + 9_000,
        ingested_at_us=captured_at_us + 9_400,
        consumed_at_us=captured_at_us + 12_000,
        inferred_at_us=captured_at_us + 18_000,
        payload=payload,
        sequence=sequence,
        session_id=session_id,
        source=source,
    )


def started(session_id: str, *, subject: str | None = None) -> Signal:
    payload = SessionStarted(
        tenant="default",
        subject=subject,
        timeline="live",
        audio_consented=True,
        video_consented=True,
        store_raw_consented=False,
        speech_expected=True,
        face_expected=True,
        config=FusionConfig.of(),
    )
    return signal(session_id, 0, START_US, payload, "ingest")


def ended(session_id: str, captured_at_us: int) -> Signal:
    return signal(session_id, 0, captured_at_us, SessionEnded("client_closed"), "ingest")


def face(session_id: str, k: int) -> Signal:
    """Picture ``k`` at 30 a second: a smile that comes and goes."""
    smile = 0.5 + 0.5 * math.sin(k / 40)
    scores = [(1 - smile) * 0.9, smile * 0.9, *[0.02] * 5]
    payload = FaceSignal(
        face_detected=True,
        confidence=0.93,
        emotion_scores=tuple(scores),
        valence=smile,
        arousal=smile / 2,
        dominance=0.1,
        au_intensities=tuple(smile if au in {"AU06", "AU12"} else 0.0 for au in AUS),
        blendshapes=tuple(smile if "Smile" in name else 0.01 for name in BLENDSHAPES),
        yaw_deg=3.0 * math.sin(k / 25),
        pitch_deg=-1.0,
        roll_deg=0.5,
        gaze_x=0.02,
        gaze_y=-0.01,
        blink_left=0.1,
        blink_right=0.1,
        box=(0.3, 0.2, 0.4, 0.5),
        face_count=1,
        track_id=0,
    )
    return signal(session_id, k, START_US + k * 1_000_000 // 30, payload)


def speech(session_id: str, hop: int) -> Signal:
    """Hop ``hop`` of 40 ms after the start: two seconds of speech, two of silence."""
    speaking = 0.9 if (hop // 50) % 2 == 0 else 0.05
    captured_at_us = START_US + hop * 40_000
    payload = SpeechSignal(
        speaking_probability=speaking,
        energy_dbfs=-24.0 if speaking > 0.5 else -70.0,
        emotion_scores=(0.5, 0.3, 0.05, 0.05, 0.04, 0.03, 0.03),
        emotion_unknown=0.0,
        emotion_confidence=0.6,
        emotion_age_ms=float(hop % 13 * 40),
        valence=0.2,
        arousal=0.3,
        dominance=0.1,
        viseme_scores=tuple(1.0 if i == hop % 15 else 0.0 for i in range(15)),
        viseme_confidence=0.7,
    )
    return signal(session_id, captured_at_us // 40_000, captured_at_us, payload)


def frame(session_id: str, k: int, *, discontinuity: bool = False) -> AvatarFrame:
    """Tick ``k``; every value is a smooth function of it."""
    smile = 0.5 + 0.5 * math.sin(k / 40)
    arousal = 0.4 * math.sin(k / 70)
    speaking = (k // 60) % 2 == 0
    emotions = [int(250 * (1 - smile)), int(250 * smile), 1, 1, 1, 1, 0]
    affect = [round(10_000 * v) for v in (2 * smile - 1, arousal, 0.1, 0.02, -0.01)]
    levels = [235 if speaking else 12, 180, 160, 95, 237, 150, int(50 * smile), 0]
    angles = [round(100 * 3 * math.sin(k / 25)), -100, 50, 0, 0, 0, 0, 0]
    wobble = 0.3 * math.sin(k / 9)
    return AvatarFrame(
        captured_at_us=START_US + k * 1_000_000 // 30,
        face_hops_ms=tuple(hop + wobble * (i + 1) for i, hop in enumerate(HOPS_MS)),
        speech_hops_ms=tuple(hop - 4.0 for hop in HOPS_MS) if k >= 15 else (math.nan,) * 5,
        emotions=bytes(emotions[: len(EMOTIONS)]),
        affect=b"".join(v.to_bytes(2, "little", signed=True) for v in affect),
        levels=bytes(levels[: len(LEVELS)]),
        aus=bytes(int(255 * smile) if au in {"AU06", "AU12"} else 0 for au in AUS),
        angles=b"".join(v.to_bytes(2, "little", signed=True) for v in angles[: len(ANGLES)]),
        blendshapes=bytes(int(255 * smile) if "Smile" in name else 3 for name in BLENDSHAPES),
        visemes=bytes(255 if i == (k // 3) % len(VISEMES) else 0 for i in range(len(VISEMES))),
        discontinuity=discontinuity,
        face_live=True,
        speech_live=k >= 15,
        viseme_mouth=speaking,
        closed_by_max_wait=k % 10 == 0,
        mapping="blend",
        sequence=k,
        session_id=session_id,
    )


def ack(session_id: str, k: int) -> ClientEvent:
    """A client showed frame ``k`` 48 ms after its tick."""
    tick_us = START_US + k * 1_000_000 // 30
    return ClientEvent(
        captured_at_us=tick_us + 48_000,
        received_at_us=tick_us + 52_000,
        kind="ack",
        sequence=k,
        session_id=session_id,
        client_id="viewer",
        frame_sequence=k,
        frame_captured_at_us=tick_us,
        relayed_at_us=tick_us + 31_000,
        rendered_at_us=tick_us + 48_000,
    )


def ledger_run(  # noqa: PLR0917 - a row of a table
    session_id: str, stage: str, modality: str, outcome: str, first: int, last: int, count: int | None = None
) -> LedgerEntry:
    return LedgerEntry(
        recorded_at_us=START_US + max(first, 0),
        stage=stage,
        modality=modality,
        outcome=outcome,
        count=last - first + 1 if count is None else count,
        first_sequence=first,
        last_sequence=last,
        session_id=session_id,
    )


def whole_session(session_id: str, seconds: int) -> Iterator[Signal]:
    """Start, ``seconds`` of face and speech in order of time, end."""
    yield started(session_id)
    ticks: list[Signal] = [face(session_id, k) for k in range(seconds * 30)]
    hops: list[Signal] = [speech(session_id, hop) for hop in range(1, seconds * 25 + 1)]
    yield from sorted(ticks + hops, key=lambda s: s.captured_at_us)
    yield ended(session_id, START_US + seconds * 1_000_000)
