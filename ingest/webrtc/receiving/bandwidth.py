"""The bandwidth that a sender is told to keep to (REMB), from how its packets' gaps grow on the way."""

from collections import deque
from typing import Any, Final, cast

from aiortc.rate import RemoteBitrateEstimator

GROUP_24: Final = (5 << 18) // 1_000
"""Packets sent within 5 ms are one group to the estimator: in units of abs-send-time, 2**-18 s."""


WINDOW_MS: Final = 1_000
BITS_A_MS: Final = 8_000
"""Bytes a millisecond to bits a second."""


class ByteRate:
    """Bytes over the last second; in the place of aiortc's counter, which steps through each millisecond passed."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, int]] = deque()
        self._total = 0
        self._origin_ms: int | None = None

    def add(self, value: int, now_ms: int) -> None:
        """Count bytes."""
        if self._origin_ms is None:
            self._origin_ms = now_ms
        self._arrivals.append((now_ms, value))
        self._total += value

    def rate(self, now_ms: int) -> int | None:
        """Bits a second; None before there is anything to tell."""
        if self._origin_ms is None:
            return None
        since_ms = now_ms - WINDOW_MS + 1
        while self._arrivals and self._arrivals[0][0] < since_ms:
            self._total -= self._arrivals.popleft()[1]
        self._origin_ms = max(self._origin_ms, since_ms)
        span_ms = now_ms - self._origin_ms + 1
        if not self._arrivals or span_ms <= 1:
            return None
        return round(BITS_A_MS * self._total / span_ms)

    def reset(self) -> None:
        """Count anew."""
        self._arrivals.clear()
        self._total = 0
        self._origin_ms = None


class BandwidthEstimate:
    """aiortc's estimator, told of each burst at once, as it would group packets itself, at a quarter of the cost."""

    def __init__(self) -> None:
        self._estimator = RemoteBitrateEstimator()
        self._estimator.incoming_bitrate = cast("Any", ByteRate())
        self._began: int | None = None
        self._sent = 0
        self._arrived_ms = 0
        self._size = 0
        self._ssrc = 0

    def add(self, sent_24: int, arrived_ms: int, size: int, ssrc: int) -> tuple[int, list[int]] | None:
        """Take a packet by its abs-send-time (24 bits, 6.18 fixed point seconds), arrival and size in bytes.

        Returns bits a second and the streams they are for, when the sender should be told.
        """
        told = None
        if self._began is not None and (ssrc != self._ssrc or (sent_24 - self._began) & 0xFFFFFF > GROUP_24):
            told = self._estimator.add(
                arrival_time_ms=self._arrived_ms, abs_send_time=self._sent, payload_size=self._size, ssrc=self._ssrc
            )
            self._began = None
        if self._began is None:
            self._began, self._size = sent_24, 0
        self._sent, self._arrived_ms, self._ssrc = sent_24, arrived_ms, ssrc
        self._size += size
        return told
