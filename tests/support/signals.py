"""Realistic logs of the ``signals`` topic: people who smile, turn, blink and speak now and then."""

import heapq
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dataflows.shard import Message
from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import (
    Calibration,
    FaceSignal,
    SessionControl,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

START_US = 1_800_000_000_000_000
HOP_US = 40_000


def face_signal(t_s: float, rng: random.Random, *, detected: bool = True, track_id: int = 0) -> FaceSignal:
    """A face at ``t_s`` seconds: a smile that comes and goes every 6 s, a turning head, a blink every 4 s."""
    if not detected:
        zero = (0.0,)
        return FaceSignal(
            face_detected=False, confidence=0.0, emotion_scores=zero * 7, valence=0.0, arousal=0.0, dominance=0.0,
            au_intensities=zero * len(AUS), blendshapes=zero * len(BLENDSHAPES), yaw_deg=0.0, pitch_deg=0.0,
            roll_deg=0.0, gaze_x=0.0, gaze_y=0.0, blink_left=0.0, blink_right=0.0, box=zero * 4,
        )  # fmt: skip
    noise = lambda: rng.uniform(0.0, 0.02)  # noqa: E731
    smile = 0.5 - 0.5 * math.cos(2 * math.pi * t_s / 6.0)
    blink = 1.0 if t_s % 4.0 < 0.15 else 0.0
    aus = {name: noise() for name in AUS}
    aus["AU12"], aus["AU06"], aus["AU45"] = 0.95 * smile, 0.7 * smile, blink
    shapes = {name: noise() for name in BLENDSHAPES}
    shapes["mouthSmileLeft"], shapes["mouthSmileRight"] = 0.95 * smile, 0.9 * smile
    shapes["eyeBlinkLeft"] = shapes["eyeBlinkRight"] = blink
    happy = 0.05 + 0.9 * smile
    rest = (1.0 - happy) / 6.0
    scores = tuple(happy if name == "happy" else rest for name in EMOTIONS)
    return FaceSignal(
        face_detected=True,
        confidence=0.9 + noise(),
        emotion_scores=scores,
        valence=0.8 * smile,
        arousal=0.3 * smile,
        dominance=0.1,
        au_intensities=tuple(aus.values()),
        blendshapes=tuple(shapes.values()),
        yaw_deg=20.0 * math.sin(2 * math.pi * t_s / 7.0) + noise(),
        pitch_deg=5.0 * math.sin(2 * math.pi * t_s / 5.0),
        roll_deg=3.0 * math.sin(2 * math.pi * t_s / 9.0),
        gaze_x=0.2 * math.sin(t_s),
        gaze_y=0.1 * math.cos(t_s),
        blink_left=blink,
        blink_right=blink,
        box=(0.3, 0.2, 0.4, 0.5),
        face_count=1,
        track_id=track_id,
    )


def speech_signal(t_s: float, rng: random.Random) -> SpeechSignal:
    """A voice at ``t_s`` seconds: two seconds of speech, one of silence."""
    speaking = t_s % 3.0 < 2.0
    probability = 0.95 - rng.uniform(0, 0.05) if speaking else rng.uniform(0, 0.05)
    visemes = [0.0] * len(VISEMES)
    if speaking:
        visemes[1 + int(t_s * 12) % (len(VISEMES) - 1)] = 0.75
        visemes[0] = 0.25
    else:
        visemes[0] = 1.0
    return SpeechSignal(
        speaking_probability=probability,
        energy_dbfs=-20.0 if speaking else -70.0,
        emotion_scores=(0.2, 0.4, 0.1, 0.1, 0.05, 0.03, 0.02) if speaking else (0.0,) * 7,
        emotion_unknown=0.1 if speaking else 0.0,
        emotion_confidence=0.7 if speaking else 0.0,
        emotion_age_ms=t_s * 1e3 % 500.0,
        valence=0.3,
        arousal=0.4 if speaking else 0.0,
        dominance=0.1,
        viseme_scores=tuple(visemes),
        viseme_confidence=0.8 if speaking else 0.1,
    )


def started(
    session_id: str,
    at_us: int = START_US,
    *,
    config: FusionConfig | None = None,
    face: bool = True,
    speech: bool = True,
    calibration: Calibration | None = None,
) -> Signal:
    """The SessionStarted of a session."""
    return Signal(
        captured_at_us=at_us,
        received_at_us=at_us,
        ingested_at_us=at_us + 100,
        consumed_at_us=at_us,
        inferred_at_us=at_us,
        payload=SessionStarted(
            tenant="test",
            subject=None,
            timeline="live",
            audio_consented=speech,
            video_consented=face,
            store_raw_consented=False,
            speech_expected=speech,
            face_expected=face,
            config=config or FusionConfig.of(),
            calibration=calibration,
        ),
        sequence=0,
        session_id=session_id,
        source="ingest",
    )


def ended(session_id: str, at_us: int) -> Signal:
    """The SessionEnded of a session."""
    return replace(started(session_id, at_us), payload=SessionEnded(reason="client_closed"))


def reset(session_id: str, at_us: int) -> Signal:
    """A request to learn the calibration anew from ``at_us`` on."""
    return replace(started(session_id, at_us), payload=SessionControl("reset_calibration"))


def sample(
    session_id: str, captured_at_us: int, sequence: int, payload: FaceSignal | SpeechSignal, *, delay_us: int = 30_000
) -> Signal:
    """One face or speech signal whose inference ended ``delay_us`` after capture."""
    return Signal(
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + delay_us // 6,
        ingested_at_us=captured_at_us + delay_us // 5,
        consumed_at_us=captured_at_us + delay_us // 3,
        inferred_at_us=captured_at_us + delay_us,
        payload=payload,
        sequence=sequence,
        session_id=session_id,
        source="face@1" if isinstance(payload, FaceSignal) else "speech@1",
    )


def session_log(
    session_id: str,
    seconds: float,
    *,
    start_us: int = START_US,
    seed: int = 0,
    face_hz: float = 30.0,
    face: bool = True,
    speech: bool = True,
    face_delay_us: int = 30_000,
    speech_delay_us: int = 20_000,
    jitter_us: int = 5_000,
    config: FusionConfig | None = None,
    end: bool = True,
) -> list[tuple[int, Signal]]:
    """One session as (instant of arrival in the log in µs, signal), in order of arrival.

    Each modality arrives in its own order, its delay jittered by up to ``jitter_us``.
    """
    rng = random.Random(f"{session_id}/{seed}")
    arrivals: list[tuple[int, int, Signal]] = []

    def add(arrival: int, signal: Signal) -> None:
        arrivals.append((arrival, len(arrivals), signal))

    add(start_us, started(session_id, start_us, config=config, face=face, speech=speech))
    stop_us = start_us + round(seconds * 1e6)
    if face:
        latest = 0
        for n in range(int(seconds * face_hz)):
            at = start_us + 3_000 + round(n * 1e6 / face_hz) + rng.randrange(-2_000, 2_000)
            latest = max(latest, at + face_delay_us + rng.randrange(jitter_us + 1))
            add(latest, sample(session_id, at, n, face_signal((at - start_us) / 1e6, rng), delay_us=face_delay_us))
    if speech:
        latest = 0
        for hop in range(start_us // HOP_US + 1, stop_us // HOP_US + 1):
            at = hop * HOP_US
            latest = max(latest, at + speech_delay_us + rng.randrange(jitter_us + 1))
            add(
                latest, sample(session_id, at, hop, speech_signal((at - start_us) / 1e6, rng), delay_us=speech_delay_us)
            )
    if end:
        add(stop_us + 500_000, ended(session_id, stop_us))
    arrivals.sort(key=lambda entry: entry[:2])
    return [(arrival, signal) for arrival, _, signal in arrivals]


def interleaved(logs: Iterable[Sequence[tuple[int, Signal]]]) -> list[Signal]:
    """Several sessions' logs as one, by arrival."""
    merged = heapq.merge(*logs, key=lambda entry: entry[0])
    return [signal for _, signal in merged]


def messages(signals: Iterable[Signal], *, first_offset: int = 0, codec: Codec | None = None) -> list[Message]:
    """Signals as the messages of one partition."""
    codec = codec or Codec()
    return [(first_offset + i, signal.session_id.encode(), codec.encode(signal)) for i, signal in enumerate(signals)]
