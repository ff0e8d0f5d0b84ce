"""What is done to Kafka's topics beyond reading and writing: cutting their beginning off, and how long they keep."""

import time
from collections.abc import Mapping
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from runtime.errors import BrokerError
from runtime.kafka import common_config
from runtime.retention import NAME, parse_topic_policy, topic_config
from runtime.settings import Settings
from schemas.topics import Topic, topic_specs

DEADLINE_S: Final = 20.0
ASK_S: Final = 5.0


def truncate(settings: Settings, before: Mapping[tuple[Topic, int], int]) -> None:
    """Delete the records of these partitions below an offset: nobody can read them any more when this returns.

    The broker removes their files when it next looks (``log.retention.check.interval.ms``) and a whole segment is
    below. Raises BrokerError if Kafka refuses.
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
    admin = AdminClient(common_config(settings))
    names = {settings.topic(cast("Topic", name)): name for name in topic_specs()}
    try:
        existing = admin.list_topics(timeout=ASK_S).topics
        resources = [ConfigResource(ConfigResource.Type.TOPIC, full) for full in names if full in existing]
        if not resources:
            return {}
        found = {}
        for resource, future in admin.describe_configs(resources).items():
            found[names[str(resource.name)]] = int(future.result(timeout=DEADLINE_S)[NAME].value)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"cannot ask how long topics are kept: {error}") from error
    return found


def enforce(settings: Settings) -> list[str]:
    """Give existing topics the retention of the policy; returns those that were changed. Raises BrokerError."""
    policy = parse_topic_policy(settings.retention_hours)
    now = enforced_ms(settings)
    changed = [name for name, ms in now.items() if policy[cast("Topic", name)] != ms]
    if not changed:
        return []
    admin = AdminClient(common_config(settings))
    resources = []
    for name in changed:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in topic_config(policy[cast("Topic", name)]).items()
        ]
        full = settings.topic(cast("Topic", name))
        resources.append(ConfigResource(ConfigResource.Type.TOPIC, full, incremental_configs=entries))
    try:
        for future in admin.incremental_alter_configs(resources).values():
            future.result(timeout=DEADLINE_S)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"cannot set how long topics are kept: {error}") from error
    return changed
