"""Which of a session's media records the log still holds: read from Kafka when somebody asks, never stored."""

import time
from collections.abc import Mapping
from typing import Final

from analytics.balance import Ranges
from runtime.kafka import TopicPartition, consumer
from runtime.settings import Settings
from runtime.topics import murmur2_partition, partition_count
from schemas.codec import Codec, DecodeError
from schemas.records import AudioChunk, VideoFrame
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, Topic
from schemas.vocabulary import Modality

SOURCES: Final[Mapping[Modality, tuple[Topic, type[AudioChunk | VideoFrame]]]] = {
    Modality.SPEECH: (MEDIA_AUDIO, AudioChunk),
    Modality.FACE: (MEDIA_VIDEO, VideoFrame),
}
DEADLINE_S: Final = 20.0


def media_sequences(settings: Settings, codec: Codec, session_id: str, since_us: int) -> Mapping[Modality, Ranges]:
    """Sequences of the session's chunks and pictures in the media topics.

    A modality is left out if its partition no longer reaches back to ``since_us`` (the session's start: retention has
    begun to eat it), or cannot be read to its end within :data:`DEADLINE_S`. Blocks; reads one partition a modality.
    Raises BrokerError if a topic does not exist.
    """
    found: dict[Modality, Ranges] = {}
    for modality, (topic, record_type) in SOURCES.items():
        partition = murmur2_partition(session_id.encode(), partition_count(settings, topic))
        place = TopicPartition(settings.topic(topic), partition)
        sequences = _read(settings, codec, record_type, place, since_us)
        if sequences is not None:
            found[modality] = Ranges.of(s for s, owner in sequences if owner == session_id)
    return found


def _read(
    settings: Settings,
    codec: Codec,
    record_type: type[AudioChunk | VideoFrame],
    place: TopicPartition,
    since_us: int,
) -> list[tuple[int, str]] | None:
    feed = consumer(settings, "analytics-media", queued_max_messages_kbytes=16_384)
    try:
        low, high = feed.get_watermark_offsets(place, timeout=10.0)
        place.offset = low
        feed.assign([place])
        until = time.monotonic() + DEADLINE_S
        sequences: list[tuple[int, str]] = []
        at = low
        while at < high:
            for message in feed.consume(500, 0.1):
                if message.error() is not None:
                    continue
                offset = int(message.offset() or 0)
                if offset == low and low > 0 and message.timestamp()[1] * 1_000 > since_us:
                    return None
                at = offset + 1
                try:
                    record = codec.decode(record_type, message.value())
                except DecodeError:
                    continue
                sequences.append((record.sequence, record.session_id))
            if time.monotonic() > until:
                return None
        return sequences
    finally:
        feed.close()
