"""What a Kafka cluster says of itself, for those who look after it: brokers, topics' replicas, its clock."""

import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.clock import Clock
from runtime.errors import BrokerError
from runtime.kafka import common_config
from runtime.settings import Settings
from schemas.topics import topic_specs

PROBES: Final = 5


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker at the address that it gives to clients."""

    number: int
    address: tuple[str, int]

    def __str__(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"


@dataclass(frozen=True, slots=True)
class Partition:
    """Where a partition's copies are; ``leader`` is negative if it has none and cannot be read or written."""

    leader: int
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Brokers, and the topics of this deployment that exist, by their names without the prefix."""

    brokers: tuple[Broker, ...]
    topics: Mapping[str, tuple[Partition, ...]]


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """How far a broker's clock is ahead of ours, and half the round trip, by which that may be wrong."""

    ahead_s: float
    uncertain_s: float
    write_s: float
    """How long writing one record took, acknowledgement included."""


def describe(settings: Settings, *, timeout_s: float = 5.0) -> Cluster:
    """Ask the cluster; raises BrokerError if nobody answers."""
    try:
        found = AdminClient(common_config(settings)).list_topics(timeout=timeout_s)
    except KafkaException as error:
        msg = f"no answer from Kafka at {settings.kafka_bootstrap_servers} within {timeout_s:g} s: {_reason(error)}"
        raise BrokerError(msg) from error
    brokers = tuple(Broker(b.id, (str(b.host), int(b.port))) for b in sorted(found.brokers.values(), key=_number))
    topics = {}
    for name in topic_specs():
        topic = found.topics.get(settings.topic_prefix + name)
        if topic is not None and topic.error is None and topic.partitions:
            ordered = [topic.partitions[number] for number in sorted(topic.partitions)]
            topics[name] = tuple(Partition(p.leader, len(p.replicas), len(p.isrs)) for p in ordered)
    return Cluster(brokers, topics)


def reachable(broker: Broker, *, timeout_s: float = 3.0) -> str:
    """Empty if a connection to the broker's own address can be made, or why not."""
    try:
        socket.create_connection(broker.address, timeout_s).close()
    except OSError as error:
        return str(error)
    return ""


def clock_of_broker(settings: Settings, clock: Clock, *, timeout_s: float = 10.0) -> BrokerClock:
    """Write a few records to a topic made for it, which the broker stamps, and delete the topic.

    Raises BrokerError if that is not allowed or not done in time.
    """
    name = f"{settings.topic_prefix}doctor.{uuid.uuid4().hex[:12]}"
    admin = AdminClient(common_config(settings))
    topic = NewTopic(name, num_partitions=1, replication_factor=1, config={"message.timestamp.type": "LogAppendTime"})
    try:
        admin.create_topics([topic], operation_timeout=timeout_s)[name].result(timeout=timeout_s)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"cannot create the topic {name} to ask the broker for the time: {_reason(error)}") from error
    try:
        return _probe(settings, name, clock, timeout_s)
    finally:
        admin.delete_topics([name], operation_timeout=timeout_s)[name].result(timeout=timeout_s)


def _probe(settings: Settings, name: str, clock: Clock, timeout_s: float) -> BrokerClock:
    """The probe that came back soonest knows best; the first one waits for the topic's leader."""
    producer = Producer({**common_config(settings), "linger.ms": 0, "acks": "all"})
    stamps: list[int] = []
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(error)
        else:
            stamps.append(message.timestamp()[1])

    best: BrokerClock | None = None
    until = time.monotonic() + timeout_s
    for _ in range(PROBES):
        before_us = clock.now_us()
        producer.produce(name, b"", on_delivery=delivered)
        count = len(stamps)
        while len(stamps) == count and not refused and time.monotonic() < until:
            producer.poll(0.05)
        after_us = clock.now_us()
        if len(stamps) == count:
            break
        trip_s = (after_us - before_us) / 1e6
        # The stamp is cut to the millisecond: on average half of one is missing.
        ahead_s = stamps[-1] / 1e3 + 0.0005 - (before_us + after_us) / 2e6
        if best is None or trip_s < best.write_s:
            best = BrokerClock(ahead_s, trip_s / 2, trip_s)
    if best is None:
        raise BrokerError(
            f"the broker acknowledged nothing: {refused[0] if refused else f'no answer in {timeout_s:g} s'}"
        )
    return best


def _number(broker: Any) -> int:
    return int(broker.id)


def _reason(error: Exception) -> str:
    return str(error.args[0].str()) if error.args and isinstance(error.args[0], KafkaError) else str(error)
