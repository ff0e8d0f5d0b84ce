"""What the landmark bundle's blendshape scores mean: a monotone curve a channel, fitted on renders.

The scores are not the weights that ARKit's names promise: a full blink reads 0.4 to 0.7, a jaw that is eight tenths
open 0.5, a raised inner brow 0.4. ``affectstream eval loop --fit`` renders a head with known weights in several poses
and lights, reads the scores, and writes for each channel the curve from score to weight as a few points with straight
lines between them. Left and right share theirs.

* What a resting face reads is 0, at most :data:`REST_AT_MOST`: people's resting faces differ, and calibration takes the
  rest.
* No line is steeper than :data:`STEEPEST`: what a channel hardly shows is not made up from its noise.
* A channel that answers with less than :data:`ANSWERS_FROM` between nothing and everything is left as it is.
* ``mouthFrown``'s score does not answer at all. It is taken from how far the corner of the mouth lies below the middle
  of the lips, in centimetres of the canonical face (:meth:`CanonicalFace.fit`), through a curve like the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError
from schemas.vocabulary import BLENDSHAPES

FILE: Final = Path(__file__).parents[1] / "weights" / "blendshape_gains.json"
REST_AT_MOST: Final = 0.25
STEEPEST: Final = 4.0
ANSWERS_FROM: Final = 0.08
STEPS: Final = 256

Floats = NDArray[np.float32]
Point = tuple[float, float]
"""Score, weight."""


@dataclass(frozen=True)
class Gains:
    """Curves by channel; a channel without one is left as it is."""

    curves: Mapping[str, Sequence[Point]]

    def __post_init__(self) -> None:
        """Check the curves and lay them out as a table; raises ModelError for one that is not monotone within 0..1."""
        table = np.tile(np.linspace(0.0, 1.0, STEPS + 1), (len(BLENDSHAPES), 1))
        for name, points in self.curves.items():
            if name not in BLENDSHAPES:
                raise ModelError(f"a gain curve names {name}, which is no blendshape")
            scores, weights = np.array(points, float).T
            rising = np.all(np.diff(scores) > 0) and np.all(np.diff(weights) >= 0)
            if not rising or scores[0] < 0 or weights[0] < 0 or scores[-1] > 1 or weights[-1] > 1:
                raise ModelError(f"the gain curve of {name} is not monotone within 0..1: {points}")
            table[BLENDSHAPES.index(name)] = np.interp(table[BLENDSHAPES.index(name)], scores, weights)
        object.__setattr__(self, "_table", table.astype(np.float32))

    def apply(self, scores: Floats) -> Floats:
        """Weights from scores, both in the order of BLENDSHAPES and 0..1."""
        table: Floats = self._table  # type: ignore[attr-defined]
        place = np.clip(scores, 0.0, 1.0) * STEPS
        below = np.minimum(place.astype(np.intp), STEPS - 1)
        rows = np.arange(len(BLENDSHAPES))
        share = (place - below).astype(np.float32)
        return np.asarray((1.0 - share) * table[rows, below] + share * table[rows, below + 1], np.float32)

    @classmethod
    def load(cls, path: Path = FILE) -> "Gains":
        """Read the file; raises ModelError if it is not one."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            curves = {str(name): [(float(x), float(y)) for x, y in points] for name, points in raw["curves"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} holds no gain curves: {error!r}") from error
        return cls(curves)

    def save(self, path: Path, how: Mapping[str, Any]) -> None:
        """Write the file, with ``how`` it came about."""
        lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(points)}" for name, points in self.curves.items())
        made = json.dumps(how, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        path.write_text(f'{{\n  "fitted": {made},\n  "curves": {{\n{lines}\n  }}\n}}\n', encoding="utf-8")


def curve_of(levels: Sequence[float], scores: Sequence[float]) -> list[Point] | None:
    """The curve of a channel that read ``scores`` at the weights ``levels``; None if it does not answer.

    The levels begin with 0 and rise.
    """
    rest = round(min(scores[0], REST_AT_MOST), 4)
    read = np.maximum.accumulate(np.asarray(scores, float))
    if read[-1] - scores[0] < ANSWERS_FROM:
        return None
    points: list[Point] = [(0.0, 0.0)] if rest < 0.005 else [(0.0, 0.0), (rest, 0.0)]
    for level, score in zip(levels[1:], read[1:], strict=True):
        x, y = points[-1]
        if score - x < 0.01:
            continue  # levels that read alike: the next one tells them apart
        points.append((round(float(score), 4), round(min(level, y + STEEPEST * (float(score) - x)), 4)))
    x, y = points[-1]
    if x < 1.0:
        points.append((1.0, round(min(1.0, y + STEEPEST * (1.0 - x)), 4)))
    return points


NONE: Final = Gains({})
"""Scores as they are."""
