"""The engines' tables for the page's on-device mode, and what the engines make of chosen inputs.

``python -m tests.support.ondevice_rules`` writes ``web/src/ondevice/rules.json`` (the tables, which the page uses) and
``web/tests/ondevice/golden.json`` (inputs and the Python engines' answers, which the page's tests compare with theirs).
"""

import base64
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from inference_workers import facial_affect, tracking
from inference_workers.action_units import intensities
from inference_workers.engines import landmarker
from inference_workers.engines.face_geometry import Box, Pose, gaze_of
from inference_workers.speech import features, viseme
from schemas.features import face_payload, speech_payload
from schemas.records import FaceSignal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES
from tests.support.prerequisites import REPOSITORY

RULES: Final = REPOSITORY / "web" / "src" / "ondevice" / "rules.json"
GOLDEN: Final = REPOSITORY / "web" / "tests" / "ondevice" / "golden.json"
DIGITS: Final = 9


def rules() -> dict[str, Any]:
    """Every table and constant that the page's rules share with the workers'."""
    return {
        "aus": AUS,
        "affect": {
            "sharpness": facial_affect.SHARPNESS,
            "neutralEvidence": facial_affect.NEUTRAL_EVIDENCE,
            "evidence": facial_affect.EVIDENCE,
            "meanings": facial_affect.MEANINGS,
        },
        "face": {
            "fullSizePx": landmarker.FULL_SIZE_PX,
            "leastSizePx": landmarker.LEAST_SIZE_PX,
            "fullFrontality": landmarker.FULL_FRONTALITY,
            "reacquireMs": tracking.LOST_US / 1_000,
            "reacquireOverlap": landmarker.SAME_FACE,
        },
        "viseme": {
            "prototypes": viseme.PROTOTYPES,
            "spreads": viseme.SPREADS,
            "averageDb": viseme._AVERAGE_DB.tolist(),
            "bandsHz": viseme.BANDS_HZ,
            "floorDb": viseme.FLOOR_DB,
            "softness": viseme.SOFTNESS,
            "loudFallsDb": viseme.LOUD_FALLS_DB,
            "quietestLoudDb": viseme.QUIETEST_LOUD_DB,
            "heardWithinDb": viseme.HEARD_WITHIN_DB,
            "voiceWeight": viseme.VOICE_WEIGHT,
            "spokenFrom": viseme.SPOKEN_FROM,
            "spokenTo": viseme.SPOKEN_TO,
            "unheardDb": viseme.UNHEARD_DB,
            "heardDb": viseme.HEARD_DB,
        },
    }


def golden() -> dict[str, Any]:
    """Inputs and answers."""
    random = np.random.default_rng(20)
    faces = [_weights(random, smile) for smile in (0.0, 0.0, 0.3, 0.6, 0.9, 0.9)]
    poses = [Pose(*angles) for angles in ((0, 0, 0), (25, 0, 0), (0, 12, 0), (0, 0, -20), (-35.5, 14.25, 8.5))]
    return {
        "faces": [_face(weights) for weights in faces],
        "poses": [_pose(pose, random) for pose in poses],
        "confidences": [
            {"box": [0, 0, side, side], "yaw": pose.yaw_deg, "pitch": pose.pitch_deg,
             "confidence": landmarker.confidence_of(1.0, Box(0, 0, side, side), pose)}
            for side in (20.0, 60.0, 300.0) for pose in poses
        ],
        "speech": _speech(random),
        "payloads": _payloads(),
    }  # fmt: skip


def _weights(random: np.random.Generator, smile: float) -> tuple[float, ...]:
    weights = dict.fromkeys(BLENDSHAPES, 0.0) | {name: random.beta(0.5, 3.0) for name in BLENDSHAPES}
    weights |= {"mouthSmileLeft": smile, "mouthSmileRight": smile, "tongueOut": 0.0}
    return tuple(round(float(weights[name]), 4) for name in BLENDSHAPES)


def _face(weights: tuple[float, ...]) -> dict[str, Any]:
    aus = intensities(weights)
    affect = facial_affect.infer(aus)
    return {
        "blendshapes": weights,
        "aus": aus,
        "scores": affect.scores,
        "affect": [affect.valence, affect.arousal, affect.dominance],
    }


