"""The stateful step of the dataflow: a shard a partition, counted and recoverable."""

from collections.abc import Iterable
from typing import Final

from bytewax.operators import StatefulBatchLogic

from dataflows.context import Context
from dataflows.shard import Shard, Step
from dataflows.source import Taken
from dataflows.tally import Tally
from runtime.errors import RecoveryError

RETAIN: Final = False


class ShardLogic(StatefulBatchLogic[Taken, Step, bytes]):
    """Runs one partition's shard; its snapshot is the shard's."""

    def __init__(self, context: Context, shard: Shard | None) -> None:
        self._context = context
        self._shard = shard
        self._tally = Tally(context.metrics, context.clock, context.sessions)

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
                steps.append(step)
            self._context.sessions[taken.partition] = self._shard.sessions
            self._tally.note(len(taken.messages), step)
        return steps, RETAIN

    def snapshot(self) -> bytes:
        assert self._shard is not None
        self._tally.tell()  # after the last batch of many, nobody else would
        return self._shard.snapshot()
