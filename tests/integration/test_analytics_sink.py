"""The analytics role against a real broker and a real engine: every record becomes a row, once, whatever is killed."""

import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from analytics import runfile
from analytics.client import AnalyticsClient
from analytics.report import report
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AudioChunk, Record, VideoFrame
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, DEAD_LETTERS, LEDGER, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS, Topic
from tests.support.processes import RoleProcess, running
from tests.support.session_records import START_US, ack, frame, ledger_run, whole_session
from tests.support.waiting import eventually

CODEC = Codec()


def publish(publisher: Publisher, topic: Topic, records: Iterable[Record]) -> int:
    count = 0
    for record in records:
        publisher.send_waiting(topic, record.session_id, CODEC.encode(record))  # type: ignore[union-attr]
        count += 1
    return count


def ask(settings: Settings) -> AnalyticsClient:
    found = runfile.read(settings.data_dir)
    assert found is not None
    return AnalyticsClient(found.url, found.token)


def rows_reach(settings: Settings, expected: dict[Topic, int], *, deadline_s: float = 90.0) -> dict:
    """Counts once every topic has as many rows and unreadable records as were published."""

    def reached() -> dict | None:
        with ask(settings) as client:
            counts = client.counts()
        taken = {topic: counts["topics"][topic]["records"] for topic in expected}
        return counts if taken == expected else None

    return eventually(reached, deadline_s=deadline_s, every_s=0.1, what=f"rows of {expected}")


def everything(publisher: Publisher, sessions: int, seconds: int, name: str = "s") -> dict[Topic, int]:
    counts: dict[Topic, int] = dict.fromkeys((SIGNALS, AVATAR_FRAMES, CLIENT_EVENTS, LEDGER), 0)
    for i in range(sessions):
        session = f"{name}{i}"
        ticks = range(seconds * 30)
        counts[SIGNALS] += publish(publisher, SIGNALS, whole_session(session, seconds))
        counts[AVATAR_FRAMES] += publish(publisher, AVATAR_FRAMES, (frame(session, k) for k in ticks))
        counts[CLIENT_EVENTS] += publish(publisher, CLIENT_EVENTS, (ack(session, k) for k in ticks[::30]))
        counts[LEDGER] += publish(publisher, LEDGER, [ledger_run(session, "ingest", "face", "used", 0, ticks[-1])])
    publisher.flush()
    return counts


def test_every_record_becomes_a_row_in_its_table(settings: Settings) -> None:
    publisher = Publisher(settings)
    expected = everything(publisher, sessions=5, seconds=4)
    with running("analytics", settings) as role:
        counts = rows_reach(settings, expected)
        assert counts["equal"]
        tables = counts["topics"][SIGNALS]["tables"]
        assert tables == {"sessions": 10, "speech_signals": 5 * 100, "face_signals": 5 * 120}
        eventually(lambda: 'lag_records{partition="0",topic="signals"} 0.0' in role.metrics(), what="no lag shown")
        with ask(settings) as client:
            answer = client.sql(
                "SELECT round(max(emotion_happy), 3), min(captured_at) FROM frames WHERE session_id = 's1'"
            )
            assert answer["rows"][0][0] > 0.9
            assert len(client.sessions()) == 5


def test_killed_at_random_moments_nothing_is_lost_or_doubled(settings: Settings) -> None:
    """SIGKILL eight times while records stream in; then rows, distinct rows and records are the same numbers."""
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    publisher = Publisher(settings)
    expected: dict[Topic, int] = dict.fromkeys((SIGNALS, AVATAR_FRAMES, CLIENT_EVENTS, LEDGER), 0)
    role = RoleProcess("analytics", settings)
    try:
        for round_number in range(8):
            role.start()
            for topic, count in everything(publisher, sessions=2, seconds=3, name=f"r{round_number}-").items():
                expected[topic] += count
            # From the moment of the first batch's end on: inserts are under way for most of this time.
            until = time.monotonic() + chance.uniform(0.0, 0.9)
            eventually(lambda until=until: time.monotonic() >= until, every_s=0.005)
            role.kill()
        role.start()
        counts = rows_reach(settings, expected)
    finally:
        role.kill()
    assert counts["equal"], f"seed {seed}: {counts}"
    for topic, count in expected.items():
        found = counts["topics"][topic]
        assert (found["rows"], found["distinct"]) == (count, count), f"seed {seed}: {topic}: {found}"


def test_a_bad_record_is_set_aside_and_the_rest_goes_on(settings: Settings) -> None:
    publisher = Publisher(settings)
    bad = [b"", b"not avro", CODEC.encode(frame("s0", 0))[:-3], CODEC.encode(frame("s0", 1)) + b"x"]
    for value in bad:
        publisher.send(AVATAR_FRAMES, "s0", value)
    publish(publisher, AVATAR_FRAMES, (frame("s0", k) for k in range(30)))
    publisher.send(DEAD_LETTERS, "s0", b"a dead letter that is none itself")
    publisher.flush()
    with running("analytics", settings):
        counts = rows_reach(settings, {AVATAR_FRAMES: 34, DEAD_LETTERS: 5})
        assert counts["equal"]
        frames, letters = counts["topics"][AVATAR_FRAMES], counts["topics"][DEAD_LETTERS]
        assert (frames["rows"], frames["unreadable"]) == (30, 4)
        assert (letters["rows"], letters["unreadable"]) == (4, 1)
        with ask(settings) as client:
            answer = client.sql(
                "SELECT stage, source_topic, source_offset, value_bytes FROM dead_letters ORDER BY source_offset"
            )
    assert [row[1:] for row in answer["rows"]] == [["avatar.frames", i, len(value)] for i, value in enumerate(bad)]
    assert {row[0] for row in answer["rows"]} == {"analytics"}


