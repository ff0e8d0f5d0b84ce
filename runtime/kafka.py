"""The one home of confluent_kafka: clients configured for this product, topics, partitioning, dead letters.

Queues here are bounded: a producer holds at most :data:`PRODUCER_QUEUE_RECORDS` records or
:data:`PRODUCER_QUEUE_KIB` KiB and then raises :class:`~runtime.errors.QueueFull`; a consumer prefetches at most
:data:`CONSUMER_QUEUE_KIB` KiB a process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.clock import Clock
from runtime.errors import BrokerError, DeliveryFailed, QueueFull, SettingsError, TopicMismatch
from runtime.metrics import Metrics
from runtime.retention import parse_topic_policy, topic_config
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import DeadLetter, LedgerEntry
from schemas.topics import DEAD_LETTERS, LEDGER, Topic, topic_specs
from schemas.vocabulary import Stage

__all__ = [
    "OFFSET_BEGINNING",
    "Consumer",
    "DeadLetterBox",
    "KafkaError",
    "KafkaException",
    "Ledger",
    "Message",
    "Publisher",
    "TopicPartition",
    "consumer",
    "delete_topics",
    "ensure_topics",
    "is_fatal",
    "murmur2_partition",
    "offset_ranges",
    "partition_count",
    "topic_ids",
    "wait_for_broker",
]

log = logging.getLogger(__name__)

PRODUCER_QUEUE_RECORDS: Final = 100_000
PRODUCER_QUEUE_KIB: Final = 131_072
CONSUMER_QUEUE_KIB: Final = 65_536
MAX_RECORD_BYTES: Final = 1_048_576
COORDINATOR_MOVES: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)

CALLBACKS: Final = frozenset({"on_commit", "error_cb", "stats_cb"})


def common_config(settings: Settings) -> dict[str, Any]:
    """Client settings that every producer, consumer and admin client shares."""
    return {
        **_security(settings),
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": f"affectstream-{settings.instance}",
        "broker.address.family": "v4",
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 250,
        # After an outage every tenth of a second counts: the defaults wait for up to a second between attempts.
        "retry.backoff.ms": 20,
        "retry.backoff.max.ms": 200,
        # A cluster whose brokers are all fenced tells of none, and the client forgets those it had. Without this it
        # would never ask again, not even the addresses that it was given.
        "metadata.recovery.strategy": "rebootstrap",
        "socket.keepalive.enable": True,
        # librdkafka would write a line to stderr for each attempt to reach a broker that is down: we say it ourselves.
        "error_cb": lambda error: log.debug("kafka client: %s", error),
        "log_level": 2,
    }


def _security(settings: Settings) -> dict[str, Any]:
    """How clients prove who they are, and know the brokers; raises SettingsError if a part is missing."""
    protocol = settings.kafka_security_protocol
    found: dict[str, Any] = {"security.protocol": protocol}
    if protocol.startswith("SASL"):
        if not settings.kafka_username or not settings.kafka_password:
            raise SettingsError(f"AFFECTSTREAM_KAFKA_USERNAME and _PASSWORD are needed for {protocol}")
        found["sasl.mechanism"] = settings.kafka_sasl_mechanism
        found["sasl.username"] = settings.kafka_username
        found["sasl.password"] = settings.kafka_password
    if protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": settings.kafka_ca,
            "ssl.certificate.location": settings.kafka_certificate,
            "ssl.key.location": settings.kafka_key,
        }
        found.update({name: path for name, path in files.items() if path})
        found["ssl.endpoint.identification.algorithm"] = "https"
    return found


def consumer(settings: Settings, group: str, **overrides: Any) -> Consumer:
    """A consumer that favours latency, commits only when told to, and starts at the beginning of an unknown topic.

    ``group`` gets the topic prefix, so that prefixed deployments on one broker do not share groups.
    """
    config = {
        **common_config(settings),
        "group.id": settings.topic_prefix + group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 10_000,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 5,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 2_000,
        "queued.max.messages.kbytes": CONSUMER_QUEUE_KIB,
        "topic.metadata.refresh.interval.ms": 30_000,
        "allow.auto.create.topics": False,
    }
    # The dotted names of librdkafka cannot be Python keywords: underscores stand for dots, but in callbacks' names.
    config.update({name if name in CALLBACKS else name.replace("_", "."): value for name, value in overrides.items()})
    return Consumer(config)


class Publisher:
    """A producer whose deliveries are counted. Safe to share between threads.

    ``linger_ms`` trades latency for throughput. Acknowledged means: written by all in-sync replicas, once (idempotent).
    A ``quiet`` one hears of failures only, which is cheaper by the record: ``records_out_total`` then grows when it is
    settled, and ``on_delivery`` cannot be passed.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics | None = None, *, linger_ms: float = 1.0, quiet: bool = False
    ) -> None:
        self._quiet = quiet
        self._unsettled: dict[str, int] = {}
        self._settings = settings
        self._metrics = metrics
        self._lock = threading.Lock()
        self._sent = 0
        self._acknowledged = 0
        self._counters: dict[str | None, Callable[[float], None]] = {}
        """What counts the records of each topic, by its name at the broker."""
        self._error: KafkaError | None = None
        self._producer = Producer(
            {
                **common_config(settings),
                "linger.ms": linger_ms,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": PRODUCER_QUEUE_RECORDS,
                "queue.buffering.max.kbytes": PRODUCER_QUEUE_KIB,
                "message.max.bytes": MAX_RECORD_BYTES,
                "delivery.timeout.ms": 120_000,
                "topic.metadata.refresh.interval.ms": 30_000,
                **({"delivery.report.only.error": True} if quiet else {}),
            }
        )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        with self._lock:
            if error is None:
                self._acknowledged += 1
            else:
                self._error = error
        if error is None:
            self._count(message.topic())

    def _delivered_to(self, told: Callable[[bool], None], error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._count(message.topic())
        told(error is None)

    def _count(self, name: str | None) -> None:
        if self._metrics is None:
            return
        counter = self._counters.get(name)
        if counter is None:
            topic = str(name)[len(self._settings.topic_prefix) :]
            counter = self._counters[name] = self._metrics.counter("records_out_total", topic=topic)
        counter(1.0)

    def send(
        self,
        topic: Topic,
        key: str | bytes,
        value: bytes,
        *,
        partition: int = -1,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[bool], None] | None = None,
    ) -> None:
        """Queue a record; never blocks. Raises QueueFull, or DeliveryFailed if an earlier record was lost.

        Call :meth:`poll` now and then (sends without ``on_delivery`` do so too), or deliveries are not noticed.
        ``on_delivery`` is told whether the record was acknowledged, in whichever thread polls; who passes it deals
        with the loss, which then is no error of later sends or of :meth:`flush`.
        """
        if self._error is not None:
            raise DeliveryFailed(f"an earlier record was not acknowledged: {self._error}")
        extra: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        if partition >= 0:
            extra["partition"] = partition
        try:
            self._producer.produce(
                self._settings.topic(topic),
                value=value,
                key=key,
                on_delivery=self._delivered if on_delivery is None else partial(self._delivered_to, on_delivery),
                **extra,
            )
        except BufferError as error:
            self._producer.poll(0)
            msg = f"{PRODUCER_QUEUE_RECORDS} records or {PRODUCER_QUEUE_KIB} KiB wait for the broker"
            raise QueueFull(msg) from error
        except KafkaException as error:
            raise BrokerError(f"{topic}: {error}") from error
        if on_delivery is not None:
            return
        with self._lock:
            self._sent += 1
            if self._quiet:
                self._unsettled[topic] = self._unsettled.get(topic, 0) + 1
        self._producer.poll(0)

    def send_many(self, topic: Topic, partition: int, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Queue (key, value) records for one partition; while the queue is full, wait for room.

        For quiet publishers. Raises DeliveryFailed if an earlier record was lost, QueueFull after 60 s without room.
        """
        if self._error is not None:
            raise DeliveryFailed(f"an earlier record was not acknowledged: {self._error}")
        name, produce, lost = self._settings.topic(topic), self._producer.produce, self._delivered
        sent = 0
        for key, value in records:
            until = 0.0
            while True:
                try:
                    produce(name, value, key, partition, lost)
                    break
                except BufferError as error:
                    until = until or time.monotonic() + 60.0
                    if time.monotonic() > until:
                        raise QueueFull(f"no room for {topic} within 60 s: is the broker there?") from error
                    self._producer.poll(0.05)
            sent += 1
        with self._lock:
            self._sent += sent
            self._unsettled[topic] = self._unsettled.get(topic, 0) + sent
        self._producer.poll(0)

    def settled(self, timeout_s: float) -> bool:
        """True once every record sent so far is acknowledged, False after ``timeout_s``; for quiet publishers.

        Raises DeliveryFailed if a record was lost.
        """
        waiting = self._producer.flush(timeout_s)
        if self._error is not None:
            raise DeliveryFailed(f"not acknowledged: {self._error}")
        if waiting:
            return False
        with self._lock:
            self._acknowledged = self._sent
            settled, self._unsettled = self._unsettled, {}
        for topic, count in settled.items():
            if self._metrics is not None and count:
                self._metrics.count("records_out_total", count, topic=topic)
        return True

    def send_waiting(self, topic: Topic, key: str | bytes, value: bytes, *, deadline_s: float = 60.0) -> None:
        """Like :meth:`send`, but wait while the queue is full; raises QueueFull when the deadline has passed."""
        until = time.monotonic() + deadline_s
        while True:
            try:
                self.send(topic, key, value)
                return
            except QueueFull:
                if time.monotonic() > until:
                    raise
                self._producer.poll(0.05)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve delivery reports."""
        self._producer.poll(timeout_s)

    def queued(self) -> int:
        """Records that wait for an acknowledgement."""
        return len(self._producer)

    def fullness(self) -> float:
        """Share of the queue that is taken, by records: 1 is where :meth:`send` raises QueueFull."""
        return len(self._producer) / PRODUCER_QUEUE_RECORDS

    def flush(self, timeout_s: float = 120.0) -> None:
        """Return when every record sent so far is acknowledged; raise DeliveryFailed otherwise."""
        if self._quiet:
            if not self.settled(timeout_s):
                raise DeliveryFailed(f"{self.queued()} records not acknowledged within {timeout_s:g} s")
            return
        left = self._producer.flush(timeout_s)
        with self._lock:
            error, missing = self._error, max(left, self._sent - self._acknowledged)
        if error is not None:
            raise DeliveryFailed(f"not acknowledged: {error}")
        if missing > 0:
            raise DeliveryFailed(f"{missing} records not acknowledged within {timeout_s:g} s")


class DeadLetterBox:
    """Sets unreadable records aside on ``dead.letters``, counted."""

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, stage: Stage, metrics: Metrics) -> None:
        self._publisher = publisher
        self._codec = codec
        self._clock = clock
        self._stage = stage
        self._metrics = metrics

    def put(self, message: Message, topic: Topic, error: str) -> None:
        """Set ``message`` aside; it counts as handled once the publisher is flushed."""
        key = message.key() or b""
        self.put_bytes(
            topic,
            partition=int(message.partition() or 0),
            offset=int(message.offset() or 0),
            key=key if isinstance(key, bytes) else key.encode(),
            value=bytes(message.value() or b""),
            error=error,
        )

    def put_bytes(self, topic: Topic, *, partition: int, offset: int, key: bytes, value: bytes, error: str) -> None:
        """Like :meth:`put`, for a record whose message is no longer at hand."""
        letter = DeadLetter(
            recorded_at_us=self._clock.now_us(),
            stage=self._stage.value,
            topic=topic,
            partition=partition,
            offset=offset,
            error=error,
            key=key,
            value=value,
        )
        self._publisher.send_waiting(DEAD_LETTERS, key, self._codec.encode(letter))
        self._metrics.count("dead_letters_total", topic=topic)
        log.warning("dead letter: %s[%d]@%d: %s", topic, partition, offset, error)


