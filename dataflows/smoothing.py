"""Temporal filters, one step a tick: a critically damped spring, an exponential average, the One-Euro filter.

For spring and average, τ is the lag behind a steady ramp: the spring's ω is 2/τ. τ = 0 follows at once.
"""

import math
from typing import Any, Final

import numpy as np

from dataflows.compiled import compiled
from dataflows.layout import (
    C_AFFECT,
    C_BONES,
    C_EMOTIONS,
    C_GAZE,
    C_GLOW,
    C_SLOUCH,
    C_VISEMES,
    CHANNELS,
    EMA,
    P_ONE_EURO_BETA,
    P_ONE_EURO_MIN_CUTOFF_HZ,
    P_TAU_EMOTION_MS,
    P_TAU_EYES_MS,
    P_TAU_FACE_MS,
    P_TAU_MOUTH_MS,
    P_TAU_POSE_MS,
    SPRING,
    TICKS_A_SECOND,
)
from schemas.vocabulary import BLENDSHAPES

STEP_S: Final = 1.0 / TICKS_A_SECOND
DERIVATIVE_CUTOFF_HZ: Final = 1.0

FACE_GROUP: Final = 0
MOUTH_GROUP: Final = 1
EYES_GROUP: Final = 2
POSE_GROUP: Final = 3
EMOTION_GROUP: Final = 4
GROUPS: Final = 5


def _group(channel: int) -> int:
    if channel < C_VISEMES:
        name = BLENDSHAPES[channel]
        if name.startswith(("eyeBlink", "eyeLook")):
            return EYES_GROUP
        return MOUTH_GROUP if name.startswith(("jaw", "mouth", "tongue")) else FACE_GROUP
    if channel < C_EMOTIONS:
        return MOUTH_GROUP
    if channel < C_GAZE:
        return EMOTION_GROUP
    if channel < C_BONES:
        return EYES_GROUP
    return EMOTION_GROUP if channel == C_GLOW else POSE_GROUP


GROUP: Final = np.array([_group(channel) for channel in range(CHANNELS)])
"""The time constant that each channel has."""

SCALE: Final = np.array([90.0 if C_BONES <= channel < C_GLOW else 1.0 for channel in range(CHANNELS)])
"""Full scale of each channel, for the One-Euro filter's speeds: degrees of bones, else 1."""

assert C_AFFECT < C_GAZE
assert C_SLOUCH == CHANNELS - 1


@compiled
def restart(position: Any, velocity: Any, target: Any) -> None:
    """Stand still on the target. All of shape (CHANNELS,)."""
    for j in range(CHANNELS):
        position[j] = target[j]
        velocity[j] = 0.0


@compiled
def spring(position: float, velocity: float, target: float, omega: float, decay: float) -> tuple[float, float]:
    """A critically damped spring one tick later, exactly; ``decay`` is exp(-ω·Δt).

    The closed solution of ẍ = -2ω·ẋ - ω²·(x - g) for a target g that stands still during the tick, so it is stable
    for any ω·Δt.
    """
    away = position - target
    impulse = (velocity + omega * away) * STEP_S
    return target + (away + impulse) * decay, (velocity - omega * impulse) * decay


@compiled
def one_euro_share(cutoff_hz: float) -> float:
    """Smoothing factor of a first-order low-pass with this cut-off, for one tick."""
    turn = 2.0 * math.pi * cutoff_hz * STEP_S
    return turn / (turn + 1.0)


@compiled
def smooth(kind: int, position: Any, velocity: Any, target: Any, config: Any, mouth: float, scratch: Any) -> None:
    """One tick of the session's filter on every channel. All of shape (CHANNELS,); ``scratch`` (2, GROUPS).

    ``mouth`` is the visemes' share of the mouth: its time constant goes from that of the face to that of the mouth.
    One-Euro: Casiez, Roussel & Vogel, CHI 2012, with speeds in full scales a second; ``velocity`` holds its filtered
    derivative.
    """
    if kind in (SPRING, EMA):
        for group in range(GROUPS):
            tau_ms = config[P_TAU_FACE_MS]
            if group == MOUTH_GROUP:
                tau_ms = tau_ms + mouth * (config[P_TAU_MOUTH_MS] - tau_ms)
            elif group == EYES_GROUP:
                tau_ms = config[P_TAU_EYES_MS]
            elif group == POSE_GROUP:
                tau_ms = config[P_TAU_POSE_MS]
            elif group == EMOTION_GROUP:
                tau_ms = config[P_TAU_EMOTION_MS]
            # What does not lag decays at once: a decay of 0 leaves the target, standing still.
            rate = 0.0
            decay = 0.0
            if tau_ms >= 1e-3:
                rate = (2e3 if kind == SPRING else 1e3) / tau_ms
                decay = math.exp(-rate * STEP_S)
            scratch[0, group] = rate
            scratch[1, group] = decay
        rates = scratch[0]
        decays = scratch[1]
        if kind == SPRING:
            for j in range(CHANNELS):
                position[j], velocity[j] = spring(
                    position[j], velocity[j], target[j], rates[GROUP[j]], decays[GROUP[j]]
                )
        else:
            for j in range(CHANNELS):
                position[j] = target[j] + (position[j] - target[j]) * decays[GROUP[j]]
    else:
        slow = one_euro_share(DERIVATIVE_CUTOFF_HZ)
        for j in range(CHANNELS):
            speed = (target[j] - position[j]) * TICKS_A_SECOND / SCALE[j]
            velocity[j] = velocity[j] + slow * (speed - velocity[j])
            share = one_euro_share(config[P_ONE_EURO_MIN_CUTOFF_HZ] + config[P_ONE_EURO_BETA] * abs(velocity[j]))
            position[j] = position[j] + share * (target[j] - position[j])
