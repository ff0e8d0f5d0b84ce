"""Where RTP timestamps lie on the edge's clock. Pure: every instant is an argument, in microseconds.

An RTP timestamp counts a stream's own clock from an arbitrary start. Two things tell where that lies in time:

* Arrivals. A frame arrives a little after it was captured: arrival minus media time is the stream's offset plus a
  delay that varies, so its minimum over some seconds is the offset plus the least delay.
* Sender reports (RFC 3550, section 6.4.1) say which timestamp belongs to which instant of the sender's clock. They put
  sound and pictures on one clock: the least delay of either then serves for both, and lips stay with voices. If the
  sender's clock was measured besides (the probes of the control channel), no delay is left in at all.

What a sender says is believed only as far as arrivals allow: nothing arrives before it was captured, and a stream is
not seconds slower than the other.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

WRAP: Final = 1 << 32
WINDOW_US: Final = 10_000_000
JUMP_US: Final = 5_000_000
"""A frame that seems to be this much later than the fastest: the stream has begun to count anew."""

MAX_DELAY_US: Final = 2_000_000
"""A sender's word that would mean more delay than this is not believed."""

TOLERANCE_US: Final = 50_000
"""A measured clock may be wrong by so much: half a round trip."""

STEP_US: Final = 100_000
SLEW_PER_SECOND: Final = 0.005
"""Corrections upwards are slewed at 5 ms a second, so that sound keeps its length; larger ones are applied at once."""


class Unwrapper:
    """32-bit timestamps to whole numbers that do not wrap; a packet may be late or early by less than half a wrap."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, timestamp: int) -> int:
        """The number nearest to the last one that is ``timestamp`` modulo 2**32."""
        if self._last is None:
            self._last = timestamp % WRAP
        else:
            step = (timestamp - self._last) % WRAP
            self._last += step - WRAP if step >= WRAP // 2 else step
        return self._last


class Minimum:
    """The least of the values of a sliding window."""

    def __init__(self, window_us: int = WINDOW_US) -> None:
        self._window_us = window_us
        self._rising: deque[tuple[int, int]] = deque()

    def add(self, now_us: int, value: int) -> int:
        """Take a value; the least of those in the window."""
        rising = self._rising
        while rising and rising[-1][1] >= value:
            rising.pop()
        rising.append((now_us, value))
        while rising[0][0] < now_us - self._window_us:
            rising.popleft()
        return rising[0][1]

    def clear(self) -> None:
        """Forget all values."""
        self._rising.clear()


class SenderClock:
    """How far behind the edge's clock a peer's is, least delay included: what its streams have in common."""

    def __init__(self) -> None:
        self.least = Minimum()


@dataclass(frozen=True, slots=True)
class _Report:
    ntp_us: int
    timestamp: int


class StreamClock:
    """Places one stream's timestamps, unwrapped ones, on the edge's clock."""

    def __init__(self, sender: SenderClock) -> None:
        self._sender = sender
        self._arrivals = Minimum()
        self._report: _Report | None = None
        self._applied_us: float | None = None
        self._applied_at_us = 0

    def report(self, ntp_us: int, timestamp: int) -> None:
        """Learn that ``timestamp`` belongs to ``ntp_us`` on the sender's clock."""
        self._report = _Report(ntp_us, timestamp)

    def place(self, timestamp: int, clock_rate_hz: int, received_us: int, ahead_us: int | None) -> int:
        """When the frame was captured, on the edge's clock; it may lie after ``received_us`` by what is not known yet.

        ``ahead_us`` is how far the sender's clock was measured to be ahead of the edge's, None if it was not.
        """
        media_us = timestamp * 1_000_000 // clock_rate_hz
        offset = received_us - media_us
        least = self._arrivals.add(received_us, offset)
        if offset - least > JUMP_US:
            self._arrivals.clear()
            least = self._arrivals.add(received_us, offset)
            self._report = None
            self._applied_us = None
        self._steer(self._target(timestamp, clock_rate_hz, received_us, least, ahead_us), received_us)
        assert self._applied_us is not None
        return media_us + round(self._applied_us)

    def _target(self, timestamp: int, clock_rate_hz: int, received_us: int, least: int, ahead_us: int | None) -> int:
        """The best offset of media time that is known now."""
        if self._report is None:
            return least
        media_us = timestamp * 1_000_000 // clock_rate_hz
        since_us = (timestamp - self._report.timestamp) * 1_000_000 // clock_rate_hz
        sent_us = self._report.ntp_us + since_us
        if ahead_us is not None:
            measured = sent_us - ahead_us - media_us
            if least - MAX_DELAY_US <= measured <= least + TOLERANCE_US:
                return min(measured, least)
        common = sent_us + self._sender.least.add(received_us, received_us - sent_us) - media_us
        return common if least - MAX_DELAY_US <= common <= least else least

    def _steer(self, target: int, now_us: int) -> None:
        applied = self._applied_us
        if applied is None or target <= applied or target - applied > STEP_US:
            self._applied_us = float(target)  # earlier is always right: it has arrived already
        else:
            reach = max(0, now_us - self._applied_at_us) * SLEW_PER_SECOND
            self._applied_us = min(float(target), applied + reach)
        self._applied_at_us = now_us
