"""Which pictures of a stream are sent when fewer are asked for. Pure."""

from typing import Final

EARLY: Final = 0.5
"""A picture goes up to half a period early, so that a camera of nearly the wanted rate keeps its own."""


class Pace:
    """Lets at most so many pictures a second through, evenly; as many as come until it is told otherwise."""

    def __init__(self) -> None:
        self._period_us: float | None = None
        self._due_us = 0.0

    def ask(self, per_s: float | None) -> None:
        """So many a second from now on; None: as many as come."""
        self._period_us = None if per_s is None or per_s <= 0 else 1e6 / per_s
        self._due_us = 0.0

    def wanted(self, now_us: int) -> bool:
        """Whether the picture that there is now is to be sent."""
        period = self._period_us
        if period is None:
            return True
        if now_us < self._due_us - EARLY * period:
            return False
        self._due_us = max(self._due_us, now_us - EARLY * period) + period
        return True
