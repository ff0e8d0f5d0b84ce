"""Records into a database as the sink puts them there, without a Kafka."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from analytics.aggregates import Aggregator
from analytics.columns import TableBuilder, Taken
from analytics.database import Database
from schemas.codec import Codec
from schemas.records import AvatarFrame, ClientEvent, DeadLetter, LedgerEntry, Record, Signal
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, DEAD_LETTERS, LEDGER, SIGNALS, Topic

CODEC = Codec()
TOPIC_OF: dict[type, Topic] = {
    Signal: SIGNALS,
    AvatarFrame: AVATAR_FRAMES,
    ClientEvent: CLIENT_EVENTS,
    LedgerEntry: LEDGER,
    DeadLetter: DEAD_LETTERS,
}


def insert(
    database: Database, records: Iterable[Record], *, first: int = 0, aggregator: Aggregator | None = None
) -> int:
    """Insert records, each topic from offset ``first`` of partition 0 on; returns the highest next offset."""
    by_topic: dict[Topic, list[Record]] = defaultdict(list)
    for record in records:
        by_topic[TOPIC_OF[type(record)]].append(record)
    client = database.writer()
    following = first
    for topic, chosen in by_topic.items():
        stamps = [(getattr(r, "captured_at_us", None) or getattr(r, "recorded_at_us", 0)) // 1_000 + 25 for r in chosen]
        taken = Taken(
            [CODEC.encode(record) for record in chosen],
            np.zeros(len(chosen), np.int32),
            first + np.arange(len(chosen)),
            np.array(stamps),
        )
        built = TableBuilder(CODEC).build(topic, taken, name="t", topic_id="i")
        assert not built.refused
        for table, rows in built.tables.items():
            client.insert_arrow(table, rows.combine_chunks())
        following = max(following, first + len(chosen))
        if topic == AVATAR_FRAMES and aggregator is not None:
            aggregator.inserted(built.tables["avatar_frames"], {0: first + len(chosen)})
    return following
