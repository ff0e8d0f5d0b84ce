"""Which of a stream's frames are taken, when it has more than are wanted. Pure."""

from typing import Final

EARLY: Final = 0.5
"""A frame is taken up to half a period early, so that a stream at the wanted rate keeps every frame, jitter or not."""


class Pacer:
    """Takes at most ``per_second`` frames, evenly, by their media time."""

    def __init__(self, per_second: float) -> None:
        self._period_us = 1e6 / per_second
        self._due_us: float | None = None

    def wanted(self, media_us: int) -> bool:
        """Whether the frame of this instant is to be taken."""
        due, period = self._due_us, self._period_us
        if due is None or abs(media_us - due) > 10 * period:  # the first, or time has jumped
            self._due_us = media_us + period
            return True
        if media_us < due - EARLY * period:
            return False
        self._due_us = max(due, media_us - EARLY * period) + period
        return True
