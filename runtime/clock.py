"""Time as an argument: the only module that reads a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where instants come from."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock, made monotonic within the process.

    The wall clock is read once; from then on the monotonic clock drives it, so that hop stamps of one process never
    run backwards when the wall clock is stepped.
    """

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1_000 - time.monotonic_ns() // 1_000

    def now_us(self) -> int:
        return time.monotonic_ns() // 1_000 + self._offset_us


class ManualClock:
    """A clock that tests move by hand."""

    def __init__(self, now_us: int = 1_800_000_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance(self, *, seconds: float = 0.0, us: int = 0) -> None:
        """Move the clock forwards (or backwards, if negative)."""
        self._now_us += round(seconds * 1_000_000) + us
