"""How well visemes are told, against labels whose times are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.evaluation.hearing import Heard
from inference_workers.evaluation.scores import Scores
from inference_workers.speech.phones import UNLABELLED, Segment, labels_at
from schemas.vocabulary import VISEMES

SHIFTS_MS: Final = tuple(range(-120, 205, 5))
MIDDLE_MS: Final = 20
"""Of a hop, before its end."""
SILENCE: Final = VISEMES.index("sil")


@dataclass(frozen=True, slots=True)
class VisemeScores:
    """What came of a set of recordings.

    A frame is a published hop; it is about the 40 ms that end at its instant. ``late_ms`` is how much before that
    instant, for which fusion takes it, the labels lie that the answers fit best: 0 if the mouth moves with the voice,
    positive if it lags.
    """

    recordings: int
    middle: Scores
    """Against the labels in the middle of the hops."""
    end: Scores
    """Against the labels at their ends."""
    late_ms: float

    @property
    def spoken_accuracy(self) -> float:
        """Accuracy over hops in whose middle is not silence."""
        rows = np.delete(self.middle.table, SILENCE, axis=0)
        return float(np.delete(np.diag(self.middle.table), SILENCE).sum() / max(1, rows.sum()))

    def keys(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "recordings": self.recordings,
            "n": self.middle.n,
            "accuracy": round(self.middle.accuracy, 4),
            "offset_ms": self.late_ms,
            "accuracy_spoken": round(self.spoken_accuracy, 4),
            "accuracy_at_end": round(self.end.accuracy, 4),
            "uar": round(self.middle.uar, 4),
            "per_class": {name: round(value, 4) for name, value in self.middle.recalls.items()},
        }


def score(heard: Mapping[str, Sequence[Heard]], truth: Mapping[str, Sequence[Segment]]) -> VisemeScores:
    """Score what was published of recordings against their segments, both by the recording's name."""
    weights = np.concatenate([np.array([each.signal.viseme_scores for each in heard[name]]) for name in truth])
    shifted = np.stack([_labels(heard, truth, shift_ms / 1_000.0) for shift_ms in SHIFTS_MS])
    # The mean weight of the right viseme is smoother over the shift than the share of right answers.
    fits = []
    for labels in shifted:
        known = labels != UNLABELLED
        fits.append(float(weights[known, labels[known]].mean()) if known.any() else 0.0)
    best = int(np.argmax(fits))
    answers = weights.argmax(axis=1)
    return VisemeScores(
        len(truth),
        middle=_scores(shifted[SHIFTS_MS.index(MIDDLE_MS)], answers),
        end=_scores(shifted[SHIFTS_MS.index(0)], answers),
        late_ms=_vertex(fits, best),
    )


def _labels(
    heard: Mapping[str, Sequence[Heard]], truth: Mapping[str, Sequence[Segment]], shift_s: float
) -> NDArray[np.int8]:
    return np.concatenate(
        [labels_at(truth[name], np.array([each.at_s for each in heard[name]]) - shift_s) for name in truth]
    )


def _scores(labels: NDArray[np.int8], answers: NDArray[np.int64]) -> Scores:
    known = labels != UNLABELLED
    return Scores.of(VISEMES, labels[known].tolist(), answers[known].tolist())


def _vertex(fits: Sequence[float], best: int) -> float:
    """The shift of the parabola's vertex through the best shift and its neighbours."""
    if not 0 < best < len(fits) - 1:
        return float(SHIFTS_MS[best])
    left, middle, right = fits[best - 1 : best + 2]
    bend = left - 2 * middle + right
    aside = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return round(SHIFTS_MS[best] + aside * (SHIFTS_MS[1] - SHIFTS_MS[0]), 1)
