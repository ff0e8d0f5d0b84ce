"""What a partition's shard did, added up and told to the metrics a few times a second.

A batch may hold a dozen records and there are hundreds of batches a second: telling each one's counts took a sixth of
the role's time.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from dataflows.shard import Step
from runtime.clock import Clock
from runtime.metrics import Metrics
from schemas.topics import SIGNALS
from schemas.vocabulary import SIGNAL_HOPS

TOLD_EVERY_US: Final = 250_000


class Tally:
    """Counts of a partition since they were last told; ``sessions``: how many each partition of the process holds."""

    def __init__(self, metrics: Metrics, clock: Clock, sessions: Mapping[int, int]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._sessions = sessions
        self._told_us = 0
        self._taken = 0
        self._outcomes: Counter[str] = Counter()
        self._closed_by: Counter[str] = Counter()
        self._freed: Counter[str] = Counter()
        self._discontinuities = 0
        self._newest: tuple[float, Step] | None = None

    def note(self, records: int, step: Step) -> None:
        """Add what a batch of so many records led to."""
        now_us = self._clock.now_us()
        self._taken += records
        self._outcomes.update(step.outcomes)
        self._closed_by.update(step.closed_by)
        self._freed.update(step.freed)
        self._discontinuities += step.discontinuities
        if step.last_tick_us >= 0:
            self._newest = (max(0.0, (now_us - step.last_tick_us) * 1e-6), step)
        if now_us - self._told_us >= TOLD_EVERY_US:
            self._told_us = now_us
            self.tell()

    def tell(self) -> None:
        """Tell the metrics. Of all frames since the last time, the newest one's hops are observed."""
        metrics = self._metrics
        metrics.set("sessions_active", sum(self._sessions.values()))
        if self._taken:
            metrics.count("records_in_total", self._taken, topic=SIGNALS)
        for outcome, count in self._outcomes.items():
            metrics.count("signals_total", count, outcome=outcome)
        for closed_by, count in self._closed_by.items():
            metrics.count("ticks_total", count, closed_by=closed_by)
        for reason, count in self._freed.items():
            metrics.count("sessions_freed_total", count, reason=reason)
        if self._discontinuities:
            metrics.count("discontinuities_total", self._discontinuities)
        if self._newest is not None:
            self._observe(*self._newest)
        self._taken = self._discontinuities = 0
        self._newest = None
        for counts in (self._outcomes, self._closed_by, self._freed):
            counts.clear()

    def _observe(self, lag_s: float, step: Step) -> None:
        metrics = self._metrics
        metrics.observe("fusion_lag_seconds", lag_s)
        for hops in step.last_hops_ms:
            if not math.isnan(hops[0]):
                captured = hops[0]
                for name, hop in zip(SIGNAL_HOPS[1:], hops[1:], strict=True):
                    metrics.observe("hop_seconds", max(0.0, (hop - captured) * 1e-3), hop=f"captured_to_{name}")
                metrics.observe("hop_seconds", max(0.0, lag_s - captured * 1e-3), hop="captured_to_fused")
