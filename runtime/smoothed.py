"""A mean over what is seen, in which what was seen lately counts most. Pure: time is an argument."""

from typing import Final

SMOOTH_US: Final = 300_000
"""Time constant of the mean."""


class Smoothed:
    """A mean with the time constant SMOOTH_US; the first that is seen is taken as it is."""

    def __init__(self) -> None:
        self.value = 0.0
        self._at_us: int | None = None

    def take(self, seen: float, now_us: int) -> int:
        """Take in what is seen now; returns the µs since the last time."""
        elapsed_us = 0 if self._at_us is None else max(0, now_us - self._at_us)
        weight = 1.0 if self._at_us is None else elapsed_us / (elapsed_us + SMOOTH_US)
        self.value += (seen - self.value) * weight
        self._at_us = now_us
        return elapsed_us
