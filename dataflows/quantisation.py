"""Numbers to the integers that frames carry; half a step at most is lost."""

import math
from typing import Any

from dataflows.attention import clamp
from dataflows.compiled import compiled


@compiled
def to_uint8(value: float) -> int:
    """0..1 to 0..255, rounded; outside is cut off."""
    return math.floor(clamp(value, 0.0, 1.0) * 255.0 + 0.5)


@compiled
def to_signed(value: float, limit: float, steps: float) -> int:
    """-limit..limit to ``steps`` a unit, rounded; outside is cut off."""
    return math.floor(clamp(value, -limit, limit) * steps + 0.5)


@compiled
def quantise_weights(values: Any, start: int, out: Any) -> None:
    """``values[start:]`` (0..1) to all of ``out`` (uint8, 255ths)."""
    taken = values[start : start + len(out)]
    for j in range(len(out)):
        out[j] = to_uint8(taken[j])


@compiled
def quantise_angles(values: Any, start: int, out: Any, out_start: int) -> None:
    """Degrees from ``values[start:]`` to ``out[out_start:]`` (int16, hundredths)."""
    for j in range(len(out) - out_start):
        out[out_start + j] = to_signed(values[start + j], 327.0, 100.0)
