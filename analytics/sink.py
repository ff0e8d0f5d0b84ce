"""From Kafka to ClickHouse: every record of five topics becomes a row, once.

How exactly-once comes about:

* A batch is a set of offset ranges, one a partition, of one topic. It goes to each of its tables in a single insert,
  which becomes a single part: all of it is there or nothing (so the tables are not partitioned).
* When all of a batch's inserts are acknowledged, ``sink_progress`` is told. A restarted sink goes on from there, and
  asks each table for the highest offset it holds beyond: those rows came from the batch under way, and are left out.
* An insert whose answer was lost is repeated with the same rows and the same ``insert_deduplication_token``, and
  ClickHouse drops the second one. Before a restarted sink reads its progress from a server, it waits until no insert of
  a predecessor is running there any more.
* The tables' sorting keys end with (topic_id, partition, offset) and they are ReplacingMergeTrees, so that even two
  sinks at once, which is a mistake of deployment, could not make ``FINAL`` reads see a row twice.

While ClickHouse is away the sink repeats its insert with growing pauses and does not read on: what waits in memory is
bounded by one batch and the consumer's prefetch, and the lag is on the metrics page.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.aggregates import Aggregator
from analytics.columns import Built, TableBuilder
from analytics.database import Client, Database
from analytics.erasure.rows import Gate
from analytics.errors import DatabaseUnavailable
from analytics.lag import GROUP, LagGauge
from analytics.pending import Pending, Position, runs
from analytics.rows import TABLES_OF, Table
from runtime.clock import Clock
from runtime.errors import BrokerError
from runtime.kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Publisher, TopicPartition, consumer, is_fatal
from runtime.keystore import key_store
from runtime.ledger import DeadLetterBox
from runtime.metrics import Metrics, Stopwatch
from runtime.settings import Settings
from runtime.topics import partition_count, topic_ids
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES, CUT_KEY, DEAD_LETTERS, Topic
from schemas.vocabulary import Outcome, Stage

log = logging.getLogger(__name__)

T = TypeVar("T")

TOPICS: Final[tuple[Topic, ...]] = tuple(TABLES_OF)
FLUSH_AFTER_US: Final = 500_000
FLUSH_BEHIND_US: Final = 5_000_000
"""While there is more to read than is read at once."""
FLUSH_RECORDS: Final = 131_072
"""Many: what is inserted together need not be merged afterwards."""
FLUSH_BYTES: Final = 67_108_864
"""Of values: what waits in memory is bounded by this, whatever the records are like."""
INSERT_SETTINGS: Final = {
    # Sorting keys end with the offset: no two rows of a batch replace each other, and merging them in search of such
    # ones takes as long as writing them.
    "optimize_on_insert": 0,
}
CONSUME_RECORDS: Final = 8_000
CONSUME_WAIT_S: Final = 0.1
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
AGGREGATE_EVERY_US: Final = 10_000_000
AGGREGATE_AT_MOST_US: Final = 2_000_000
"""Then records are taken again, and what is left waits for the next time."""
FENCE_WAIT_S: Final = 120.0


class Stop(Protocol):
    """What ends the sink: a threading.Event."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Stopped(Exception):  # noqa: N818 - not an error
    """The role was asked to stop while an insert was being repeated; what was not inserted is read again next time."""