def _pose(pose: Pose, random: np.random.Generator) -> dict[str, Any]:
    eyes = [round(float(value), 3) for value in random.uniform(-1, 1, 2)]
    return {
        "yaw": pose.yaw_deg,
        "pitch": pose.pitch_deg,
        "roll": pose.roll_deg,
        "matrix": pose.matrix().ravel().tolist(),
        "eyes": eyes,
        "gaze": gaze_of(pose, *eyes),
    }


def _speech(random: np.random.Generator) -> dict[str, Any]:
    """A second that passes from silence over vowel-like buzzes to a hiss, hop by hop as the speech worker sees them."""
    hop, count = 640, 25
    time = np.arange(hop * count) / features.SAMPLE_RATE_HZ
    buzz = np.sign(np.sin(2 * np.pi * 130 * time)) * 0.1
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in (700, 1_150, 2_400)) * 0.05
    hiss = np.diff(random.normal(0, 0.05, hop * count + 1))
    which = (time * 8).astype(int) % 4
    sound = np.select([which == 0, which == 1, which == 2], [0.0 * time, buzz + tones, buzz], hiss)
    pcm = np.round(np.clip(sound, -1, 1) * 32_767).astype("<i2")
    samples = pcm.astype(np.float32) / np.float32(32_768)
    speaking = np.round(np.clip(random.uniform(0.0, 1.6, count), 0, 1), 3)
    voice, hops = viseme.Voice(), []
    padded = np.concatenate((np.zeros(viseme.SPAN, np.float32), samples))
    for index in range(count):
        end = (index + 1) * hop
        span = padded[end : end + viseme.SPAN]
        ((weights, confidence),) = viseme.visemes(span[None], [voice], [float(speaking[index])])
        hops.append(
            {
                "speaking": float(speaking[index]),
                "energyDbfs": features.energy_dbfs(samples[end - hop : end]),
                "visemes": weights,
                "confidence": confidence,
            }
        )
    return {"pcm16": base64.b64encode(pcm.tobytes()).decode(), "hops": hops}


def _payloads() -> dict[str, Any]:
    """One message of each kind whose numbers are exact in 32 bits, so that layouts can be compared byte by byte."""
    steps = iter(range(1_000))

    def row(count: int) -> tuple[float, ...]:
        return tuple(next(steps) % 65 / 64 for _ in range(count))

    face = FaceSignal(
        face_detected=True, confidence=0.875, emotion_scores=row(len(EMOTIONS)), valence=-0.5, arousal=0.25,
        dominance=0.125, au_intensities=row(len(AUS)), blendshapes=row(len(BLENDSHAPES)), yaw_deg=12.5, pitch_deg=-3.25,
        roll_deg=4.5, gaze_x=0.5, gaze_y=-0.25, blink_left=0.75, blink_right=0.125, box=(0.25, 0.125, 0.5, 0.625),
        face_count=1, track_id=3,
    )  # fmt: skip
    speech = SpeechSignal(
        speaking_probability=0.75, energy_dbfs=-32.5, emotion_scores=(0.0,) * len(EMOTIONS), emotion_unknown=0.0,
        emotion_confidence=0.0, emotion_age_ms=0.0, valence=0.0, arousal=0.0, dominance=0.0,
        viseme_scores=row(len(VISEMES)), viseme_confidence=0.5,
    )  # fmt: skip
    return {
        "face": {
            "confidence": face.confidence, "scores": face.emotion_scores,
            "affect": [face.valence, face.arousal, face.dominance], "aus": face.au_intensities,
            "blendshapes": face.blendshapes, "pose": [face.yaw_deg, face.pitch_deg, face.roll_deg],
            "gaze": [face.gaze_x, face.gaze_y], "blink": [face.blink_left, face.blink_right], "box": face.box,
            "faceCount": face.face_count, "trackId": face.track_id, "inferenceUs": 21_000,
            "engine": "landmarker@1", "bytes": face_payload(face, engine="landmarker@1", inference_us=21_000).hex(),
        },
        "speech": {
            "speaking": speech.speaking_probability, "energyDbfs": speech.energy_dbfs,
            "visemes": speech.viseme_scores, "visemeConfidence": speech.viseme_confidence, "inferenceUs": 1_500,
            "engine": "voice@1", "bytes": speech_payload(speech, engine="voice@1", inference_us=1_500).hex(),
        },
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """``value`` with floats of few digits: what different processors compute alike."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file as the formatter of the page leaves it alone: no line is too long to keep."""
    path.write_text(json.dumps(rounded(content), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(RULES, rules())
    write(GOLDEN, golden())
