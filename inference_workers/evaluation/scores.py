"""Scores of answers against labels. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """A confusion of classes, truth by answer, and what follows from it; classes that do not occur do not count."""

    classes: tuple[str, ...]
    table: Counts

    @classmethod
    def of(cls, classes: Sequence[str], truth: Sequence[int], answers: Sequence[int]) -> "Scores":
        """Of the places of the true and of the answered classes, item by item."""
        table = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(table, (np.asarray(truth, np.int64), np.asarray(answers, np.int64)), 1)
        return cls(tuple(classes), table)

    @property
    def n(self) -> int:
        """Items."""
        return int(self.table.sum())

    @property
    def accuracy(self) -> float:
        """Share answered right; 0 of none."""
        return float(np.trace(self.table)) / max(1, self.n)

    @property
    def recalls(self) -> Mapping[str, float]:
        """By class: share of its items that are answered right."""
        return {name: float(self.table[i, i] / self.table[i].sum()) for i, name in self._occurring()}

    @property
    def f1s(self) -> Mapping[str, float]:
        """By class: harmonic mean of precision and recall."""
        return {
            name: float(2 * self.table[i, i] / (self.table[i].sum() + self.table[:, i].sum()))
            for i, name in self._occurring()
        }

    @property
    def uar(self) -> float:
        """Unweighted average recall."""
        return _mean(self.recalls)

    @property
    def macro_f1(self) -> float:
        """Unweighted average of F1."""
        return _mean(self.f1s)

    def _occurring(self) -> Sequence[tuple[int, str]]:
        return [(i, name) for i, name in enumerate(self.classes) if self.table[i].sum() > 0]


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values) if values else 0.0
