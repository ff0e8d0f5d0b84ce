import numpy as np
from confluent_kafka import Message

from analytics.pending import Pending


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
