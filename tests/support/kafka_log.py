"""Reading whole topics."""

from runtime.kafka import OFFSET_BEGINNING, Message, TopicPartition, consumer
from runtime.settings import Settings
from runtime.topics import offset_ranges
from schemas.topics import Topic


def read_topic(settings: Settings, topic: Topic) -> list[Message]:
    """Everything that stands in a topic at the moment of the call, partition by partition."""
    ends = {partition: high for partition, (low, high) in offset_ranges(settings, topic).items() if high > low}
    reader = consumer(settings, "read-topic", fetch_wait_max_ms=10)
    found: list[Message] = []
    try:
        reader.assign([TopicPartition(settings.topic(topic), partition, OFFSET_BEGINNING) for partition in ends])
        while ends:
            for message in reader.consume(10_000, 1.0):
                assert message.error() is None, message.error()
                found.append(message)
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                if partition in ends and offset + 1 >= ends[partition]:
                    del ends[partition]
        return sorted(found, key=lambda message: (message.partition(), message.offset()))
    finally:
        reader.close()
