"""Ends of sessions that this process did not read, as nobody watched them then: looked for in ``client.events``."""

import logging
import time
from typing import Final

from runtime.errors import BrokerError
from runtime.kafka import KafkaException, TopicPartition, consumer
from runtime.logs import session_tag
from runtime.settings import Settings
from runtime.topics import murmur2_partition, partition_count
from schemas.codec import Codec, DecodeError
from schemas.records import ClientEvent
from schemas.topics import CLIENT_EVENTS

log = logging.getLogger(__name__)

MAX_RECORDS: Final = 300_000
"""No more of a partition is looked through, the newest: some seconds of reading, an hour of 80 viewers' acks."""

MAX_AGE_US: Final = 24 * 3_600 * 1_000_000
DEADLINE_S: Final = 20.0
BATCH: Final = 5_000


def has_ended(settings: Settings, session_id: str, since_us: int, now_us: int) -> bool:
    """Whether the edge has said that the session is over since ``since_us``, the last day at most.

    Blocks for some milliseconds, or seconds where much has been said. What cannot be read counts as: not ended.
    """
    name, key = settings.topic(CLIENT_EVENTS), session_id.encode()
    until = time.monotonic() + DEADLINE_S
    codec = Codec()
    try:
        partition = murmur2_partition(key, partition_count(settings, CLIENT_EVENTS))
        source = consumer(settings, f"egress-endings-{settings.instance}")
    except (BrokerError, KafkaException) as error:
        log.warning("whether session %s has ended cannot be looked up: %s", session_tag(session_id), error)
        return False
    try:
        low, high = source.get_watermark_offsets(TopicPartition(name, partition), timeout=DEADLINE_S)
        since_ms = max(since_us, now_us - MAX_AGE_US) // 1_000
        (place,) = source.offsets_for_times([TopicPartition(name, partition, since_ms)], timeout=DEADLINE_S)
        at = max(place.offset if place.offset >= 0 else high, high - MAX_RECORDS, low)
        source.assign([TopicPartition(name, partition, at)])
        while at < high and time.monotonic() < until:
            for message in source.consume(BATCH, 0.5):
                if message.error() is not None:
                    continue
                at = (message.offset() or 0) + 1
                if message.key() in {key, session_id} and _is_end(codec, message.value()):
                    return True
    except (BrokerError, KafkaException) as error:
        log.warning("whether session %s has ended cannot be looked up: %s", session_tag(session_id), error)
    finally:
        source.close()
    return False


def _is_end(codec: Codec, value: bytes | None) -> bool:
    try:
        return codec.decode(ClientEvent, value).kind == "session_ended"
    except DecodeError:
        return False  # whoever keeps client events counts it
