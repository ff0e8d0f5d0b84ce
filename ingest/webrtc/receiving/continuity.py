"""Which frames can be decoded after a loss, and when to ask the sender for a key frame. Pure; instants in microseconds.

Pictures that refer to one that never came are decoded into smears, and a face in a smear has an expression of its own:
until a key frame comes, nothing is better than that.
"""

from typing import Final

ASK_EVERY_US: Final = 500_000
"""A picture loss indication (RFC 4585, section 6.3.1) is repeated no sooner."""

PATIENCE_US: Final = 3_000_000
"""Senders that never answer with a key frame refresh pictures in slices, or hardly at all: then take what comes."""


class Continuity:
    """One video stream's decodability. A stream begins broken: its first frame must be a key frame."""

    def __init__(self) -> None:
        self._broken_since_us: int | None = None
        self._asked_us: int | None = None
        self._begun = False

    @property
    def broken(self) -> bool:
        """Whether a key frame is awaited."""
        return not self._begun or self._broken_since_us is not None

    def lost(self, now_us: int) -> None:
        """Something is missing before the next frame, or a frame could not be decoded."""
        if self._begun and self._broken_since_us is None:
            self._broken_since_us = now_us

    def admits(self, key: bool, now_us: int) -> bool:
        """Whether to decode a frame; ``key`` says that it needs no earlier one."""
        if key:
            self._begun = True
            self._broken_since_us = None
            self._asked_us = None
            return True
        if not self.broken:
            return True
        if self._broken_since_us is None:
            self._broken_since_us = now_us
        if 0 <= now_us - self._broken_since_us < PATIENCE_US:
            return False
        self._begun = True
        self._broken_since_us = None
        return True

    def should_ask(self, now_us: int) -> bool:
        """Whether to ask for a key frame now; if so, the asking is taken for done."""
        if not self.broken or (self._asked_us is not None and 0 <= now_us - self._asked_us < ASK_EVERY_US):
            return False
        self._asked_us = now_us
        return True
