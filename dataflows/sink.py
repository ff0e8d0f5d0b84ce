"""Frames, ledger entries and dead letters to Kafka: an epoch closes only when all of them are acknowledged."""

import logging
from typing import Final

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from dataflows.context import Context, Interrupted
from dataflows.shard import Step
from schemas.topics import AVATAR_FRAMES, LEDGER, SIGNALS

log = logging.getLogger(__name__)

ACKNOWLEDGED_WITHIN_S: Final = 0.1
PATIENCE_ON_STOP: Final = 8
"""How often, once asked to stop, to wait again for acknowledgements: less than a second in all."""


class FramePartition(StatefulSinkPartition[Step, None]):
    """One partition of ``avatar.frames``."""

    def __init__(self, context: Context, partition: int) -> None:
        self._context = context
        self._partition = partition

    def write_batch(self, values: list[Step]) -> None:
        context, publisher = self._context, self._context.publisher
        for step in values:
            if step.frames:
                publisher.send_many(AVATAR_FRAMES, self._partition, step.frames)
            for entry in step.ledger:
                publisher.send_waiting(LEDGER, entry.session_id, context.codec.encode(entry))
            for (offset, key, value), error in step.unreadable:
                context.dead_letters.put_bytes(
                    SIGNALS,
                    partition=self._partition,
                    offset=offset,
                    key=key,
                    value=value or b"",
                    error=error,
                )

    def snapshot(self) -> None:
        """Return when everything sent is acknowledged; until then the epoch stays open, and a crash repeats it.

        Raises DeliveryFailed if a record was lost, Interrupted if the role is to stop and the broker does not answer.
        """
        context = self._context
        patience = PATIENCE_ON_STOP
        while not context.publisher.settled(ACKNOWLEDGED_WITHIN_S):
            if context.stop.is_set():
                patience -= 1
                if patience < 0:
                    raise Interrupted

    def close(self) -> None:
        self.snapshot()


class FrameSink(FixedPartitionedSink[Step, None]):
    """The partitions of ``avatar.frames`` that mirror the partitions of ``signals`` which this process owns."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list_parts(self) -> list[str]:
        return [str(partition) for partition in self._context.owned]

    def part_fn(self, item_key: str) -> int:
        """The key is the partition's number; Bytewax wants its place among those of :meth:`list_parts`, sorted."""
        return sorted(self.list_parts()).index(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> FramePartition:  # noqa: ARG002
        return FramePartition(self._context, int(for_part))