class Ledger:
    """Collects what became of each item, and writes runs of equal outcomes to ``ledger``.

    Consecutive sequences of one session, modality and outcome become one entry. Not thread-safe: one a thread.
    """

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, stage: Stage, metrics: Metrics) -> None:
        self._publisher = publisher
        self._codec = codec
        self._clock = clock
        self._stage = stage
        self._metrics = metrics
        self._open: dict[tuple[str, str, str], list[int]] = {}
        self._closed: list[tuple[tuple[str, str, str], list[int]]] = []

    def note(self, session_id: str, modality: str, outcome: str, sequence: int = -1, count: int = 1) -> None:
        """Note that ``count`` items from ``sequence`` on (-1: unnumbered) had this outcome."""
        if outcome != "used":
            self._metrics.count("dropped_total", count, modality=modality, outcome=outcome)
        key = (session_id, modality, outcome)
        run = self._open.get(key)
        last = sequence + count - 1 if sequence >= 0 else -1
        if run is not None and (run[1] + 1 == sequence or (sequence < 0 and run[1] < 0)):
            run[1] = last
            run[2] += count
            return
        if run is not None:
            self._closed.append((key, run))
        self._open[key] = [sequence, last, count]

    def flush(self) -> None:
        """Queue every run; durable once the publisher is flushed. The only method that may block (on a full queue)."""
        closed, self._closed = self._closed, []
        for key, run in [*closed, *self._open.items()]:
            self._write(key, run)
        self._open.clear()

    def _write(self, key: tuple[str, str, str], run: Sequence[int]) -> None:
        session_id, modality, outcome = key
        entry = LedgerEntry(
            recorded_at_us=self._clock.now_us(),
            stage=self._stage.value,
            modality=modality,
            outcome=outcome,
            count=run[2],
            first_sequence=run[0],
            last_sequence=run[1],
            session_id=session_id,
        )
        self._publisher.send_waiting(LEDGER, session_id, self._codec.encode(entry))


