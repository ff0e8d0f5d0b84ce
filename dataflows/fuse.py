"""The stateful step of the dataflow: a shard a partition, counted and recoverable."""

import math
from collections.abc import Iterable
from typing import Final

from bytewax.operators import StatefulBatchLogic

from dataflows.context import Context
from dataflows.shard import Shard, Step
from dataflows.source import Taken
from runtime.errors import RecoveryError
from schemas.vocabulary import SIGNAL_HOPS

RETAIN: Final = False


class ShardLogic(StatefulBatchLogic[Taken, Step, bytes]):
    """Runs one partition's shard; its snapshot is the shard's."""

    def __init__(self, context: Context, shard: Shard | None) -> None:
        self._context = context
        self._shard = shard

    @classmethod
    def build(cls, context: Context, snapshot: bytes | None) -> "ShardLogic":
        """The logic of a partition, anew or from its snapshot; RecoveryError if that cannot be used."""
        if snapshot is None:
            return cls(context, None)  # Bytewax does not say of which partition: the first batch does
        shard = Shard.restore(snapshot, context.partitions, context.codec)
        context.sessions[shard.partition] = shard.sessions
        return cls(context, shard)

    def on_batch(self, values: list[Taken]) -> tuple[Iterable[Step], bool]:
        steps = []
        for taken in values:
            if self._shard is None:
                self._shard = Shard(taken.partition, self._context.partitions, self._context.codec)
            if self._shard.partition != taken.partition:
                msg = f"the state of partition {self._shard.partition} was recovered for partition {taken.partition}"
                raise RecoveryError(msg)
            step = self._shard.step(taken.messages)
            if step.taken:
                self._count(self._shard, step)
                steps.append(step)
        return steps, RETAIN

    def _count(self, shard: Shard, step: Step) -> None:
        context, metrics = self._context, self._context.metrics
        context.sessions[shard.partition] = shard.sessions
        metrics.set("sessions_active", sum(context.sessions.values()))
        for outcome, count in step.outcomes.items():
            metrics.count("signals_total", count, outcome=outcome)
        for closed_by, count in step.closed_by.items():
            metrics.count("ticks_total", count, closed_by=closed_by)
        for reason, count in step.freed.items():
            metrics.count("sessions_freed_total", count, reason=reason)
        if step.discontinuities:
            metrics.count("discontinuities_total", step.discontinuities)
        if step.last_tick_us < 0:
            return
        # One frame a batch is observed: its last, which is the newest.
        lag_s = max(0.0, (context.clock.now_us() - step.last_tick_us) * 1e-6)
        metrics.observe("fusion_lag_seconds", lag_s)
        for hops in step.last_hops_ms:
            if not math.isnan(hops[0]):
                captured = hops[0]
                for name, hop in zip(SIGNAL_HOPS[1:], hops[1:], strict=True):
                    metrics.observe("hop_seconds", max(0.0, (hop - captured) * 1e-3), hop=f"captured_to_{name}")
                metrics.observe("hop_seconds", max(0.0, lag_s - captured * 1e-3), hop="captured_to_fused")

    def snapshot(self) -> bytes:
        assert self._shard is not None
        return self._shard.snapshot()
