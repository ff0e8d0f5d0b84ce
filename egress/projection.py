"""From an AvatarFrame of the log to the messages of the contract. Pure.

``avatar_frame`` comes with every frame (30 a second), ``emotion_update`` with every third (10 a second). Both carry
the frame's sequence, which counts 30ths of a second since the session's start, and ``timestamp_ms``, the instant that
the frame shows on the service's clock.
"""

import itertools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.records import AvatarFrame
from schemas.vocabulary import AFFECT, ANGLES, AU_NAMES, AUS, BLENDSHAPES, EMOTIONS, LEVELS, SIGNAL_HOPS, VISEMES

EMOTION_EVERY: Final = 3
LONGEST_S: Final = 60.0

SHARES: Final = tuple(round(value / 255, 3) for value in range(256))
"""255ths as decimals."""

AU_KEYS: Final = tuple(f"{au.lower()}_{AU_NAMES[au]}" for au in AUS)
_ANGLES: Final = struct.Struct(f"<{len(ANGLES)}h")
_AFFECT: Final = struct.Struct(f"<{len(AFFECT)}h")

SHORT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "brow_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "frown": ("browDownLeft", "browDownRight"),
    "cheek_raise": ("cheekSquintLeft", "cheekSquintRight"),
}
"""Names for simple avatars, each the mean of ARKit blendshapes; frown is the brow's (AU04)."""

_SHORT: Final = tuple(
    (name, tuple(BLENDSHAPES.index(part) for part in parts), 255 * len(parts)) for name, parts in SHORT_NAMES.items()
)


@dataclass(frozen=True, slots=True)
class Instants:
    """When a frame passed the last two stations, microseconds since the epoch."""

    fused_at_us: int
    relayed_at_us: int


def avatar_frame(frame: AvatarFrame, instants: Instants) -> dict[str, Any]:
    """The message ``avatar_frame``; weights 0..1, angles in degrees."""
    blendshapes = dict(zip(BLENDSHAPES, map(SHARES.__getitem__, frame.blendshapes), strict=True))
    for name, parts, full in _SHORT:
        blendshapes[name] = round(sum(frame.blendshapes[part] for part in parts) / full, 3)
    levels = dict(zip(LEVELS, map(SHARES.__getitem__, frame.levels), strict=True))
    angles = dict(zip(ANGLES, (value / 100 for value in _ANGLES.unpack(frame.angles)), strict=True))
    strongest = max(range(len(VISEMES)), key=frame.visemes.__getitem__)
    affect = _affect(frame)
    return {
        "type": "avatar_frame",
        "session_id": frame.session_id,
        "timestamp_ms": frame.captured_at_us // 1_000,
        "sequence": frame.sequence,
        "payload": {
            "blendshapes": blendshapes,
            "bone_transforms": {
                "neck_pitch": angles["neck_pitch"],
                "head_yaw": angles["head_yaw"],
                "head_pitch": angles["head_pitch"],
                "head_roll": angles["head_roll"],
                "body_lean": angles["body_lean"],
                "body_slouch": levels["body_slouch"],
            },
            "gaze": {"x": affect["gaze_x"], "y": affect["gaze_y"]},
            "viseme": VISEMES[strongest],
            "viseme_conf": levels["viseme_confidence"],
            "visemes": dict(zip(VISEMES, map(SHARES.__getitem__, frame.visemes), strict=True)),
            "viseme_mouth": frame.viseme_mouth,
            "particles": {"glow_intensity": levels["glow_intensity"]},
            "discontinuity": frame.discontinuity,
        },
        "hops_ms": hops_ms(frame, instants),
    }


