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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.database import Client, Database
from analytics.errors import DatabaseUnavailable, RowError
from analytics.rows import RECORD_OF, TABLES_OF, Batch, Table, build, route
from runtime.clock import Clock
from runtime.errors import BrokerError
from runtime.kafka import (
    OFFSET_BEGINNING,
    Consumer,
    DeadLetterBox,
    KafkaException,
    Message,
    Publisher,
    TopicPartition,
    consumer,
    is_fatal,
    partition_count,
    topic_ids,
)
from runtime.metrics import Metrics, Stopwatch
from runtime.settings import Settings
from schemas.codec import Codec, DecodeError
from schemas.topics import DEAD_LETTERS, Topic
from schemas.vocabulary import Stage

log = logging.getLogger(__name__)

TOPICS: Final[tuple[Topic, ...]] = tuple(TABLES_OF)
GROUP: Final = "analytics"
"""Offsets are committed under this group for lag tools to see; the sink itself never reads them."""
FLUSH_AFTER_US: Final = 500_000
FLUSH_RECORDS: Final = 20_000
CONSUME_RECORDS: Final = 2_000
CONSUME_WAIT_S: Final = 0.1
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
LAG_EVERY_US: Final = 1_000_000
FENCE_WAIT_S: Final = 120.0


class Stop(Protocol):
    """What ends the sink: a threading.Event."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Stopped(Exception):  # noqa: N818 - not an error
    """The role was asked to stop while an insert was being repeated; what was not inserted is read again next time."""


@dataclass(slots=True)
class Position:
    """How far one partition has come. ``first`` is -1 until a record has been seen."""

    first: int = -1
    next: int = -1
    records: int = 0
    unreadable: int = 0
    held: dict[Table, int] = field(default_factory=dict)
    """By table: the highest offset that it holds of the batch which a predecessor did not finish."""


@dataclass(slots=True)
class Pending:
    """What has been taken from one topic since the last flush: rows by table, offset ranges by partition."""

    rows: dict[Table, Batch] = field(default_factory=dict)
    ranges: dict[int, list[int]] = field(default_factory=dict)
    records: int = 0

    def took(self, partition: int, offset: int) -> None:
        """Extend the partition's range."""
        self.records += 1
        found = self.ranges.get(partition)
        if found is None:
            self.ranges[partition] = [offset, offset]
        else:
            found[1] = offset

    def token(self, topic: str, topic_id: str) -> str:
        """Names this very set of offsets."""
        ranges = ",".join(f"{p}:{first}-{last}" for p, (first, last) in sorted(self.ranges.items()))
        return f"{topic}/{topic_id}/{ranges}"


