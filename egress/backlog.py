"""Whether egress can serve more viewers: measured, as at the edge. Pure: time is an argument.

What is read of the log waits until the event loop has sent it. Where that takes a twentieth of a second, frames come
late to everybody who watches; then whoever comes anew is asked to come later, or goes to another replica.
"""

from typing import Final

from runtime.smoothed import Smoothed

FULL_S: Final = 0.050
"""Half of what a frame may take from the capture to the client."""
FULL_AFTER_US: Final = 400_000
"""For so long already: one late batch, as the first after a start may be, is no backlog."""
AGAIN_S: Final = 0.0375
"""Viewers are taken again: far enough below, so that one more does not swing it."""
QUIET_US: Final = 1_000_000
"""Nothing was read for so long: nothing waits."""


class Backlog:
    """How long frames wait in this process."""

    def __init__(self) -> None:
        self._waits = Smoothed()
        self._seen_us = 0
        self._full = False
        self._late_since_us: int | None = None

    def take(self, waited_s: float, now_us: int) -> None:
        """The frames that were sent now had waited so long."""
        if now_us - self._seen_us > QUIET_US:
            self._full, self._late_since_us = False, None
        self._waits.take(waited_s, now_us)
        self._seen_us = now_us
        if self._waits.value < FULL_S:
            self._late_since_us = None
            self._full = self._full and self._waits.value >= AGAIN_S
            return
        if self._late_since_us is None:
            self._late_since_us = now_us
        self._full = self._full or now_us - self._late_since_us >= FULL_AFTER_US

    def wait_s(self, now_us: int) -> float:
        """How long frames wait now, smoothed."""
        return 0.0 if now_us - self._seen_us > QUIET_US else self._waits.value

    def full(self, now_us: int) -> bool:
        """Whether more viewers would be too many."""
        return self._full and now_us - self._seen_us <= QUIET_US
