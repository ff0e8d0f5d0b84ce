"""Compiling ahead: set-up calls it, so that no first frame waits for a compiler. ``python -m dataflows.warm``."""

import logging
import time
from dataclasses import replace

from dataflows.compiled import RULES
from dataflows.shard import Shard
from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import FaceSignal, Payload, SessionEnded, SessionStarted, Signal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

log = logging.getLogger(__name__)


def compile_all() -> float:
    """Compile every rule, or load what was compiled before; returns the seconds it took.

    Runs a short session through a shard, so that exactly what production calls is compiled.
    """
    begun = time.perf_counter()
    codec = Codec()
    shard = Shard(0, 1, codec)
    shard.step([(i, b"warm", codec.encode(signal)) for i, signal in enumerate(_session())])
    RULES.completed()
    seconds = time.perf_counter() - begun
    place = RULES.folder or "not cached: no folder can be written to"
    log.info("fusion's rules are compiled (%.1f s, %s)", seconds, place)
    return seconds


def _session() -> list[Signal]:
    """One second of a still face and a silent voice."""
    start_us = 1_800_000_000_000_000
    neutral = tuple(1.0 if name == "neutral" else 0.0 for name in EMOTIONS)
    silent = tuple(1.0 if name == "sil" else 0.0 for name in VISEMES)
    face = FaceSignal(
        face_detected=True, confidence=0.9, emotion_scores=neutral, valence=0.0, arousal=0.0, dominance=0.0,
        au_intensities=(0.0,) * len(AUS), blendshapes=(0.0,) * len(BLENDSHAPES), yaw_deg=0.0, pitch_deg=0.0,
        roll_deg=0.0, gaze_x=0.0, gaze_y=0.0, blink_left=0.0, blink_right=0.0, box=(0.25, 0.25, 0.5, 0.5),
    )  # fmt: skip
    speech = SpeechSignal(
        speaking_probability=0.0, energy_dbfs=-90.0, emotion_scores=neutral, emotion_unknown=0.0,
        emotion_confidence=0.5, emotion_age_ms=0.0, valence=0.0, arousal=0.0, dominance=0.0, viseme_scores=silent,
        viseme_confidence=0.0,
    )  # fmt: skip
    begin: Payload = SessionStarted(
        tenant="warm", subject=None, timeline="recorded", audio_consented=True, video_consented=True,
        store_raw_consented=False, speech_expected=True, face_expected=True, config=FusionConfig.of(),
    )  # fmt: skip
    blank = Signal(start_us, start_us, start_us, start_us, start_us, begin, 0, "warm", "warm")
    signals = [blank]
    for n in range(1, 26):
        at_us = start_us + n * 40_000
        signals += [replace(blank, captured_at_us=at_us, payload=payload, sequence=n) for payload in (face, speech)]
    return [*signals, replace(blank, captured_at_us=start_us + 1_000_000, payload=SessionEnded("client_closed"))]


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    compile_all()
