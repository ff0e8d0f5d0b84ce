"""Aggregates a session and a minute on a real engine: from deduplicated rows, and the same whenever they are made."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from analytics.aggregates import Aggregator
from analytics.columns import TableBuilder, Taken
from analytics.database import Database, connect
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES
from tests.support.session_records import START_US, frame

CODEC = Codec()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = connect(Settings(data_dir=tmp_path))
    try:
        yield opened
    finally:
        opened.close()


def insert(database: Database, aggregator: Aggregator | None, frames: Iterable[AvatarFrame], first: int) -> int:
    """Insert frames from offset ``first`` on; returns the next one."""
    records = list(frames)
    offsets = first + np.arange(len(records))
    stamps = np.array([record.captured_at_us // 1_000 + 25 for record in records])
    taken = Taken([CODEC.encode(record) for record in records], np.zeros(len(records), np.int32), offsets, stamps)
    rows = TableBuilder(CODEC).build(AVATAR_FRAMES, taken, name="t", topic_id="i").tables["avatar_frames"]
    database.writer().insert_arrow("avatar_frames", rows)
    following = first + len(records)
    if aggregator is not None:
        aggregator.inserted(rows, {0: following})
    return following


def minutes(database: Database) -> list[tuple]:
    with database.reader() as client:
        return client.query(
            "SELECT session_id, toUnixTimestamp(minute), frames, round(emotion_happy, 4), round(face_total_p50_ms, 1) "
            "FROM session_minutes ORDER BY session_id, minute"
        ).result_rows


def test_frames_published_twice_count_once_and_late_ones_count(database: Database) -> None:
    aggregator = Aggregator("t", "i")
    at = insert(database, aggregator, (frame("s", k) for k in range(2_000)), 0)
    assert aggregator.compute(database.writer()) == 1
    # A restarted fusion writes some again, and goes on; another session begins.
    at = insert(database, aggregator, (frame("s", k) for k in range(1_500, 2_700)), at)
    insert(database, aggregator, (frame("other", k) for k in range(60)), at)
    aggregator.compute(database.writer())
    assert not aggregator.waiting
    found = minutes(database)
    begin = START_US // 60_000_000 * 60
    first = round((60 - START_US / 1e6 % 60) * 30) if START_US % 60_000_000 else 1_800
    assert [row[:3] for row in found] == [
        ("other", begin, 60), ("s", begin, first), ("s", begin + 60, 2_700 - first)
    ]  # fmt: skip
    with database.reader() as client:
        exact = client.query(
            "SELECT session_id, toUnixTimestamp(toStartOfMinute(captured_at)) AS minute, count(), "
            "round(avg(emotion_happy), 4), round(quantileExact(0.5)(face_total_ms), 1) "
            "FROM frames GROUP BY session_id, minute ORDER BY session_id, minute"
        ).result_rows
        totals = client.query(
            "SELECT session_id, frames, minutes, face_total_p95_ms > face_total_p50_ms FROM session_totals "
            "ORDER BY session_id"
        ).result_rows
    for ours, theirs in zip(found, exact, strict=True):
        assert ours[:3] == theirs[:3]
        assert ours[3] == pytest.approx(theirs[3], abs=2e-4)
        assert ours[4] == pytest.approx(theirs[4], abs=0.3)
    assert totals == [("other", 60, 1, 1), ("s", 2_700, 2, 1)]


def test_a_restarted_sink_computes_what_its_predecessor_did_not_come_to(database: Database) -> None:
    aggregator = Aggregator("t", "i")
    at = insert(database, aggregator, (frame("done", k) for k in range(90)), 0)
    aggregator.compute(database.writer())
    insert(database, None, (frame("left", k) for k in range(120)), at)
    successor = Aggregator("t", "i")
    successor.resume(database.writer())
    assert successor.compute(database.writer()) == 1
    assert [(row[0], row[2]) for row in minutes(database)] == [("done", 90), ("left", 120)]
    another = Aggregator("t", "i")
    another.resume(database.writer())
    assert not another.waiting
