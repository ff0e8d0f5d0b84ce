"""What the sink holds: how far each partition has come, and what has been taken since the last flush."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from analytics.columns import Taken
from analytics.rows import Table
from runtime.kafka import Message


@dataclass(slots=True)
class Position:
    """How far one partition has come. ``first`` is -1 until a record has been seen."""

    first: int = -1
    next: int = -1
    records: int = 0
    unreadable: int = 0
    held: dict[Table, int] = field(default_factory=dict)
    """By table: the highest offset that it holds of the batch which a predecessor did not finish."""


@dataclass(slots=True)
class Pending:
    """What has been taken from one topic since the last flush: runs of messages of one partition, in their order."""

    messages: list[Message] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    partitions: list[npt.NDArray[np.int32]] = field(default_factory=list)
    offsets: list[npt.NDArray[np.int64]] = field(default_factory=list)
    ranges: dict[int, list[int]] = field(default_factory=dict)
    bytes: int = 0

    def take(self, partition: int, run: Sequence[Message], offsets: npt.NDArray[np.int64]) -> None:
        """Add a run of messages of one partition."""
        values = list(map(Message.value, run))
        self.messages += run
        self.values += values
        self.bytes += size_of(values)
        self.partitions.append(np.full(len(run), partition, np.int32))
        self.offsets.append(offsets)
        first, last = int(offsets[0]), int(offsets[-1])
        self.ranges.setdefault(partition, [first, last])[1] = last

    def taken(self) -> Taken:
        """All of it as arrays."""
        stamps = map(itemgetter(1), map(Message.timestamp, self.messages))
        return Taken(
            self.values,
            np.concatenate(self.partitions),
            np.concatenate(self.offsets),
            np.maximum(np.fromiter(stamps, np.int64, len(self.messages)), 0),
        )

    def token(self, topic: str, topic_id: str) -> str:
        """Names this very set of offsets."""
        ranges = ",".join(f"{p}:{first}-{last}" for p, (first, last) in sorted(self.ranges.items()))
        return f"{topic}/{topic_id}/{ranges}"


def runs(messages: Sequence[Message]) -> Iterator[tuple[str, int, Sequence[Message]]]:
    """Messages without errors as runs of one topic and partition, in their order."""
    places = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
    begin = 0
    for (topic, partition), same in groupby(places):
        end = begin + len(list(same))
        assert topic is not None
        assert partition is not None
        yield topic, partition, messages[begin:end]
        begin = end


def size_of(values: Sequence[bytes | None]) -> int:
    """Bytes of all values."""
    try:
        return sum(map(len, values))  # type: ignore[arg-type]
    except TypeError:  # a tombstone among them
        return sum(map(len, filter(None, values)))
