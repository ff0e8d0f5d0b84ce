"""What is done to Kafka's topics beyond reading and writing: cutting their beginning off, and how long they keep."""

import time
from collections.abc import Collection, Mapping
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from runtime.errors import BrokerError
from runtime.kafka import common_config
from runtime.retention import NAME, SEGMENT, parse_topic_policy, topic_config
from runtime.settings import Settings
from schemas.topics import CUT_KEY, Topic, topic_specs

DEADLINE_S: Final = 20.0
ASK_S: Final = 5.0
ROLL_MS: Final = 1_001
"""How old a segment may be while one is to be begun; an odd number, to be known again after a crash."""


def truncate(settings: Settings, before: Mapping[tuple[Topic, int], int]) -> None:
    """Delete the records of these partitions below an offset: nobody can read them any more when this returns.

    The broker removes their files when it next looks (``log.retention.check.interval.ms``) and a whole segment is
    below (:func:`begin_segments`). Raises BrokerError if Kafka refuses.
    """
    if not before:
        return
    admin = AdminClient(common_config(settings))
    places = [TopicPartition(settings.topic(topic), number, offset) for (topic, number), offset in before.items()]
    until = time.monotonic() + DEADLINE_S
    for place, future in admin.delete_records(places, request_timeout=DEADLINE_S).items():
        try:
            future.result(timeout=max(0.1, until - time.monotonic()))
        except KafkaException as error:
            # Retention was there first: what was to be deleted is.
            if error.args[0].code() != KafkaError.OFFSET_OUT_OF_RANGE:
                raise BrokerError(f"{place.topic}[{place.partition}] cannot be cut: {error}") from error
        except TimeoutError as error:
            raise BrokerError(f"{place.topic}[{place.partition}] was not cut within {DEADLINE_S:g} s") from error


def enforced_ms(settings: Settings) -> dict[str, int]:
    """What Kafka keeps now, by topic without prefix, those that exist. Raises BrokerError."""
    return _described(settings, NAME)


def enforce(settings: Settings) -> list[str]:
    """Give existing topics the retention of the policy; returns those that were changed. Raises BrokerError."""
    policy = parse_topic_policy(settings.retention_hours)
    now = enforced_ms(settings)
    changed = [cast("Topic", name) for name, ms in now.items() if policy[cast("Topic", name)] != ms]
    alter(settings, {topic: topic_config(policy[topic]) for topic in changed})
    return list(changed)


def _described(settings: Settings, key: str) -> dict[str, int]:
    admin = AdminClient(common_config(settings))
    names = {settings.topic(cast("Topic", name)): name for name in topic_specs()}
    try:
        existing = admin.list_topics(timeout=ASK_S).topics
        resources = [ConfigResource(ConfigResource.Type.TOPIC, full) for full in names if full in existing]
        if not resources:
            return {}
        found = {}
        for resource, future in admin.describe_configs(resources).items():
            found[names[str(resource.name)]] = int(future.result(timeout=DEADLINE_S)[key].value)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"cannot ask for {key} of the topics: {error}") from error
    return found


def alter(settings: Settings, wanted: Mapping[Topic, Mapping[str, str]]) -> None:
    """Set these settings of these topics; returns when Kafka has answered. Raises BrokerError."""
    if not wanted:
        return
    resources = []
    for topic, values in wanted.items():
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in values.items()
        ]
        resources.append(ConfigResource(ConfigResource.Type.TOPIC, settings.topic(topic), incremental_configs=entries))
    admin = AdminClient(common_config(settings))  # kept: what it was asked for ends with it
    try:
        for future in admin.incremental_alter_configs(resources).values():
            future.result(timeout=DEADLINE_S)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"cannot set how long topics are kept: {error}") from error


def begin_segments(settings: Settings, places: Collection[tuple[Topic, int]]) -> dict[tuple[Topic, int], int]:
    """Have Kafka begin a new segment in each partition; returns an offset of its own that stands in each new segment.

    Kafka deletes files of whole segments, never of the one that is written to, and begins one only when something is
    written. So that is had for a moment by a small ``segment.ms``, and a mark (:data:`schemas.topics.CUT_KEY`). Takes
    two seconds. Raises BrokerError; call :func:`usual_segments` then.
    """
    _set_segments(settings, dict.fromkeys({topic for topic, _ in places}, ROLL_MS))
    time.sleep(1.5 * ROLL_MS / 1_000)  # the newest segment must be older than that
    found: dict[tuple[str, int], int] = {}
    refused: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(str(error))
        else:
            found[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0)

    producer = Producer({**common_config(settings), "enable.idempotence": True, "acks": "all"})
    for topic, partition in places:
        producer.produce(settings.topic(topic), None, CUT_KEY, partition, delivered)
    producer.flush(DEADLINE_S)
    usual_segments(settings, {topic for topic, _ in places})
    if refused or len(found) < len(places):
        raise BrokerError(f"no new segments could be begun: {refused[:1] or 'no answer'}")
    return {(topic, partition): found[settings.topic(topic), partition] for topic, partition in places}


def usual_segments(settings: Settings, topics: Collection[Topic] = ()) -> None:
    """Give topics their usual length of segments again; none named: those that a crash left with another."""
    policy = parse_topic_policy(settings.retention_hours)
    chosen = set(topics) or {cast("Topic", name) for name, ms in _described(settings, SEGMENT).items() if ms == ROLL_MS}
    _set_segments(settings, {topic: int(topic_config(policy[topic])[SEGMENT]) for topic in chosen})


def _set_segments(settings: Settings, ms: Mapping[Topic, int]) -> None:
    alter(settings, {topic: {SEGMENT: str(each)} for topic, each in ms.items()})