def emotion_update(frame: AvatarFrame) -> dict[str, Any]:
    """The message ``emotion_update``; scores 0..1 that sum to about 1, valence and arousal -1..1, pose in degrees."""
    levels = dict(zip(LEVELS, map(SHARES.__getitem__, frame.levels), strict=True))
    angles = dict(zip(ANGLES, (value / 100 for value in _ANGLES.unpack(frame.angles)), strict=True))
    affect = _affect(frame)
    strongest = max(range(len(EMOTIONS)), key=frame.emotions.__getitem__)
    return {
        "type": "emotion_update",
        "session_id": frame.session_id,
        "timestamp_ms": frame.captured_at_us // 1_000,
        "sequence": frame.sequence,
        "payload": {
            "emotion": EMOTIONS[strongest],
            "scores": dict(zip(EMOTIONS, map(SHARES.__getitem__, frame.emotions), strict=True)),
            "valence": affect["valence"],
            "arousal": affect["arousal"],
            "dominance": affect["dominance"],
            "au": dict(zip(AU_KEYS, map(SHARES.__getitem__, frame.aus), strict=True)),
            "head_pose": {"yaw": angles["pose_yaw"], "pitch": angles["pose_pitch"], "roll": angles["pose_roll"]},
            "gaze": {"x": affect["gaze_x"], "y": affect["gaze_y"]},
            "speaking_probability": levels["speaking_probability"],
            "weights": {"face": levels["face_weight"], "speech": levels["speech_weight"]},
            "confidence": {"face": levels["face_confidence"], "speech": levels["speech_confidence"]},
            "live": {"face": frame.face_live, "speech": frame.speech_live},
        },
    }


def has_emotion_update(frame: AvatarFrame) -> bool:
    """Whether an ``emotion_update`` goes with this frame."""
    return frame.sequence % EMOTION_EVERY == 0


def hops_ms(frame: AvatarFrame, instants: Instants) -> dict[str, Any]:
    """Milliseconds from ``timestamp_ms`` to each station of the samples that counted, and of the frame itself.

    A sample's ``captured`` is negative or near 0: it was captured about when the frame shows it.
    """
    hops: dict[str, Any] = {}
    for modality, values in (("face", frame.face_hops_ms), ("speech", frame.speech_hops_ms)):
        if not math.isnan(values[0]):
            hops[modality] = {name: round(value, 1) for name, value in zip(SIGNAL_HOPS, values, strict=True)}
    hops["fused"] = round((instants.fused_at_us - frame.captured_at_us) / 1_000, 1)
    hops["relayed"] = round((instants.relayed_at_us - frame.captured_at_us) / 1_000, 1)
    return hops


def hop_spans_s(frame: AvatarFrame, instants: Instants) -> list[tuple[str, float]]:
    """Spans in seconds for the metric ``hop_seconds``.

    ``tick_to_relayed`` (how late a frame leaves), ``fused_to_relayed``, and for each modality that counted
    ``face_captured_to_relayed`` and one span a hop, for instance ``face_captured_to_received``: those,
    ``face_fused_to_relayed`` the last, add up to the whole. No station is before the one before it: Kafka's clock cuts
    to the millisecond, and a client's is known to about that. What took longer than 60 s, or less than nothing, is left
    out as a whole: a recorded session's times lie where they like.
    """
    relayed = (instants.relayed_at_us - frame.captured_at_us) / 1e6
    ways: dict[str, list[float]] = {}
    for modality, values in (("face", frame.face_hops_ms), ("speech", frame.speech_hops_ms)):
        if not math.isnan(values[0]) and 0 <= relayed - values[0] / 1_000 <= LONGEST_S:
            ways[modality] = list(itertools.accumulate((value / 1_000 for value in values), max))
    inferred = (way[-1] for way in ways.values())
    fused = min(max((instants.fused_at_us - frame.captured_at_us) / 1e6, *inferred, -LONGEST_S), relayed)
    spans = [("tick_to_relayed", relayed), ("fused_to_relayed", relayed - fused)]
    spans = [(name, span) for name, span in spans if 0 <= span <= LONGEST_S]
    for modality, way in ways.items():
        stations = [(name, min(at, fused)) for name, at in zip(SIGNAL_HOPS, way, strict=True)]
        spans.append((f"{modality}_captured_to_relayed", relayed - way[0]))
        spans.extend(
            (f"{modality}_{earlier}_to_{later}", end - start)
            for (earlier, start), (later, end) in itertools.pairwise(
                [*stations, ("fused", fused), ("relayed", relayed)]
            )
        )
    return spans


def _affect(frame: AvatarFrame) -> dict[str, float]:
    return dict(zip(AFFECT, (value / 10_000 for value in _AFFECT.unpack(frame.affect)), strict=True))
