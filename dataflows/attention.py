"""Attention-weighted late fusion: how much each modality counts, and the canonical emotion."""

import math
from typing import Any, Final

from dataflows.compiled import compiled
from dataflows.layout import (
    F_BOX,
    F_CONFIDENCE,
    F_DETECTED,
    F_EMOTIONS,
    F_PITCH,
    F_VALENCE,
    F_YAW,
    N_EMOTIONS,
    NEUTRAL,
    P_FACE_CERTAINTY,
    P_FACE_THRESHOLD,
    P_FRONTALITY_CONTEXT,
    P_SPEAKING_CONTEXT,
    P_SPEECH_THRESHOLD,
    P_STALENESS_CONTEXT,
    S_CONFIDENCE,
    S_EMOTIONS,
    S_SPEAKING,
    S_VALENCE,
)

RADIANS: Final = math.pi / 180.0


@compiled
def clamp(value: float, low: float, high: float) -> float:
    """``value`` within [low, high]."""
    return low if value < low else min(value, high)


@compiled
def logit(probability: float) -> float:
    """ln(p / (1 - p)), with p kept within [0.001, 0.999]."""
    p = clamp(probability, 0.001, 0.999)
    return math.log(p / (1.0 - p))


@compiled
def frontality(yaw_deg: float, pitch_deg: float, width: float, height: float) -> float:
    """0..1: 1 for a face that looks into the camera and fills a quarter of the picture's width or height."""
    facing = max(0.0, math.cos(yaw_deg * RADIANS)) * max(0.0, math.cos(pitch_deg * RADIANS))
    return facing * clamp(4.0 * max(width, height), 0.0, 1.0)


@compiled
def certainty(face: Any, exponent: float) -> float:
    """Confidence in what a face's emotion is: that there is a face, times its likeliest emotion's score ** exponent."""
    likeliest = 0.0
    for j in range(N_EMOTIONS):
        likeliest = max(likeliest, face[F_EMOTIONS + j])
    return float(face[F_CONFIDENCE] * math.pow(likeliest, exponent))


@compiled
def weigh(
    face: Any, speech: Any, face_fresh: float, speech_fresh: float, ages_us: Any, config: Any
) -> tuple[float, float]:
    """Weights of face and speech: softmax of logit(confidence) + context, then times freshness.

    Speech's confidence is in its emotion, a face's in being one: hence :func:`certainty`. A modality that is not live,
    shows no face or has a confidence under its threshold gets 0. The two sum to at most 1; what is missing counts as
    neutral.
    """
    face_counts = (
        face_fresh > 0.0
        and face[F_DETECTED] > 0.5
        and face[F_CONFIDENCE] >= config[P_FACE_THRESHOLD]
        and face[F_CONFIDENCE] > 0.0
    )
    speech_counts = (
        speech_fresh > 0.0 and speech[S_CONFIDENCE] >= config[P_SPEECH_THRESHOLD] and speech[S_CONFIDENCE] > 0.0
    )
    if not face_counts and not speech_counts:
        return 0.0, 0.0
    if not speech_counts:
        return face_fresh, 0.0
    if not face_counts:
        return 0.0, speech_fresh
    stale = config[P_STALENESS_CONTEXT] * 1e-6
    face_logit = (
        logit(certainty(face, config[P_FACE_CERTAINTY]))
        + config[P_FRONTALITY_CONTEXT] * frontality(face[F_YAW], face[F_PITCH], face[F_BOX + 2], face[F_BOX + 3])
        - stale * ages_us[0]
    )
    speech_logit = logit(speech[S_CONFIDENCE]) + config[P_SPEAKING_CONTEXT] * speech[S_SPEAKING] - stale * ages_us[1]
    share = 1.0 / (1.0 + math.exp(clamp(speech_logit - face_logit, -60.0, 60.0)))
    return share * face_fresh, (1.0 - share) * speech_fresh


@compiled
def canonical_emotion(
    face: Any, speech: Any, face_weight: float, speech_weight: float, emotions: Any, affect: Any
) -> None:
    """Fused emotion scores (sum 1) to ``emotions``, valence, arousal and dominance (-1..1) to ``affect``."""
    total = 0.0
    for j in range(N_EMOTIONS):
        score = face_weight * face[F_EMOTIONS + j] + speech_weight * speech[S_EMOTIONS + j]
        if j == NEUTRAL:
            score += max(0.0, 1.0 - face_weight - speech_weight)
        emotions[j] = max(0.0, score)
        total += emotions[j]
    for j in range(N_EMOTIONS):
        if total > 1e-9:
            emotions[j] = emotions[j] / total
        else:
            emotions[j] = 1.0 if j == NEUTRAL else 0.0
    for j in range(3):
        affect[j] = face_weight * face[F_VALENCE + j] + speech_weight * speech[S_VALENCE + j]
