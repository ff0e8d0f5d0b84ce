"""The topics as the cluster has them: made, counted, deleted; and which partition a key belongs to."""

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.errors import BrokerError, TopicMismatch
from runtime.kafka import MAX_RECORD_BYTES, KafkaError, KafkaException, TopicPartition, common_config, consumer
from runtime.retention import parse_topic_policy, topic_config
from runtime.settings import Settings
from schemas.topics import Topic, topic_specs


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