def committed_offsets(
    source: Consumer, places: Sequence[TopicPartition], *, timeout_s: float = 10.0
) -> list[TopicPartition]:
    """What the consumer's group has committed for ``places``; offsets below 0: nothing.

    A group's coordinator that is moving (a young or restarted cluster's is for a moment) is asked again. Raises
    KafkaException when ``timeout_s`` has passed.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            return list(source.committed(list(places), timeout=max(0.1, until - time.monotonic())))
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_MOVES or time.monotonic() > until:
                raise
            time.sleep(0.05)  # waits for the cluster, with a deadline


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that reported this can do no more and its process must start anew.

    A fenced static member, for instance: librdkafka then gives every poll a message with the code ``_FATAL``, whose
    own ``fatal()`` is False.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001 - its public name


def murmur2_partition(key: bytes, partitions: int) -> int:
    """The partition that Java's default partitioner and librdkafka's ``murmur2`` give a key.

    Murmur2 with seed 0x9747b28c over the key, the sign bit cleared, modulo the number of partitions
    (org.apache.kafka.common.utils.Utils.murmur2, Apache Kafka).
    """
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(key)
    h = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if length & 3:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return ((h ^ (h >> 15)) & 0x7FFFFFFF) % partitions


def wait_for_broker(
    settings: Settings, *, deadline_s: float = 30.0, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Return once the cluster answers; raise BrokerError when the deadline has passed."""
    admin = AdminClient(common_config(settings))
    until = time.monotonic() + deadline_s
    while not stopped():
        try:
            admin.list_topics(timeout=1.0)
            return
        except KafkaException as error:
            if time.monotonic() > until:
                msg = f"no answer from Kafka at {settings.kafka_bootstrap_servers} within {deadline_s:g} s: {error}"
                raise BrokerError(msg) from error