class Sink:
    """Owned by one thread: :meth:`run` blocks in it until ``stop`` is set."""

    def __init__(
        self, settings: Settings, database: Database, codec: Codec, *, clock: Clock, metrics: Metrics, stop: Stop
    ) -> None:
        self._settings = settings
        self._database = database
        self._codec = codec
        self._clock = clock
        self._metrics = metrics
        self._stop = stop
        self._ids: Mapping[Topic, str] = {}
        self._topics: dict[str, Topic] = {settings.topic(name): name for name in TOPICS}
        self._positions: dict[tuple[Topic, int], Position] = {}
        self._pending: dict[Topic, Pending] = {}
        self._pending_since_us = 0
        self._dead = 0
        self._lag_at_us = 0
        self._client: Client = None
        self._consumer: Consumer
        self._watcher = consumer(settings, GROUP + "-lag")
        """Asks for end offsets while ClickHouse is away: the reading consumer would answer after its long poll only."""
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
                self._take(self._consumer.consume(CONSUME_RECORDS, CONSUME_WAIT_S))
                if self._due():
                    self.flush()
                self._show_lag(cached=True)
            self.flush()
        except Stopped:
            log.info("stopped while ClickHouse was away; the rest is read again at the next start")
        finally:
            self._metrics.ready(False)
            self._consumer.close()
            self._watcher.close()

    # taking records

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                if is_fatal(error):
                    raise BrokerError(f"reading {message.topic()}: {error}")
                log.warning("reading %s: %s", message.topic(), error)
                continue
            self._take_one(message)

    def _take_one(self, message: Message) -> None:
        topic = self._topics[str(message.topic())]
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        position = self._positions[topic, partition]
        if offset < position.next:
            return  # after a reset to the beginning: these are rows already
        if position.first < 0:
            position.first = offset
        position.next = offset + 1
        position.records += 1
        if not self._pending:
            self._pending_since_us = self._clock.now_us()
        pending = self._pending.setdefault(topic, Pending())
        pending.took(partition, offset)
        self._metrics.count("records_in_total", topic=topic)
        try:
            record = self._codec.decode(RECORD_OF[topic], message.value())
            table = route(record)
        except (DecodeError, RowError) as error:
            position.unreadable += 1
            self._set_aside(message, topic, str(error))
            return
        if offset <= position.held.get(table, -1):
            return  # the predecessor's last batch had reached this table
        stamp_ms = max(0, int(message.timestamp()[1]))
        pending.rows.setdefault(table, Batch()).add(record, partition, offset, stamp_ms)

    def _set_aside(self, message: Message, topic: Topic, error: str) -> None:
        if topic == DEAD_LETTERS:
            # A dead letter about a dead letter would come back here for ever.
            log.error("unreadable dead letter at [%s]@%s: %s", message.partition(), message.offset(), error)
            self._metrics.count("dead_letters_total", topic=topic)
            return
        self._dead_letters.put(message, topic, error)
        self._dead += 1

    def _due(self) -> bool:
        if not self._pending:
            return False
        waited_us = self._clock.now_us() - self._pending_since_us
        return waited_us >= FLUSH_AFTER_US or sum(p.records for p in self._pending.values()) >= FLUSH_RECORDS

    # inserting

    def flush(self) -> None:
        """Insert everything taken so far and record the progress; returns when ClickHouse has acknowledged it all.

        Raises Stopped if the role is asked to stop while ClickHouse is away.
        """
        if not self._pending:
            return
        if self._dead:
            self._publisher.flush()
            self._dead = 0
        done: list[TopicPartition] = []
        for topic, pending in self._pending.items():
            name, topic_id = self._settings.topic(topic), self._ids[topic]
            token = pending.token(name, topic_id)
            for table, batch in pending.rows.items():
                self._insert(table, build(table, batch, topic=name, topic_id=topic_id), token)
            done += [TopicPartition(name, p, last + 1) for p, (_, last) in pending.ranges.items()]
        tokens = ";".join(p.token(self._settings.topic(t), self._ids[t]) for t, p in self._pending.items())
        self._insert("sink_progress", self._progress_rows(), tokens)
        self._pending = {}
        self._consumer.commit(offsets=done, asynchronous=True)

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
                self._client.insert_arrow(table, rows.combine_chunks(), settings={"insert_deduplication_token": token})
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

    def _pause(self, seconds: float) -> None:
        self._show_lag(cached=False)
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
        # No group membership: ClickHouse, not Kafka, knows where to go on.
        self._consumer = consumer(self._settings, GROUP)
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
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return list(self._client.query(sql, parameters=dict(parameters)).result_rows)
            except (ClickHouseError, OSError) as error:
                log.warning("reading the progress, again in %.1f s: %s", pause_s, error)
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

    # watching

    def _show_lag(self, *, cached: bool) -> None:
        now_us = self._clock.now_us()
        if now_us - self._lag_at_us < LAG_EVERY_US:
            return
        self._lag_at_us = now_us
        asked = self._consumer if cached else self._watcher
        for (topic, partition), position in self._positions.items():
            place = TopicPartition(self._settings.topic(topic), partition)
            try:
                low, high = asked.get_watermark_offsets(place, timeout=1.0, cached=cached)
            except KafkaException:
                return  # Kafka is away: the last lag shown stays
            if high < 0:
                continue
            waiting = high - max(position.next, low, 0)
            self._metrics.set("lag_records", max(0, waiting), topic=topic, partition=str(partition))
