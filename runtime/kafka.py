"""Clients of Kafka, configured for this product; with its neighbours here the one home of confluent_kafka.

Queues here are bounded: a producer holds at most :data:`PRODUCER_QUEUE_RECORDS` records or
:data:`PRODUCER_QUEUE_KIB` KiB and then raises :class:`~runtime.errors.QueueFull`; a consumer prefetches at most
:data:`CONSUMER_QUEUE_KIB` KiB a process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from runtime.errors import BrokerError, DeliveryFailed, QueueFull, SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.topics import Topic

__all__ = [
    "OFFSET_BEGINNING",
    "Consumer",
    "KafkaError",
    "KafkaException",
    "Message",
    "Publisher",
    "TopicPartition",
    "consumer",
    "is_fatal",
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

Report = Callable[[KafkaError | None, Message], None]
"""Is told how the delivery of a record ended."""


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
        # A partition of which something is not read yet is asked for again after those 5 ms: a busy reader's requests,
        # each of which costs the broker as much as a hundred records, are fewer and larger, and an idle one's as soon.
        "queued.min.messages": 1,
        "queued.max.messages.kbytes": CONSUMER_QUEUE_KIB,
        "topic.metadata.refresh.interval.ms": 30_000,
        "allow.auto.create.topics": False,
    }
    # The dotted names of librdkafka cannot be Python keywords: underscores stand for dots, but in callbacks' names.
    config.update({name if name in CALLBACKS else name.replace("_", "."): value for name, value in overrides.items()})
    return Consumer(config)


class Publisher:
    """A producer whose deliveries are counted. Safe to share between threads.

    ``linger_ms`` (default: the settings') trades latency for throughput. Acknowledged means: written by all in-sync
    replicas, once (idempotent). A ``quiet`` one hears of failures only, which is cheaper by the record:
    ``records_out_total`` then grows when it is settled, and ``on_delivery`` cannot be passed.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics | None = None, *, linger_ms: float | None = None, quiet: bool = False
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
        self._names: dict[Topic, str] = {}
        self._error: KafkaError | None = None
        self._producer = Producer(
            {
                **common_config(settings),
                "linger.ms": settings.kafka_linger_ms if linger_ms is None else linger_ms,
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

    def _count(self, name: str | None, records: int = 1) -> None:
        if self._metrics is None:
            return
        counter = self._counters.get(name)
        if counter is None:
            topic = str(name)[len(self._settings.topic_prefix) :]
            counter = self._counters[name] = self._metrics.counter("records_out_total", topic=topic)
        counter(records)

    def count(self, topic: Topic, records: int) -> None:
        """Count records that were acknowledged, of those given to :meth:`hand_over`."""
        self._count(self._settings.topic(topic), records)

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
        report = self._delivered if on_delivery is None else partial(self._delivered_to, on_delivery)
        self.hand_over(topic, key, value, report, partition=partition, timestamp_ms=timestamp_ms)
        if on_delivery is not None:
            return
        with self._lock:
            self._sent += 1
            if self._quiet:
                self._unsettled[topic] = self._unsettled.get(topic, 0) + 1
        self._producer.poll(0)

    def hand_over(
        self,
        topic: Topic,
        key: str | bytes,
        value: bytes,
        report: Report,
        *,
        partition: int = -1,
        timestamp_ms: int | None = None,
    ) -> None:
        """Like :meth:`send` with ``on_delivery``, but cheaper by the record: nothing is counted (see :meth:`count`).

        ``report`` is called as the Kafka client does it.
        """
        if self._error is not None:
            raise DeliveryFailed(f"an earlier record was not acknowledged: {self._error}")
        name = self._names.get(topic)
        if name is None:
            name = self._names[topic] = self._settings.topic(topic)
        try:
            if timestamp_ms is None:
                self._producer.produce(name, value, key, partition, report)
            else:
                self._producer.produce(name, value, key, partition, report, timestamp=timestamp_ms)
        except BufferError as error:
            self._producer.poll(0)
            msg = f"{PRODUCER_QUEUE_RECORDS} records or {PRODUCER_QUEUE_KIB} KiB wait for the broker"
            raise QueueFull(msg) from error
        except KafkaException as error:
            raise BrokerError(f"{topic}: {error}") from error

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