def test_frames_published_again_are_rows_but_seen_once(settings: Settings) -> None:
    """A restarted fusion repeats frames: the table keeps every record, the view shows each frame once."""
    publisher = Publisher(settings)
    publish(publisher, SIGNALS, whole_session("s0", 4))
    publish(publisher, AVATAR_FRAMES, (frame("s0", k) for k in range(90)))
    publish(publisher, AVATAR_FRAMES, (frame("s0", k) for k in range(60, 120)))
    publisher.flush()
    with running("analytics", settings):
        assert rows_reach(settings, {AVATAR_FRAMES: 150, SIGNALS: 222})["equal"]
        with ask(settings) as client:
            frames = client.summary("s0")["frames"]
    assert (frames["count"], frames["records"], frames["repeated"], frames["missing"]) == (120, 150, 30, 0)


def test_a_topic_made_anew_starts_from_its_beginning(settings: Settings, broker: str) -> None:
    """Offsets of a deleted topic say nothing of its successor under the same name."""
    from confluent_kafka.admin import AdminClient

    from runtime.topics import ensure_topics

    publisher = Publisher(settings)
    publish(publisher, AVATAR_FRAMES, (frame("before", k) for k in range(60)))
    publisher.flush()
    with running("analytics", settings):
        rows_reach(settings, {AVATAR_FRAMES: 60})
    admin = AdminClient({"bootstrap.servers": broker})
    name = settings.topic(AVATAR_FRAMES)
    admin.delete_topics([name])[name].result(10)
    eventually(lambda: name not in admin.list_topics(timeout=5).topics, what="topic deleted")
    ensure_topics(settings)
    publisher = Publisher(settings)
    publish(publisher, AVATAR_FRAMES, (frame("after", k) for k in range(40)))
    publisher.flush()
    with running("analytics", settings):
        assert rows_reach(settings, {AVATAR_FRAMES: 40})["equal"]
        with ask(settings) as client:
            answer = client.sql("SELECT session_id, count() FROM frames GROUP BY session_id ORDER BY session_id")
    assert answer["rows"] == [["after", 40], ["before", 60]]


def test_a_second_process_is_told_who_owns_the_engine(settings: Settings) -> None:
    from analytics.database import connect
    from analytics.errors import DatabaseUnavailable

    with (
        running("analytics", settings),
        pytest.raises(DatabaseUnavailable, match="another process has this folder open"),
    ):
        connect(settings)


def test_the_balance_of_a_whole_session_and_its_report_through_the_role(settings: Settings, tmp_path: Path) -> None:
    """Media topics, edge, worker, signals, fusion and frames agree; the report asks the role that owns the engine."""
    publisher = Publisher(settings)
    seconds = 4
    pictures, chunks = seconds * 30, seconds * 25
    at = (START_US,) * 3
    publish(publisher, MEDIA_VIDEO, (VideoFrame(*at, 2, 2, k, "s0", b"x") for k in range(pictures)))
    publish(publisher, MEDIA_AUDIO, (AudioChunk(*at, 16_000, k, "s0", b"x") for k in range(chunks)))
    publish(publisher, SIGNALS, whole_session("s0", seconds))
    publish(publisher, AVATAR_FRAMES, (frame("s0", k) for k in range(pictures)))
    entries = [
        ledger_run("s0", "ingest", "face", "used", 0, pictures - 1),
        ledger_run("s0", "ingest", "speech", "used", 0, chunks - 1),
        ledger_run("s0", "face_worker", "face", "used", 0, pictures - 1),
        ledger_run("s0", "speech_worker", "speech", "used", 0, chunks - 2),
        ledger_run("s0", "fusion", "face", "used", 119, 119, count=pictures),
        ledger_run("s0", "fusion", "speech", "used", 119, 119, count=chunks),
        ledger_run("s0", "fusion", "", "used", 119, 119, count=2),
    ]
    publish(publisher, LEDGER, entries)
    publisher.flush()
    with running("analytics", settings):
        rows_reach(settings, {AVATAR_FRAMES: pictures, LEDGER: len(entries), SIGNALS: pictures + chunks + 2})
        with ask(settings) as client:
            unbalanced = [c for c in client.balance("s0", media=True)["checks"] if not c["balanced"]]
            assert [(c["name"], c["modality"], c["examples"]) for c in unbalanced] == [
                ("edge_to_worker", "speech", [[chunks - 1, chunks - 1]])
            ]
            publish(publisher, LEDGER, [ledger_run("s0", "speech_worker", "speech", "gap", chunks - 1, chunks - 1)])
            publish(publisher, LEDGER, [ledger_run("s0", "speech_worker", "speech", "stale", chunks - 1, chunks - 1)])
            publisher.flush()
            eventually(lambda: client.balance("s0", media=True)["balanced"], deadline_s=60, every_s=0.1)
            names = {c["name"] for c in client.balance("s0", media=True)["checks"]}
            assert "media_to_edge" in names
        summary, png, page = report(settings, "latest", tmp_path / "out")
        assert summary["frames"]["count"] == pictures
        assert png.stat().st_size > 10_000
        assert "s0" in page.read_text()
