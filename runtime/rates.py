"""Token buckets: a sustained rate and a burst, with time as an argument."""


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