def partition_count(settings: Settings, topic: Topic, *, timeout_s: float = 10.0) -> int:
    """How many partitions the topic has; raises BrokerError if it does not exist."""
    name = settings.topic(topic)
    try:
        found = AdminClient(common_config(settings)).list_topics(name, timeout=timeout_s).topics.get(name)
    except KafkaException as error:
        raise BrokerError(f"cannot ask Kafka at {settings.kafka_bootstrap_servers} for {name}: {error}") from error
    if found is None or found.error is not None or not found.partitions:
        raise BrokerError(f"topic {name} does not exist: run `affectstream topics create`")
    return len(found.partitions)


def offset_ranges(settings: Settings, topic: Topic, *, timeout_s: float = 10.0) -> Mapping[int, tuple[int, int]]:
    """First kept and next offset of each partition; raises BrokerError if nobody answers or there is no such topic."""
    count = partition_count(settings, topic, timeout_s=timeout_s)
    reader = consumer(settings, "offsets")
    try:
        ranges = {}
        for partition in range(count):
            place = TopicPartition(settings.topic(topic), partition)
            low, high = reader.get_watermark_offsets(place, timeout=timeout_s)
            ranges[partition] = (int(low), int(high))
        return ranges
    except KafkaException as error:
        raise BrokerError(f"cannot ask for the offsets of {settings.topic(topic)}: {error}") from error
    finally:
        reader.close()