class Sink:
    """Owned by one thread: :meth:`run` blocks in it until ``stop`` is set."""

    def __init__(
        self, settings: Settings, database: Database, codec: Codec, *, clock: Clock, metrics: Metrics, stop: Stop,
        gate: Gate | None = None,
    ) -> None:  # fmt: skip
        """``gate``: shared with who erases sessions in this process."""
        self._settings = settings
        self._database = database
        self._builder = TableBuilder(codec)
        self._clock = clock
        self._metrics = metrics
        self._stop = stop
        self._gate = gate or Gate(key_store(settings.data_dir))
        self._ids: Mapping[Topic, str] = {}
        self._topics: dict[str, Topic] = {settings.topic(name): name for name in TOPICS}
        self._positions: dict[tuple[Topic, int], Position] = {}
        self._pending: dict[Topic, Pending] = {}
        self._pending_since_us = 0
        self._aggregator: Aggregator
        self._aggregate_at_us = clock.now_us() + AGGREGATE_EVERY_US
        self._client: Client = None
        self._consumer: Consumer
        self._lag = LagGauge(settings, metrics, clock, self._positions)
        self._publisher = Publisher(settings, metrics)
        self._dead_letters = DeadLetterBox(self._publisher, codec, clock, Stage.ANALYTICS, metrics)

    def run(self) -> None:
        """Sink until stopped; flushes what it has before returning.

        Raises BrokerError if a topic does not exist or Kafka fails for good. A ClickHouse that is away is waited for.
        """
        self._client = self._writer()
        try:
            self._resume()
        except Stopped:
            return
        try:
            self._metrics.ready(True)
            while not self._stop.is_set():
                messages = self._consumer.consume(CONSUME_RECORDS, CONSUME_WAIT_S)
                self._take(messages)
                if self._due(behind=len(messages) == CONSUME_RECORDS):
                    self.flush()
                if self._clock.now_us() >= self._aggregate_at_us:
                    self._aggregate()
                self._lag.show(self._consumer)
            self.flush()
            self._aggregate()
        except Stopped:
            log.info("stopped while ClickHouse was away; the rest is read again at the next start")
        finally:
            self._metrics.ready(False)
            self._consumer.close()
            self._lag.close()

    # taking records

    def _take(self, messages: list[Message]) -> None:
        if any(map(Message.error, messages)):
            messages = [m for m in messages if (error := m.error()) is None or not _note(m, error)]
        for name, partition, run in runs(messages):
            self._take_run(self._topics[name], partition, run)

    def _take_run(self, topic: Topic, partition: int, run: Sequence[Message]) -> None:
        position = self._positions[topic, partition]
        offsets = np.fromiter(map(Message.offset, run), np.int64, len(run))
        if offsets[0] < position.next:
            # After a reset to the beginning: these are rows already.
            fresh = offsets >= position.next
            run, offsets = list(compress(run, fresh.tolist())), offsets[fresh]
            if not run:
                return
        if position.first < 0:
            position.first = int(offsets[0])
        position.next = int(offsets[-1]) + 1
        position.records += len(run)
        if not self._pending:
            self._pending_since_us = self._clock.now_us()
        self._pending.setdefault(topic, Pending()).take(partition, run, offsets)
        self._metrics.count("records_in_total", len(run), topic=topic)

    def _set_aside(self, message: Message, topic: Topic, error: str) -> None:
        if message.value() is None and message.key() == CUT_KEY:
            return
        if topic == DEAD_LETTERS:
            # A dead letter about a dead letter would come back here for ever.
            log.error("unreadable dead letter at [%s]@%s: %s", message.partition(), message.offset(), error)
            self._metrics.count("dead_letters_total", topic=topic)
            return
        self._dead_letters.put(message, topic, error)

    def _due(self, *, behind: bool) -> bool:
        """Whether to insert now. Who is ``behind`` makes the largest batches: rows that are late cost least in them."""
        if not self._pending:
            return False
        waited_us = self._clock.now_us() - self._pending_since_us
        return (
            waited_us >= (FLUSH_BEHIND_US if behind else FLUSH_AFTER_US)
            or sum(len(p.messages) for p in self._pending.values()) >= FLUSH_RECORDS
            or sum(p.bytes for p in self._pending.values()) >= FLUSH_BYTES
        )

    # inserting

    def flush(self) -> None:
        """Insert everything taken so far and record the progress; returns when ClickHouse has acknowledged it all.

        Raises Stopped if the role is asked to stop while ClickHouse is away.
        """
        if self._pending:
            with self._gate.lock:
                self._gate.refresh()
                self._flush()

    def _flush(self) -> None:
        done: list[TopicPartition] = []
        for topic, pending in self._pending.items():
            name, topic_id = self._settings.topic(topic), self._ids[topic]
            token = pending.token(name, topic_id)
            built = self._build(topic, pending)
            for table, rows in built.tables.items():
                if len(rows):
                    self._insert(table, rows, token)
                if table == "avatar_frames":
                    reached = {p: last + 1 for p, (_, last) in pending.ranges.items()}
                    self._aggregator.inserted(rows, reached)
            if built.refused:
                self._publisher.flush()
            done += [TopicPartition(name, p, last + 1) for p, (_, last) in pending.ranges.items()]
        tokens = ";".join(p.token(self._settings.topic(t), self._ids[t]) for t, p in self._pending.items())
        self._insert("sink_progress", self._progress_rows(), tokens)
        self._pending = {}
        self._consumer.commit(offsets=done, asynchronous=True)

    def _build(self, topic: Topic, pending: Pending) -> Built:
        """The rows of what has been taken from one topic; what gives none is set aside."""
        taken = pending.taken()
        built = self._builder.build(topic, taken, name=self._settings.topic(topic), topic_id=self._ids[topic])
        for i, error in built.refused.items():
            self._positions[topic, int(taken.partitions[i])].unreadable += 1
            self._set_aside(pending.messages[i], topic, error)
        for table, rows in built.tables.items():
            fresh = self._without_held(topic, table, rows)
            passing = self._gate.passing(table, fresh)
            if len(passing) < len(fresh):
                lost = len(fresh) - len(passing)
                self._metrics.count("dropped_total", lost, modality="", outcome=Outcome.ERASED.value)
            built.tables[table] = passing
        return built

    def _without_held(self, topic: Topic, table: Table, rows: pa.Table) -> pa.Table:
        """Leave out what the predecessor's last batch had brought to this table."""
        held: dict[int, int] = {}
        for partition, (_, last) in self._pending[topic].ranges.items():
            found = self._positions[topic, partition].held
            if table in found:
                held[partition] = found[table]
                if last >= found[table]:
                    del found[table]
        if not held:
            return rows
        partitions, offsets = rows["partition"].to_numpy(), rows["offset"].to_numpy()
        highest = np.full(max(self._pending[topic].ranges) + 1, -1, np.int64)
        highest[list(held)] = list(held.values())
        return rows.filter(pa.array(offsets > highest[partitions]))

    def _progress_rows(self) -> pa.Table:
        keys = [(topic, partition) for topic, pending in self._pending.items() for partition in pending.ranges]
        positions = [self._positions[key] for key in keys]
        return pa.table(
            {
                "topic": [self._settings.topic(topic) for topic, _ in keys],
                "topic_id": [self._ids[topic] for topic, _ in keys],
                "partition": pa.array([partition for _, partition in keys], pa.int32()),
                "first_offset": pa.array([p.first for p in positions], pa.int64()),
                "next_offset": pa.array([p.next for p in positions], pa.int64()),
                "records": pa.array([p.records for p in positions], pa.int64()),
                "unreadable": pa.array([p.unreadable for p in positions], pa.int64()),
            }
        )

    def _insert(self, table: str, rows: pa.Table, token: str) -> None:
        pause_s = FIRST_PAUSE_S
        watch = Stopwatch()
        while True:
            try:
                # One record batch, one block, one part: that is what makes the insert all or nothing.
                self._client.insert_arrow(
                    table, rows.combine_chunks(), settings={**INSERT_SETTINGS, "insert_deduplication_token": token}
                )
                break
            except (ClickHouseError, OSError) as error:
                log.warning("inserting %d rows into %s, again in %.1f s: %s", len(rows), table, pause_s, error)
                self._metrics.ready(False)
                self._pause(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        self._metrics.ready(True)
        if table != "sink_progress":
            self._metrics.count("rows_inserted_total", len(rows), table=table)
        self._metrics.observe("insert_seconds", watch.seconds(), table=table)

    def _aggregate(self) -> None:
        """Compute the minutes that have new frames; what ClickHouse refuses now is tried again next time."""
        begun_us = self._clock.now_us()
        self._aggregate_at_us = begun_us + AGGREGATE_EVERY_US
        if not self._aggregator.waiting:
            return
        watch = Stopwatch()
        try:
            with self._gate.lock:
                self._aggregator.compute(self._client, lambda: self._clock.now_us() > begun_us + AGGREGATE_AT_MOST_US)
        except (ClickHouseError, OSError) as error:
            log.warning("computing minute_aggregates, again in %d s: %s", AGGREGATE_EVERY_US // 1_000_000, error)
            return
        self._metrics.observe("insert_seconds", watch.seconds(), table="minute_aggregates")

    def _pause(self, seconds: float) -> None:
        self._lag.show()
        if self._stop.wait(seconds):
            raise Stopped

    # starting

    def _writer(self) -> Client:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._database.writer()
            except DatabaseUnavailable as error:
                log.warning("again in %.1f s: %s", pause_s, error)
                if self._stop.wait(pause_s):
                    raise Stopped from error
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _resume(self) -> None:
        """Read the progress and start reading Kafka where the rows end."""
        if not self._database.embedded:
            self._fence()
        self._ids = topic_ids(self._settings, TOPICS)
        start: list[TopicPartition] = []
        for topic in TOPICS:
            count = partition_count(self._settings, topic)
            positions = self._progress(topic, count)
            for partition in range(count):
                position = positions[partition]
                self._positions[topic, partition] = position
                offset = position.next if position.next >= 0 else OFFSET_BEGINNING
                start.append(TopicPartition(self._settings.topic(topic), partition, offset))
        self._aggregator = Aggregator(self._settings.topic(AVATAR_FRAMES), self._ids[AVATAR_FRAMES])
        self._retried("noting what is to be aggregated", lambda: self._aggregator.resume(self._client))
        # No group membership: ClickHouse, not Kafka, knows where to go on.
        self._consumer = consumer(self._settings, GROUP, queued_min_messages=FLUSH_RECORDS)
        self._consumer.assign(start)
        log.info("resuming %d partitions, %d of them with rows already", len(start), sum(p.offset >= 0 for p in start))

    def _progress(self, topic: Topic, count: int) -> dict[int, Position]:
        keys = {"topic": self._settings.topic(topic), "topic_id": self._ids[topic]}
        rows = self._query(
            "SELECT partition, first_offset, next_offset, records, unreadable FROM sink_progress FINAL "
            "WHERE topic = {topic:String} AND topic_id = {topic_id:String}",
            keys,
        )
        found = {partition: Position() for partition in range(count)}
        found.update({int(r[0]): Position(int(r[1]), int(r[2]), int(r[3]), int(r[4])) for r in rows})
        finished = min(p.next for p in found.values())
        for table in TABLES_OF[topic]:
            held = self._query(
                f"SELECT partition, max(offset) FROM {table} WHERE topic = {{topic:String}} "
                "AND topic_id = {topic_id:String} AND offset >= {finished:Int64} GROUP BY partition",
                {**keys, "finished": finished},
            )
            for partition, offset in held:
                found[int(partition)].held[table] = int(offset)
        return found

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        ask = partial(self._client.query, sql, parameters=dict(parameters))
        return list(self._retried("reading the progress", ask).result_rows)

    def _retried(self, what: str, ask: Callable[[], T]) -> T:
        """The answer, once ClickHouse gives one; raises Stopped."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return ask()
            except (ClickHouseError, OSError) as error:
                log.warning("%s, again in %.1f s: %s", what, pause_s, error)
                if self._stop.wait(pause_s):
                    raise Stopped from error
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _fence(self) -> None:
        """Wait until the server runs no insert into this database: a killed predecessor's last one may be under way.

        Raises DatabaseUnavailable if one runs for longer than :data:`FENCE_WAIT_S`: then another sink is alive.
        """
        until = time.monotonic() + FENCE_WAIT_S
        sql = (
            "SELECT count() FROM system.processes WHERE query_kind IN ('Insert', 'AsyncInsertFlush') "
            "AND current_database = {database:String}"
        )
        while self._query(sql, {"database": self._database.endpoint.database})[0][0]:
            if time.monotonic() > until:
                raise DatabaseUnavailable("inserts into the database go on: does another sink run?")
            if self._stop.wait(0.1):
                raise Stopped


def _note(message: Message, error: KafkaError) -> bool:
    """Log an error that Kafka's client reports among the messages; raises BrokerError if it can do no more."""
    if is_fatal(error):
        raise BrokerError(f"reading {message.topic()}: {error}")
    log.warning("reading %s: %s", message.topic(), error)
    return True
