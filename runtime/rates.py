"""Token buckets: a sustained rate and a burst, with time as an argument."""

import threading
from collections import OrderedDict
from typing import Final

MOST_KEYS: Final = 10_000
BURST_S: Final = 10.0
"""What a limited rate allows at once: ten seconds' worth."""


class TokenBucket:
    """Holds up to ``burst`` tokens and gains ``rate_per_s`` a second; starts full."""

    __slots__ = ("_at_us", "_burst", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._at_us: int | None = None

    def take(self, now_us: int, amount: float = 1.0) -> bool:
        """Take ``amount`` tokens if there are as many; a clock that runs backwards adds none."""
        if self._at_us is not None and now_us > self._at_us:
            self._tokens = min(self._burst, self._tokens + (now_us - self._at_us) * 1e-6 * self._rate_per_s)
        self._at_us = now_us
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True


class KeyedBuckets:
    """A bucket for each key: an address, a tenant. Thread-safe. Of more than ``most`` keys the oldest are forgotten."""

    def __init__(self, rate_per_s: float, burst: float | None = None, *, most: int = MOST_KEYS) -> None:
        """``burst``: :data:`BURST_S` of the rate if it is not given."""
        self.rate_per_s = rate_per_s
        self._burst = rate_per_s * BURST_S if burst is None else burst
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, now_us: int) -> bool:
        """Take a token of this key's bucket, if there is one."""
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = TokenBucket(self.rate_per_s, self._burst)
                if len(self._buckets) > self._most:
                    self._buckets.popitem(last=False)
            self._buckets.move_to_end(key)
            return bucket.take(now_us)
