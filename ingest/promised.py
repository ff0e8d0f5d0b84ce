"""Sessions that were admitted and are not to be felt yet. Pure: time is an argument.

Between a session's start and the moment when what it costs shows in what the edge measures lie seconds: its client
connects, perhaps with a thousand others, and then begins to send. Hundreds may start meanwhile, at an edge that has
room for a tenth of them by what it measures. So each of them is expected to cost what the others do.

What comes little by little is not looked at here: it shows soon enough, and is refused in its place of the declared
order (:mod:`ingest.headroom`), after pictures.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ingest.headroom import FULL_CPU, HIGH, Load
from runtime.smoothed import Smoothed

KNOWN_FROM: Final = 20
"""With fewer sessions that send, what one costs is not told from what the edge does anyway."""
FEW: Final = 10
FEW_OF: Final = 20
"""So many, or one in so many of those that send, are not looked at."""
PROMISE_US: Final = 10_000_000
"""A session that has sent nothing for so long after its start is expected to cost nothing."""
SHOWS_US: Final = 1_000_000
"""From a session's first item until what it costs shows in what is measured, which is smoothed."""
COST_HALVES_US: Final = 30_000_000
"""Sessions that send less than before may send as much again."""


class Promised:
    """Whether one more session fits, with those that nobody feels yet. Call :meth:`look` about ten times a second."""

    def __init__(self) -> None:
        self._sending: deque[tuple[int, int]] = deque()
        """When there were how many sessions that had sent something, of the last second."""
        self._unfelt = 0
        self._since_look = self._starting = 0
        self._cpu = Smoothed()
        self.cost = 0.0
        """Pressure by one session; 0: not known."""

    @property
    def count(self) -> int:
        """Sessions that are not to be felt yet."""
        return self._unfelt + self._since_look

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While one more is being started; whoever holds the sessions tells of it afterwards."""
        self._since_look += 1
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1

    def look(self, load: Load, sending: int, silent: int, now_us: int) -> None:
        """Take in what is measured, how many sessions have sent something, and how many lately started have not."""
        elapsed_us = self._cpu.take(load.cpu / FULL_CPU, now_us)
        self.cost *= 0.5 ** (elapsed_us / COST_HALVES_US)
        if sending >= KNOWN_FROM:
            self.cost = max(self.cost, self._cpu.value / sending)
        while self._sending and self._sending[0][0] < now_us - SHOWS_US:
            self._sending.popleft()
        self._sending.append((now_us, sending))
        self._unfelt = self._starting + silent + max(0, sending - self._sending[0][1])
        self._since_look = 0

    def fits(self, pressure: float) -> bool:
        """Whether one more may start at this pressure of what is felt."""
        sending = self._sending[-1][1] if self._sending else 0
        if self.count < max(FEW, sending // FEW_OF):
            return True
        return pressure + (self.count + 1) * self.cost < HIGH
