"""The ``signals`` topic as a Bytewax source: one consumer a process, a partition's snapshot is its next offset."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflows.context import Context, Interrupted
from dataflows.ownership import Ownership
from dataflows.shard import Message
from dataflows.store import GROUP
from runtime.errors import BrokerError, RecoveryError
from runtime.kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition, consumer, is_fatal
from runtime.kafka import Message as KafkaMessage
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

BATCH: Final = 1_000
"""Records taken at once: few enough that a process that keeps being killed still completes an epoch."""
IDLE_WAIT_S: Final = 0.02
TURN_US_A_SESSION: Final = 50
TURN_MOST_US: Final = 12_000
"""While fusion keeps up it takes records at most this often: every 50 µs for each session, every 12 ms from 240
sessions on. A few sessions wait for nobody; many are cheaper together, and each waits 6 ms longer on average."""
PROVEN_WITHIN_S: Final = 0.1
PATIENCE_ON_STOP: Final = 8
"""How often, once asked to stop, to wait again for the proof of ownership: less than a second in all."""
AT_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""A time to be woken at that has always passed: an empty batch must not cool the loop down."""


class Taken(NamedTuple):
    """Messages of one partition, in offset order."""

    partition: int
    messages: list[Message]


Batch = tuple[str, Taken]


