import numpy as np
from confluent_kafka import Message

from analytics.pending import Pending, runs


def run(partition: int, first: int, values: list[bytes | None]) -> tuple[int, list[Message], np.ndarray]:
    messages = [
        Message(topic="t", value=value, key=b"k", partition=partition, offset=first + n, timestamp=(1, 1_000 + n))
        for n, value in enumerate(values)
    ]
    return partition, messages, first + np.arange(len(values))


def test_runs_of_partitions_become_parallel_arrays() -> None:
    pending = Pending()
    pending.take(*run(1, 10, [b"abc", None]))
    pending.take(*run(0, 5, [b"de"]))
    pending.take(*run(1, 12, [b"f"]))
    assert pending.bytes == 6
    assert pending.ranges == {1: [10, 12], 0: [5, 5]}
    taken = pending.taken()
    assert taken.values == [b"abc", None, b"de", b"f"]
    assert taken.partitions.tolist() == [1, 1, 0, 1]
    assert taken.offsets.tolist() == [10, 11, 5, 12]
    assert taken.timestamps_ms.tolist() == [1_000, 1_001, 1_000, 1_000]


def test_the_token_names_the_very_offsets() -> None:
    pending = Pending()
    pending.take(*run(2, 7, [b"x", b"y"]))
    pending.take(*run(0, 1, [b"z"]))
    assert pending.token("t", "id") == "t/id/0:1-1,2:7-8"


def test_messages_are_told_apart_by_topic_and_partition() -> None:
    places = [("a", 0), ("a", 0), ("b", 0), ("b", 1), ("a", 0)]
    messages = [Message(topic=topic, partition=p, offset=n, value=b"") for n, (topic, p) in enumerate(places)]
    found = [(topic, partition, [m.offset() for m in same]) for topic, partition, same in runs(messages)]
    assert found == [("a", 0, [0, 1]), ("b", 0, [2]), ("b", 1, [3]), ("a", 0, [4])]
    assert list(runs([])) == []
