"""The mapping's tables and parameters' names for the Java peer, so that they stand in one place only."""

from pathlib import Path
from typing import Final

import numpy as np

from dataflows import layout, mapping, smoothing
from schemas.fusion_config import PARAMETERS

TABLES: Final = {
    "pairAu": mapping.PAIR_AU,
    "pairLeft": mapping.PAIR_LEFT,
    "pairRight": mapping.PAIR_RIGHT,
    "pairGain": mapping.PAIR_GAIN,
    "singleAu": mapping.SINGLE_AU,
    "singleShape": mapping.SINGLE_SHAPE,
    "singleGain": mapping.SINGLE_GAIN,
    "measured": mapping.MEASURED_SHAPE,
    "styleEmotion": mapping.STYLE_EMOTION,
    "styleShape": mapping.STYLE_SHAPE,
    "styleWeight": mapping.STYLE_WEIGHT,
    "visemeIndex": mapping.VISEME_INDEX,
    "visemeShape": mapping.VISEME_SHAPE,
    "visemeWeight": mapping.VISEME_WEIGHT,
    "expressive": mapping.EXPRESSIVE,
    "mouth": mapping.MOUTH,
    "group": smoothing.GROUP,
    "named": np.array(
        [
            mapping.AU04, mapping.AU06, mapping.AU12, mapping.BLINK_LEFT, mapping.BLINK_RIGHT, mapping.LOOK_DOWN_LEFT,
            mapping.LOOK_DOWN_RIGHT, mapping.LOOK_IN_LEFT, mapping.LOOK_IN_RIGHT, mapping.LOOK_OUT_LEFT,
            mapping.LOOK_OUT_RIGHT, mapping.LOOK_UP_LEFT, mapping.LOOK_UP_RIGHT, mapping.CHEEK_LEFT,
            mapping.CHEEK_RIGHT, mapping.SMILE_LEFT, mapping.SMILE_RIGHT, mapping.WIDE_LEFT, mapping.WIDE_RIGHT,
            layout.HAPPY, layout.SAD, layout.NEUTRAL,
        ]
    ),
    "neckShare": np.array([mapping.NECK_SHARE]),
}  # fmt: skip
"""Tables by the name that the Java program gives them."""


def write_tables(path: Path) -> None:
    """One line a table: its name, then its numbers; last, the parameters' names in order."""
    lines = [f"{name} {' '.join(repr(float(value)) for value in values)}" for name, values in TABLES.items()]
    lines.append("parameters " + " ".join(PARAMETERS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