def topic_ids(settings: Settings, topics: Sequence[Topic], *, timeout_s: float = 10.0) -> Mapping[Topic, str]:
    """Kafka's own id of each topic: one that was deleted and made anew under the same name has another.

    Raises BrokerError if a topic does not exist or Kafka does not answer.
    """
    admin = AdminClient(common_config(settings))
    names = [settings.topic(topic) for topic in topics]
    futures = admin.describe_topics(TopicCollection(names), request_timeout=timeout_s)
    ids: dict[Topic, str] = {}
    for topic, name in zip(topics, names, strict=True):
        try:
            ids[topic] = str(futures[name].result(timeout=timeout_s).topic_id)
        except (KafkaException, TimeoutError) as error:
            raise BrokerError(f"cannot describe topic {name}: {error}") from error
    return ids


def ensure_topics(settings: Settings) -> Mapping[str, int]:
    """Create the topics of ``schemas/topics.yaml`` that are missing; returns each one's partitions.

    Raises TopicMismatch if session topics exist with differing numbers of partitions (one session must be one
    partition everywhere), BrokerError if Kafka refuses.
    """
    admin = AdminClient(common_config(settings))
    try:
        existing = admin.list_topics(timeout=10).topics
    except KafkaException as error:
        raise BrokerError(f"cannot list topics at {settings.kafka_bootstrap_servers}: {error}") from error
    missing = [
        NewTopic(
            settings.topic_prefix + name,
            num_partitions=settings.partitions,
            replication_factor=settings.replication_factor,
            config={**topic_config(retention_ms), "max.message.bytes": str(MAX_RECORD_BYTES)},
        )
        for name, retention_ms in parse_topic_policy(settings.retention_hours).items()
        if settings.topic_prefix + name not in existing
    ]
    if missing:
        for name, future in admin.create_topics(missing, operation_timeout=30).items():
            try:
                future.result(timeout=30)
            except KafkaException as error:
                # Another process may create the same topics at the same moment.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BrokerError(f"cannot create topic {name}: {error}") from error
    counts = {name: _settled_partition_count(settings, name) for name in topic_specs()}
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name}: {count}" for name, count in counts.items())
        msg = f"topics must have equal numbers of partitions, but {listing}"
        raise TopicMismatch(msg)
    return counts


def delete_topics(settings: Settings) -> None:
    """Delete every topic of the deployment that ``settings`` names, and all that they hold; missing ones are fine.

    Raises BrokerError if Kafka refuses.
    """
    admin = AdminClient(common_config(settings))
    for name, future in admin.delete_topics([settings.topic(name) for name in topic_specs()]).items():  # type: ignore[arg-type]  # names come from topic_specs()
        try:
            future.result(timeout=30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise BrokerError(f"cannot delete topic {name}: {error}") from error


def _settled_partition_count(settings: Settings, name: str) -> int:
    """A new topic appears in the metadata a moment after its creation was acknowledged: wait for it."""
    until = time.monotonic() + 10.0
    while True:
        try:
            return partition_count(settings, name)  # type: ignore[arg-type]  # names come from topic_specs()
        except BrokerError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)  # waits for the cluster's metadata, with a deadline
