"""What a receiver reports on a stream (RFC 3550, sections 6.4.1 and appendix A). Pure."""

from dataclasses import dataclass
from typing import Final

MAX_LOST: Final = (1 << 23) - 1
MAX_AHEAD: Final = 3_000
MAX_LATE: Final = 100
"""Beyond these a sequence number belongs to a new numbering (RFC 3550, appendix A.1)."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one report block."""

    fraction_lost: int
    """Of the packets expected since the previous report, in 256ths."""
    packets_lost: int
    highest_sequence: int
    """With the count of wraps in the upper 16 bits."""
    jitter: int
    """In units of the stream's clock."""


class ReceptionStatistics:
    """Counts one stream's packets."""

    def __init__(self, clock_rate_hz: int) -> None:
        self._clock_rate_hz = clock_rate_hz
        self._base: int | None = None
        self._highest = 0
        self._received = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit = 0
        self._jitter_16 = 0
        """Sixteen times the jitter, as in RFC 3550, appendix A.8."""
        self._timestamp = -1

    def add(self, sequence: int, timestamp: int, now_us: int) -> None:
        """Count a packet."""
        self._received += 1
        if self._base is None:
            self._base = self._highest = sequence
        ahead = (sequence - self._highest) & 0xFFFF
        if ahead <= MAX_AHEAD:
            self._highest += ahead
        elif 0x10000 - ahead > MAX_LATE:  # it numbers anew: what was lost before counts no more
            self._base = self._highest = sequence
            self._expected_before = self._received_before = 0
            self._received = 1
        if timestamp != self._timestamp:  # a frame's packets are sent at once: only the first one's delay says anything
            transit = now_us * self._clock_rate_hz // 1_000_000 - timestamp
            if self._timestamp >= 0:
                off = (transit - self._transit) & 0xFFFFFFFF
                off = min(off, 0x100000000 - off)
                self._jitter_16 += off - ((self._jitter_16 + 8) >> 4)
            self._transit = transit
            self._timestamp = timestamp

    @property
    def received(self) -> int:
        """Packets that came, repeated ones included."""
        return self._received

    @property
    def lost(self) -> int:
        """Packets expected and not received; negative if some came twice."""
        return self._expected - self._received

    def report(self) -> Report:
        """The figures now; the fraction is since the previous call."""
        expected, received = self._expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = self._expected, self._received
        lost = expected - received
        fraction = 0 if expected <= 0 or lost <= 0 else min(255, (lost << 8) // expected)
        return Report(
            fraction_lost=fraction,
            packets_lost=max(-MAX_LOST - 1, min(self.lost, MAX_LOST)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(self._jitter_16 >> 4, 0xFFFFFFFF),
        )

    @property
    def _expected(self) -> int:
        return 0 if self._base is None else self._highest - self._base + 1