class SignalReader:
    """The process's consumer, and what it has taken but not yet handed on, by partition. At most BATCH records."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._topic = context.settings.topic(SIGNALS)
        self._consumer: Consumer = consumer(
            context.settings, GROUP, auto_offset_reset="error", fetch_wait_max_ms=500, queued_min_messages=20_000
        )
        self._taken: dict[int, list[Message]] = {}
        self._filled_us = 0
        self._behind = False
        self._down = False

    def assign(self, partition: int, offset: int | None) -> None:
        """Read a partition from ``offset``, or from its beginning; RecoveryError if the topic does not reach there."""
        if offset is not None:
            place = TopicPartition(self._topic, partition)
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=30.0)
            except KafkaException as error:
                raise BrokerError(f"cannot ask for the offsets of {self._topic}[{partition}]: {error}") from error
            if not low <= offset <= high:
                raise RecoveryError(self._gone(partition, f"offset {offset} is not within {low} to {high}"))
        self._taken[partition] = []
        start = OFFSET_BEGINNING if offset is None else offset
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, start)])

    def _gone(self, partition: int, reason: str) -> str:
        return (
            f"{self._topic}[{partition}]: {reason}. Fusion cannot go on exactly where it stopped: the topic lost these "
            "records (retention while fusion was down, or the topic was made anew). To go on without them, remove "
            "fusion's recovery store and its consumer group"
        )

    @property
    def empty(self) -> bool:
        return not any(self._taken.values())

    def fill(self) -> None:
        """Wait up to 20 ms for a first record, then take what is there; not too soon after the last time."""
        self._await_turn()
        first = self._consumer.poll(IDLE_WAIT_S)
        if first is None:
            return
        taken, down = self._taken, self._down
        messages = (first, *self._consumer.consume(BATCH - 1, 0))
        self._behind = len(messages) == BATCH
        for message in messages:
            error = message.error()
            if error is not None:
                self._note(message, error)
            else:
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                taken[partition].append((offset, message.key() or b"", message.value()))
                self._down = False
        if down and not self._down:
            log.info("%s can be read again", self._topic)

    def _await_turn(self) -> None:
        context = self._context
        sessions = sum(context.sessions.values())
        now_us = context.clock.now_us()
        if not self._behind:
            turn_us = min(TURN_US_A_SESSION * sessions, TURN_MOST_US)
            wait_us = self._filled_us + turn_us - now_us
            if wait_us > 0:
                context.stop.wait(wait_us * 1e-6)
                now_us += wait_us
        self._filled_us = now_us

    def _note(self, message: KafkaMessage, error: KafkaError) -> None:
        code = error.code()
        if code in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001 - its public name
            raise RecoveryError(self._gone(int(message.partition() or 0), str(error)))
        if is_fatal(error) or code in {
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError._AUTHENTICATION,  # noqa: SLF001
        }:
            raise BrokerError(f"cannot read {self._topic}: {error}")
        if not self._down and code != KafkaError._PARTITION_EOF:  # noqa: SLF001
            # A broker that is away comes back: librdkafka goes on trying, and so do we.
            self._down = True
            log.warning("%s cannot be read for now: %s", self._topic, error)

    def take(self, partition: int) -> list[Message]:
        """What was read of a partition since the last call."""
        taken, self._taken[partition] = self._taken[partition], []
        return taken

    def report(self, partition: int, offset: int) -> None:
        """Tell the world that an epoch begins at ``offset``: lag as a metric."""
        place = TopicPartition(self._topic, partition, offset)
        _low, high = self._consumer.get_watermark_offsets(place, cached=True)
        if high >= 0:
            self._context.metrics.set("lag_records", max(0, high - offset), topic=SIGNALS, partition=str(partition))

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


class SignalPartition(StatefulSourcePartition[Batch, int]):
    """One partition. Its snapshot is the offset of the next record."""

    def __init__(self, source: "SignalSource", partition: int, offset: int | None) -> None:
        self._source = source
        self._partition = partition
        self._offset = offset
        source.reader.assign(partition, offset)

    def next_batch(self) -> Iterable[Batch]:
        source = self._source
        if source.context.stop.is_set():
            raise StopIteration
        if source.context.ownership is not None:
            source.context.ownership.check()
        # One partition's turn serves all: waiting in each of them would add their waits up.
        if source.reader.empty and source.is_lead(self._partition):
            source.reader.fill()
            source.works()
        taken = source.reader.take(self._partition)
        if not taken:
            return ()
        self._offset = taken[-1][0] + 1
        return ((str(self._partition), Taken(self._partition, taken)),)

    def next_awake(self) -> datetime:
        return AT_ONCE

    def snapshot(self) -> int | None:
        self._source.progress(self._partition, self._offset)
        # None: nothing read yet, so begin at the beginning.
        return self._offset

    def close(self) -> None:
        self._source.closed(self._partition, self._offset)


class SignalSource(FixedPartitionedSource[Batch, int]):
    """The partitions that this process owns."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._reader: SignalReader | None = None
        self._open: list[int] = []
        self._working = False
        self._offsets: dict[int, int] = {}

    @property
    def reader(self) -> SignalReader:
        if self._reader is None:
            self._reader = SignalReader(self.context)
        return self._reader

    def list_parts(self) -> list[str]:
        return [str(partition) for partition in self.context.owned]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> SignalPartition:  # noqa: ARG002
        partition = int(for_part)
        part = SignalPartition(self, partition, resume_state)
        self._open.append(partition)
        return part

    def works(self) -> None:
        """Say, once, that the role does its work."""
        if not self._working:
            self._working = True
            self.context.metrics.ready(True)

    def is_lead(self, partition: int) -> bool:
        """The first open partition waits for records on behalf of all."""
        return partition == self._open[0]

    def progress(self, partition: int, offset: int | None) -> None:
        """An epoch ends at ``offset``, None if nothing was read yet.

        What the epoch before ended with is durable by now: Kafka is told that much. Telling is at the same time the
        proof that this process owns its partitions, and is done beside the work; but no epoch closes before the proof
        that the one before gave rise to has been accepted.
        """
        ownership = self.context.ownership
        if ownership is not None and self.is_lead(partition):
            self._await_proof(ownership)
            ownership.prove(self._offsets)
        if offset is not None:
            self._offsets[partition] = offset
            self.reader.report(partition, offset)

    def _await_proof(self, ownership: Ownership) -> None:
        patience = PATIENCE_ON_STOP
        while not ownership.proven(PROVEN_WITHIN_S):
            if self.context.stop.is_set():
                patience -= 1
                if patience < 0:
                    raise Interrupted

    def closed(self, partition: int, offset: int | None) -> None:
        """A partition has ended; the last one closes the consumer."""
        self._open.remove(partition)
        if offset is not None:
            self._offsets[partition] = offset
        if not self._open and self._reader is not None:
            self._reader.close()
            self._reader = None
            if self.context.ownership is not None:
                self.context.ownership.prove(self._offsets)
