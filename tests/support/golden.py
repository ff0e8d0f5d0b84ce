"""The golden examples: one readable JSON and its exact bytes for each kind of record.

``python -m tests.support.golden`` writes ``schemas/examples/<topic>/<example>.json`` and ``.avro``; a change of them
in a diff is a change of the contract.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import (
    AudioChunk,
    AvatarFrame,
    Calibration,
    ClientEvent,
    DeadLetter,
    ExperimentAssignment,
    FaceSignal,
    KeptRecord,
    LedgerEntry,
    Record,
    SessionControl,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
    VideoFrame,
)

FOLDER: Final = Path(__file__).parents[2] / "schemas" / "examples"
T: Final = 1_700_000_123_456_000
SESSION: Final = "0b5c7a1e9d3f4c2a8e6d5b4a39281706"


def _signal(payload: Any, sequence: int, source: str) -> Signal:
    return Signal(T, T + 2_100, T + 2_600, T + 5_300, T + 14_900, payload, sequence, SESSION, source)


def examples() -> dict[str, Record]:
    """Each example by ``<topic>/<name>``."""
    return {
        "media.audio/chunk": AudioChunk(T, T + 41_000, T + 41_400, 16_000, 17, SESSION, bytes(range(256)) * 5),
        "media.video/frame": VideoFrame(
            T, T + 2_100, T + 2_600, 640, 480, 5, SESSION, b"\xff\xd8 not a picture \xff\xd9"
        ),
        "signals/session_started": _signal(
            SessionStarted(
                tenant="default",
                subject="p-17",
                timeline="live",
                audio_consented=True,
                video_consented=True,
                store_raw_consented=False,
                speech_expected=True,
                face_expected=True,
                config=FusionConfig("1", "direct_au", "spring", {"max_wait_ms": 100.0}),
                calibration=Calibration((0.0625,) * 20, (1.0,) * 20),
                experiment=ExperimentAssignment("mapping-style", "b", "2026-11"),
                fairness_consented=True,
                declared_group="55 to 64",
            ),
            0,
            "ingest",
        ),
        "signals/speech": _signal(
            SpeechSignal(
                speaking_probability=0.875,
                energy_dbfs=-23.5,
                emotion_scores=(0.125, 0.5, 0.0625, 0.125, 0.0625, 0.0625, 0.03125),
                emotion_unknown=0.03125,
                emotion_confidence=0.5,
                emotion_age_ms=240.0,
                valence=0.25,
                arousal=0.5,
                dominance=0.125,
                viseme_scores=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.0),
                viseme_confidence=0.75,
            ),
            T // 40_000,
            "embedded-speech@1",
        ),
        "signals/face": _signal(
            FaceSignal(
                face_detected=True,
                confidence=0.9375,
                emotion_scores=(0.125, 0.75, 0.0, 0.0, 0.125, 0.0, 0.0),
                valence=0.625,
                arousal=0.3125,
                dominance=0.25,
                au_intensities=tuple(i / 32 for i in range(20)),
                blendshapes=tuple(i / 64 for i in range(52)),
                yaw_deg=3.25,
                pitch_deg=-1.125,
                roll_deg=0.25,
                gaze_x=0.03125,
                gaze_y=-0.015625,
                blink_left=0.0625,
                blink_right=0.0625,
                box=(0.25, 0.125, 0.5, 0.625),
                face_count=1,
                track_id=0,
            ),
            5,
            "landmarker@1",
        ),
        "signals/reset_calibration": _signal(SessionControl("reset_calibration"), 0, "ingest"),
        "signals/session_ended": _signal(SessionEnded("client_closed"), 0, "ingest"),
        "avatar.frames/frame": AvatarFrame(
            captured_at_us=T,
            face_hops_ms=(-4.5, -2.25, -1.75, 1.0, 10.5),
            speech_hops_ms=(-16.0, -13.0, -12.5, -9.0, -4.0),
            emotions=bytes(range(7)),
            affect=bytes(range(10)),
            levels=bytes(range(8)),
            aus=bytes(range(20)),
            angles=bytes(range(16)),
            blendshapes=bytes(range(52)),
            visemes=bytes(range(15)),
            discontinuity=False,
            face_live=True,
            speech_live=True,
            viseme_mouth=True,
            closed_by_max_wait=False,
            mapping="blend",
            sequence=235,
            session_id=SESSION,
        ),
        "kept/frame": KeptRecord(
            session="9f86d081884c7d659a2feaa0c55ad015",
            topic="avatar.frames",
            partition=3,
            offset=70_123,
            published_at_ms=T // 1_000 + 40,
            value=bytes(range(12)) + b" not a sealed value " + bytes(16),
        ),
        "client.events/ack": ClientEvent(
            captured_at_us=T + 61_000,
            received_at_us=T + 62_000,
            kind="ack",
            sequence=3,
            session_id=SESSION,
            client_id="c-4",
            frame_sequence=235,
            frame_captured_at_us=T,
            relayed_at_us=T + 41_000,
            rendered_at_us=T + 61_000,
        ),
        "client.events/rating": ClientEvent(
            T, T + 900, "rating", 4, SESSION, "c-4", frame_sequence=235, value=4.0
        ),
        "ledger/stale_pictures": LedgerEntry(
            T, "face_worker", "face", "stale", 3, 118, 120, SESSION
        ),
        "dead.letters/not_avro": DeadLetter(
            T, "fusion", "signals", 2, 4711, "not Avro single-object encoding: starts with 7b22, not c301",
            SESSION.encode(), b'{"hello": 1}',
        ),
    }  # fmt: skip


def readable(record: Record) -> dict[str, Any]:
    """A record as JSON: bytes in hexadecimal, a union's payload under its name."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, tuple):
            return list(value)
        if hasattr(value, "items"):
            return dict(value)
        return value

    result: dict[str, Any] = plain(record)
    payload = getattr(record, "payload", None)
    if payload is not None:
        result["payload"] = {type(payload).__name__: result["payload"]}
    return result


def main() -> None:
    codec = Codec()
    for name, record in examples().items():
        path = FOLDER / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(readable(record), indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".avro").write_bytes(codec.encode(record))


if __name__ == "__main__":
    main()
