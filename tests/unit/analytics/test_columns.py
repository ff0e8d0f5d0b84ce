"""Rows made of bytes by the thousand are the rows made of records one by one, and so is what is refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from analytics.columns import TableBuilder, Taken
from analytics.errors import RowError
from analytics.rows import RECORD_OF, TABLES_OF, Batch, build, route
from schemas.codec import Codec, Confluent, DecodeError, schema_text
from schemas.records import AvatarFrame, FaceSignal, Record, Signal
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, SIGNALS, Topic
from tests.support.random_records import damaged, random_frame, random_signal
from tests.support.session_records import ack, face, frame, speech, whole_session

RECORDS = int(os.environ.get("BULK_RECORDS", "3000"))


def codecs(cls: type[Record]) -> list[Codec]:
    return [Codec(), Codec(Confluent(lambda _name, _text: 7, lambda _id: schema_text(cls.__name__)))]


def taken(values: list[bytes | None]) -> Taken:
    numbers = np.arange(len(values))
    return Taken(values, (numbers % 3).astype(np.int32), numbers, 1_800_000_000_000 + numbers)


def one_by_one(codec: Codec, topic: Topic, values: list[bytes | None]) -> tuple[dict[str, pa.Table], dict[int, str]]:
    batches: dict = {}
    refused = {}
    for i, value in enumerate(values):
        try:
            record = codec.decode(RECORD_OF[topic], value)
            table = route(record)
        except (DecodeError, RowError) as error:
            refused[i] = str(error)
            continue
        batches.setdefault(table, Batch()).add(record, i % 3, i, 1_800_000_000_000 + i)
    return {table: build(table, batch, topic="x", topic_id="id") for table, batch in batches.items()}, refused


def rows(table: pa.Table) -> list[str]:
    """Rows as text, in the order of offsets: NaN is NaN, and -0.0 is not 0.0."""
    plain = table.sort_by("offset").select(sorted(table.column_names)).to_pylist()
    return [repr(row) for row in plain]


@pytest.mark.parametrize(
    "topic,cls,make", [(SIGNALS, Signal, random_signal), (AVATAR_FRAMES, AvatarFrame, random_frame)]
)
@pytest.mark.parametrize("framing", [0, 1], ids=["single-object", "confluent"])
def test_bytes_by_the_thousand_are_records_one_by_one(
    topic: Topic, cls: type[Record], make: Callable[[Random], Record], framing: int
) -> None:
    rng = Random(11)
    codec = codecs(cls)[framing]
    builder = TableBuilder(codec, at_once=190)  # three slices
    for _ in range(0, RECORDS, 500):
        values: list[bytes | None] = [codec.encode(make(rng)) for _ in range(500)]
        values = [damaged(v, rng) if v is not None and rng.random() < 0.05 else v for v in values]
        values[rng.randrange(500)] = None
        built = builder.build(topic, taken(values), name="x", topic_id="id")
        tables, refused = one_by_one(codec, topic, values)
        assert built.refused == refused
        assert set(built.tables) == set(tables)
        for name, table in tables.items():
            assert set(built.tables[name].schema) == set(table.schema)
            assert rows(built.tables[name]) == rows(table), name


def test_ordinary_records_never_become_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers and fusion really write matches the layouts: only a session's start and end are read singly."""
    codec = Codec()
    read: list[type] = []

    class Watched(Codec):
        def decode(self, cls, data):  # type: ignore[no-untyped-def]
            record = super().decode(cls, data)
            read.append(type(record.payload))  # type: ignore[attr-defined]
            return record

    builder = TableBuilder(Watched())
    values: list[bytes | None] = [codec.encode(record) for record in whole_session("s0", 4)]
    built = builder.build(SIGNALS, taken(values), name="x", topic_id="id")
    assert {name: len(table) for name, table in built.tables.items()} == {
        "sessions": 2, "face_signals": 120, "speech_signals": 100
    }  # fmt: skip
    assert [kind.__name__ for kind in read] == ["SessionStarted", "SessionEnded"]
    frames: list[bytes | None] = [codec.encode(frame("s0", k)) for k in range(90)]
    assert len(builder.build(AVATAR_FRAMES, taken(frames), name="x", topic_id="id").tables["avatar_frames"]) == 90
    assert len(read) == 2


def test_other_topics_and_nothing_at_all() -> None:
    codec = Codec()
    builder = TableBuilder(codec)
    built = builder.build(CLIENT_EVENTS, taken([codec.encode(ack("s", 1)), b"x"]), name="x", topic_id="id")
    assert len(built.tables["client_events"]) == 1
    assert list(built.refused) == [1]
    for topic in TABLES_OF:
        assert builder.build(topic, taken([]), name="x", topic_id="id").tables == {}


def test_numbers_that_no_column_holds_are_refused_and_say_so() -> None:
    """A hostile worker's integers end in dead letters, not in an exception that ends the sink."""
    codec = Codec()
    good = face("s", 1)
    assert isinstance(good.payload, FaceSignal)
    records = [
        speech("s", 1),
        replace(good, captured_at_us=1 << 60),
        replace(good, payload=replace(good.payload, face_count=1 << 40)),
        replace(good, payload=replace(good.payload, track_id=-(1 << 40))),
        good,
    ]
    built = TableBuilder(codec).build(
        SIGNALS, taken([codec.encode(record) for record in records]), name="x", topic_id="id"
    )
    assert built.refused[1] == "captured_at_us is outside 1970..2100"
    assert set(built.refused) == {1, 2, 3}
    assert {name: len(table) for name, table in built.tables.items()} == {"speech_signals": 1, "face_signals": 1}
