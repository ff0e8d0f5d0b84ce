"""Per-user calibration: what of each Action Unit is this person's resting face, and what is expression.

Given with SessionStarted, or learned from the session's first ticks that show a face at rest; learned anew on request.
Learning looks at ticks and not at records, so neither the order in which modalities arrive nor the pictures' rate
changes it beyond what it changes of the frames themselves.

That the resting face is a person's most common one and can be taken off without being asked for is due to
Baltrušaitis, Mahmoud & Robinson, "Cross-dataset learning and person-specific normalisation for automatic Action Unit
detection", FG 2015. They subtract the median; an Action Unit only ever adds to the resting face, so a lower quantile
stands up to more expression while it is learned.
"""

from collections.abc import Sequence
from typing import Any, Final

from dataflows.attention import clamp
from dataflows.compiled import compiled
from dataflows.layout import (
    AU_BINS,
    F_CONFIDENCE,
    F_PITCH,
    F_YAW,
    N_AUS,
    P_CALIBRATION_SECONDS,
    P_MOUTH_OFF,
    TICKS_A_SECOND,
)

BINS_A_UNIT: Final = 40
"""Bins of the histogram in an intensity of 1: the baseline is known to a fortieth."""
SHARE_BELOW: Final = 0.25
"""The quantile that is taken for the resting face: up to three quarters of the ticks may show an expression."""
RESTING_MOST: Final = 0.3
"""A baseline up to here is believed. What is held above is ever more likely an expression: at twice this, wholly."""
STEADY_CONFIDENCE: Final = 0.5
FRONTAL_DEG: Final = 20.0
"""Beyond this yaw or pitch a face looks foreshortened, and its Action Units with it."""

assert round(2 * RESTING_MOST * BINS_A_UNIT) == AU_BINS


def prepare(row: Any, given: tuple[Sequence[float], Sequence[float]] | None) -> None:
    """Set a new session's row up, whose ``config`` is set: with the neutral AUs and gains given, or to learn them."""
    row["learn"] = round(float(row["config"][P_CALIBRATION_SECONDS]) * TICKS_A_SECOND)
    row["reset_us"] = -1
    if given is None:
        row["learned"] = 0
        row["au_neutral"], row["au_gain"] = 0.0, 1.0
    else:
        row["learned"] = row["learn"]
        row["au_neutral"], row["au_gain"] = given


@compiled
def begin_again(row: Any) -> None:
    """Forget what was seen. The calibration itself stays until what is learned from now on has replaced it."""
    row["reset_us"] = -1
    if row["learn"] > 0:
        row["learned"] = 0
        for j in range(N_AUS):
            for b in range(AU_BINS):
                row["au_seen"][j, b] = 0


@compiled
def is_at_rest(face: Any, presence: float, speaking: float, config: Any) -> bool:
    """True if a tick can tell of the resting face: present, fresh, confident, frontal, and the mouth not speaking."""
    return bool(
        presence >= 1.0
        and face[F_CONFIDENCE] >= STEADY_CONFIDENCE
        and abs(face[F_YAW]) <= FRONTAL_DEG
        and abs(face[F_PITCH]) <= FRONTAL_DEG
        and speaking < config[P_MOUTH_OFF]
    )


@compiled
def low_quantile(seen: Any, count: int) -> float:
    """The intensity that SHARE_BELOW of ``count`` ticks lay below, by histogram; linear within a bin.

    ``seen`` counts ticks by bin, shape (AU_BINS,); those of higher intensities are in ``count`` only. If the quantile
    is among these, the histogram's end.
    """
    rank = SHARE_BELOW * count
    below = 0
    for b in range(AU_BINS):
        here = int(seen[b])
        if here > 0 and below + here >= rank:
            return (b + (rank - below) / here) / BINS_A_UNIT
        below += here
    return AU_BINS / BINS_A_UNIT


@compiled
def believed(quantile: float) -> float:
    """The baseline that a low quantile stands for: itself up to RESTING_MOST, from there falling to 0 at twice that."""
    return max(0.0, min(quantile, 2.0 * RESTING_MOST - quantile))


@compiled
def learn(row: Any, measured: Any) -> None:
    """Take one tick's AUs, shape (N_AUS,), and move the calibration towards what all so far say.

    Of the way to what n of N ticks say, the n-th goes 1/(N - n + 1): the calibration comes in smoothly, the last tick
    completes it, and then it stands. The gain is such that an intensity of 1 stays 1.
    """
    row["learned"] = row["learned"] + 1
    count = row["learned"]
    share = 1.0 / (row["learn"] - count + 1)
    neutral = row["au_neutral"]
    gain = row["au_gain"]
    for j in range(N_AUS):
        bin_ = int(clamp(measured[j], 0.0, 1.0) * BINS_A_UNIT)
        if bin_ < AU_BINS:
            row["au_seen"][j, bin_] = row["au_seen"][j, bin_] + 1
        baseline = believed(low_quantile(row["au_seen"][j], count))
        neutral[j] = neutral[j] + share * (baseline - neutral[j])
        gain[j] = gain[j] + share * (1.0 / (1.0 - baseline) - gain[j])


@compiled
def update_calibration(
    row: Any, instant_us: int, face: Any, measured: Any, presence: float, speaking: float, config: Any
) -> None:
    """What a tick does to the calibration: begins again if that was asked for by now, learns if there is still to."""
    if row["reset_us"] >= 0 and instant_us >= row["reset_us"]:
        begin_again(row)
    if row["learned"] < row["learn"] and is_at_rest(face, presence, speaking, config):
        learn(row, measured)


@compiled
def calibrate(measured: Any, neutral: Any, gain: Any, out: Any) -> None:
    """AUs of this person: gain · (measured - neutral), within 0..1. All of shape (N_AUS,)."""
    for j in range(N_AUS):
        out[j] = clamp(gain[j] * (measured[j] - neutral[j]), 0.0, 1.0)
