"""Fusion's attention on many samples at once, for evaluating it and fitting its parameters: nothing live uses it."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dataflows.attention import canonical_emotion, weigh
from dataflows.compiled import compiled
from dataflows.layout import (
    F_BOX,
    F_CONFIDENCE,
    F_DETECTED,
    F_EMOTIONS,
    F_PITCH,
    F_WIDTH,
    F_YAW,
    N_EMOTIONS,
    S_CONFIDENCE,
    S_EMOTIONS,
    S_SPEAKING,
    S_WIDTH,
)
from schemas.fusion_config import PARAMETERS, FusionConfig
from schemas.records import FaceSignal, SpeechSignal

Float64s = npt.NDArray[np.float64]

NEW: Final = 1.0
"""Freshness of a sample that has just come."""


class Fused(NamedTuple):
    """Emotions (n, 7) and the weights of face and of speech, n each."""

    emotions: Float64s
    face_weight: Float64s
    speech_weight: Float64s


def face_row(signal: FaceSignal | None) -> Float64s:
    """The columns of a face sample that attention reads; of none if there is no picture."""
    row = np.zeros(F_WIDTH)
    if signal is not None:
        row[F_CONFIDENCE], row[F_DETECTED] = signal.confidence, float(signal.face_detected)
        row[F_EMOTIONS : F_EMOTIONS + N_EMOTIONS] = signal.emotion_scores
        row[F_YAW], row[F_PITCH] = signal.yaw_deg, signal.pitch_deg
        row[F_BOX : F_BOX + 4] = signal.box
    return row


def speech_row(signal: SpeechSignal | None) -> Float64s:
    """The columns of a speech sample that attention reads; of none if there is no sound."""
    row = np.zeros(S_WIDTH)
    if signal is not None:
        row[S_SPEAKING], row[S_CONFIDENCE] = signal.speaking_probability, signal.emotion_confidence
        row[S_EMOTIONS : S_EMOTIONS + N_EMOTIONS] = signal.emotion_scores
    return row


def config_row(config: FusionConfig) -> Float64s:
    """Parameters in the order of the compiled code's indices."""
    return np.array([config.parameters[name] for name in PARAMETERS])


def fuse(faces: Float64s, speech: Float64s, config: Float64s) -> Fused:
    """Fuse row by row (n, F_WIDTH) with (n, S_WIDTH), all new samples."""
    fused = Fused(np.zeros((len(faces), N_EMOTIONS)), np.zeros(len(faces)), np.zeros(len(faces)))
    _fuse(faces, speech, config, np.zeros(2, np.int64), np.zeros(3), *fused)
    return fused


@compiled
def _fuse(
    faces: Any, speech: Any, config: Any, ages_us: Any, affect: Any, emotions: Any, face_weight: Any, speech_weight: Any
) -> None:
    for n in range(len(faces)):
        face, voice = weigh(faces[n], speech[n], NEW, NEW, ages_us, config)
        canonical_emotion(faces[n], speech[n], face, voice, emotions[n], affect)
        face_weight[n] = face
        speech_weight[n] = voice
