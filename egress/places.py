"""Rows of an array that are taken and given back."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

FIRST_ROOM: Final = 16


class Places:
    """Rows by their places, which are used again. The array is replaced when it grows: do not keep it."""

    def __init__(self, empty: npt.ArrayLike) -> None:
        """``empty``: what a row is that nobody has; the array has its type."""
        self._empty = np.asarray(empty)
        self.rows: npt.NDArray[Any] = np.full(FIRST_ROOM, self._empty)
        self._free = list(range(FIRST_ROOM))[::-1]

    def take(self) -> int:
        """The place of an empty row."""
        if not self._free:
            room = len(self.rows)
            self.rows = np.concatenate([self.rows, np.full(room, self._empty)])
            self._free = list(range(room, 2 * room))[::-1]
        return self._free.pop()

    def give_back(self, place: int) -> None:
        """The row is empty again."""
        self.rows[place] = self._empty
        self._free.append(place)
