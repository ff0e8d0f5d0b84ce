"""Who moves the mouth: visemes while the person speaks, the face's AUs otherwise."""

from typing import Any

from dataflows.compiled import compiled
from dataflows.layout import P_MOUTH_CROSSFADE_MS, P_MOUTH_OFF, P_MOUTH_ON


@compiled
def update_owner(row: Any, speaking: float) -> None:
    """Hysteresis: above ``mouth_on`` the visemes own the mouth, below ``mouth_off`` the face; between, it stays."""
    if speaking > row["config"][P_MOUTH_ON]:
        row["viseme_mouth"] = 1
    elif speaking < row["config"][P_MOUTH_OFF]:
        row["viseme_mouth"] = 0


@compiled
def cross_fade(row: Any, elapsed_us: int) -> None:
    """Move the visemes' share of the mouth towards its owner, all the way within ``mouth_crossfade_ms``."""
    step = elapsed_us * 1e-3 / row["config"][P_MOUTH_CROSSFADE_MS]
    if row["viseme_mouth"] != 0:
        row["mouth_share"] = min(1.0, row["mouth_share"] + step)
    else:
        row["mouth_share"] = max(0.0, row["mouth_share"] - step)


@compiled
def settle(row: Any) -> None:
    """Give the whole mouth to its owner at once: after a discontinuity there is nothing to fade from."""
    row["mouth_share"] = 1.0 if row["viseme_mouth"] != 0 else 0.0
