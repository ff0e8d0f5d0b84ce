"""Mapping client times to the edge's clock. Pure: every instant is an argument, in microseconds.

The edge sends ``clock_probe`` with its own time t0; the client answers at once with its time c; the edge receives the
answer at t1. As in NTP (RFC 5905, section 8), the client's clock is ahead by ``c - (t0 + t1) / 2``, wrong by at most
half the round trip. Of the answers in a sliding window, the one with the shortest round trip counts.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from schemas.vocabulary import Modality

WINDOW_US: Final = 30_000_000
MAX_ROUND_TRIP_US: Final = 5_000_000
MAX_AGE_US: Final = 5_000_000
"""Live media is taken as captured at most this long before it was received."""

STEP_US: Final = 100_000
"""A correction beyond this is applied at once: the client's clock was stepped, or the first guess was wrong."""

SLEW_PER_SECOND: Final = 0.005
"""Smaller corrections are applied at 5 ms a second, so that sound keeps its length."""

MAX_RECORDING_US: Final = 24 * 3_600 * 1_000_000
MAX_OPEN_PROBES: Final = 16


class TimelineError(ValueError):
    """A client time that cannot be placed on the session's timeline."""


@dataclass(frozen=True, slots=True)
class _Answer:
    received_us: int
    round_trip_us: int
    offset_us: int


class ClockOffset:
    """Estimates how far a client's clock is ahead of the edge's."""

    def __init__(self) -> None:
        self._open: deque[int] = deque(maxlen=MAX_OPEN_PROBES)
        self._answers: deque[_Answer] = deque()
        self._best: _Answer | None = None
        """The answer of the window with the shortest round trip."""
        self._applied_us: float | None = None
        self._measured = False
        self._applied_at_us = 0

    def probe_sent(self, server_us: int) -> None:
        """A probe with this time has been sent; only the newest 16 may still be answered."""
        self._open.append(server_us)

    def answered(self, server_us: int, client_us: int, received_us: int) -> bool:
        """Take an answer; False if no such probe is open or the round trip is over 5 s."""
        try:
            self._open.remove(server_us)
        except ValueError:
            return False
        round_trip_us = received_us - server_us
        if not 0 <= round_trip_us <= MAX_ROUND_TRIP_US:
            return False
        self._answers.append(_Answer(received_us, round_trip_us, client_us - (server_us + received_us) // 2))
        while self._answers[0].received_us < received_us - WINDOW_US:
            self._answers.popleft()
        self._best = min(self._answers, key=lambda answer: answer.round_trip_us)
        return True

    @property
    def round_trip_us(self) -> int | None:
        """The shortest round trip in the window."""
        return None if self._best is None else self._best.round_trip_us

    @property
    def measured_us(self) -> int | None:
        """How far the client's clock is ahead, by the best answer of the window; None before any."""
        return None if self._best is None else self._best.offset_us

    def at(self, now_us: int, client_us: int) -> int:
        """The offset to take off ``client_us`` now; before any answer, the one that makes it ``now_us``."""
        best = self._best
        if best is not None and self._measured and best.offset_us == self._applied_us:
            self._applied_at_us = now_us
            return best.offset_us
        if best is None:
            if self._applied_us is None:
                self._applied_us = float(client_us - now_us)
        elif not self._measured or self._applied_us is None or abs(best.offset_us - self._applied_us) > STEP_US:
            self._applied_us = float(best.offset_us)
            self._measured = True
        else:
            reach = max(0, now_us - self._applied_at_us) * SLEW_PER_SECOND
            self._applied_us += max(-reach, min(reach, best.offset_us - self._applied_us))
        self._applied_at_us = now_us
        return round(self._applied_us)


class LiveTimeline:
    """Client times mapped to the edge's clock, clamped to [received - 5 s, received], never running backwards."""

    def __init__(self) -> None:
        self.offset = ClockOffset()
        self._latest_us: dict[Modality, int] = {}

    def place(self, modality: Modality, client_us: int, received_us: int) -> int:
        """``captured_at_us`` on the edge's clock."""
        return self.place_mapped(modality, client_us - self.offset.at(received_us, client_us), received_us)

    def place_mapped(self, modality: Modality, mapped_us: int, received_us: int) -> int:
        """The same for a time that was mapped to the edge's clock by other means."""
        placed = min(max(mapped_us, received_us - MAX_AGE_US), received_us)
        latest = self._latest_us.get(modality)
        if latest is not None and latest > placed:
            return latest
        self._latest_us[modality] = placed
        return placed


class RecordedTimeline:
    """Client times taken as time in the recording, from 0 at the session's start; the speed of sending is free."""

    def __init__(self, started_at_us: int) -> None:
        self.offset = ClockOffset()
        self._started_at_us = started_at_us

    def place(self, modality: Modality, client_us: int, received_us: int) -> int:
        """``captured_at_us`` on the edge's clock; raises TimelineError outside of [0, 24 h]."""
        del modality, received_us
        if not 0 <= client_us <= MAX_RECORDING_US:
            raise TimelineError(f"captured_at_us {client_us} of a recorded session must lie within 24 h of its start")
        return self._started_at_us + client_us


Timeline = LiveTimeline | RecordedTimeline
