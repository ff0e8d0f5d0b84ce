"""The logs that are measured: written to real Kafka, shown all at once, and the frames read back from it."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.fusion.signals import Slice
from runtime.errors import BrokerError
from runtime.kafka import common_config
from runtime.settings import Settings
from runtime.topic_admin import alter
from runtime.topics import ensure_topics
from schemas.topics import AVATAR_FRAMES, SIGNALS, Topic, topic_specs

TRANSACTION_MS: Final = 900_000
READ_AT_ONCE: Final = 10_000


class Topics(AbstractContextManager["Topics"]):
    """Topics of a prefix of their own, deleted on leaving.

    They keep their records without limit of time: peers give frames the event time as Kafka's timestamp, which lies
    decades back, and the broker would delete them within half a minute, by their age.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __enter__(self) -> Self:
        ensure_topics(self.settings)
        alter(self.settings, {topic: {"retention.ms": "-1"} for topic in (SIGNALS, AVATAR_FRAMES)})
        self._reader = Consumer({**common_config(self.settings), "group.id": "bench-progress"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        admin = AdminClient(common_config(self.settings))
        for future in admin.delete_topics([self.settings.topic(name) for name in topic_specs()]).values():  # type: ignore[arg-type]
            with suppress(KafkaException):
                future.result(30)

    def count(self, topic: Topic) -> int:
        """Offsets that the topic has given out and that readers may see."""
        name = self.settings.topic(topic)
        return sum(
            self._reader.get_watermark_offsets(TopicPartition(name, number), timeout=10, cached=False)[1]
            for number in range(self.settings.partitions)
        )


def producer(settings: Settings, **overrides: Any) -> Producer:
    """A producer for bulk: large batches, and room for a million records."""
    return Producer(
        {
            **common_config(settings),
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "batch.size": 1_000_000,
            **overrides,
        }
    )


class HiddenLog:
    """Records written to ``signals`` in one transaction: nobody sees them until :meth:`reveal`.

    So a program can be started, left to settle and its processor time be read before there is work for it.
    """

    def __init__(self, settings: Settings, slices: Iterable[Slice]) -> None:
        self._producer = producer(
            settings,
            **{"transactional.id": f"{settings.topic_prefix}log", "transaction.timeout.ms": TRANSACTION_MS},
        )
        self._producer.init_transactions(30)
        self._producer.begin_transaction()
        topic = settings.topic(SIGNALS)
        for piece in slices:
            send_all(self._producer, topic, piece)
        if self._producer.flush(120) > 0:
            raise BrokerError("the log could not be written within 120 s")

    def reveal(self) -> None:
        """Commit: every record becomes visible at once."""
        self._producer.commit_transaction(60)


def send_all(writer: Producer, topic: str, piece: Slice) -> None:
    """Queue the records of a slice; blocks while the queue is full."""
    for key, value in zip(piece.keys, piece.values, strict=True):
        while True:
            try:
                writer.produce(topic, value, key=key)
                break
            except BufferError:
                writer.poll(0.05)
    writer.poll(0)


def read_frames(settings: Settings, take: Callable[[list[Any]], None], *, deadline_s: float = 300.0) -> None:
    """Give every message of ``avatar.frames`` to ``take``: see :func:`read_topic`."""
    read_topic(settings, AVATAR_FRAMES, take, deadline_s=deadline_s)


def read_topic(
    settings: Settings, topic: Topic, take: Callable[[list[Any]], object], *, deadline_s: float = 300.0
) -> None:
    """Give every message of a topic to ``take``, in batches, partitions mixed, each in its order."""
    name = settings.topic(topic)
    reader = Consumer(
        {
            **common_config(settings),
            "group.id": f"{settings.topic_prefix}check",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    try:
        parts = [TopicPartition(name, number, 0) for number in range(settings.partitions)]
        marks = {part.partition: reader.get_watermark_offsets(part, timeout=10, cached=False) for part in parts}
        gone = sum(low for low, _ in marks.values())
        if gone:
            raise BrokerError(f"the broker has deleted {gone} records of {name} before they could be read")
        ends = {number: high for number, (_, high) in marks.items()}
        reader.assign(parts)
        until = time.monotonic() + deadline_s
        done = dict.fromkeys(ends, 0)
        while any(done[number] < end for number, end in ends.items()):
            if time.monotonic() > until:
                raise BrokerError(f"{sum(ends.values())} records of {name} could not be read within {deadline_s:g} s")
            messages = [m for m in reader.consume(READ_AT_ONCE, 0.5) if m.error() is None]
            if messages:
                take(messages)
                for message in messages:
                    done[message.partition() or 0] = (message.offset() or 0) + 1
            else:
                # Control records take offsets, but are never handed out: ask where the reader stands.
                for part in reader.position(parts):
                    done[part.partition] = max(done[part.partition], part.offset)
    finally:
        reader.close()
