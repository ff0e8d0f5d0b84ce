"""Every question of docs/analytics.md is asked of a real engine, and its answer is the right one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytics.aggregates import Aggregator
from analytics.cookbook import recipes
from analytics.database import Database, connect
from analytics.queries import Queries
from runtime.settings import Settings
from schemas.records import ClientEvent, DeadLetter, ExperimentAssignment, Record, SessionStarted, Signal
from tests.support.rows import insert
from tests.support.session_records import START_US, ack, frame, ledger_run, whole_session

SECONDS = 20
TICKS = SECONDS * 30
SKIPPED = range(300, 330)


def in_experiment(signal: Signal, variant: str) -> Signal:
    assert isinstance(signal.payload, SessionStarted)
    given = ExperimentAssignment("smiles", variant, "salt")
    return replace(signal, payload=replace(signal.payload, experiment=given, subject=f"p-{variant}"))


def event(session: str, kind: Any, value: float | None = None, sequence: int = 0) -> ClientEvent:
    return replace(ack(session, sequence), kind=kind, value=value)


def records() -> list[Record]:
    found: list[Record] = []
    for session, variant, rating in (("s1", "direct", 4.0), ("s2", "blend", 2.0)):
        start, *rest = whole_session(session, SECONDS)
        found += [in_experiment(start, variant), *rest]
        ticks = [k for k in range(TICKS) if session == "s2" or k not in SKIPPED]
        found += [frame(session, k, discontinuity=k == SKIPPED.stop and session == "s1") for k in ticks]
        found += [frame(session, k) for k in range(30)]  # published again
        found += [
            event(session, "rating", rating, 1), event(session, "exposure", sequence=2),
            event(session, "exposure", sequence=3),
        ]  # fmt: skip
        found.append(ledger_run(session, "ingest", "face", "used", 0, TICKS - 1))
    found.append(event("s2", "opt_out", sequence=4))
    found.append(ledger_run("s1", "face_worker", "face", "stale", 5, 9))
    found.append(DeadLetter(START_US, "fusion", "signals", 3, 99, "not Avro", b"k", b"secret"))
    return found


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home: Path = tmp_path_factory.mktemp("cookbook")
    opened = connect(Settings(data_dir=home))
    aggregator = Aggregator("t", "i")
    insert(opened, records(), aggregator=aggregator)
    aggregator.compute(opened.writer())
    try:
        yield opened
    finally:
        opened.close()


def answer(database: Database, question: str) -> list[dict[str, Any]]:
    found = Queries(database, {}).sql(recipes()[question].replace("SESSION", "s1"))
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["rows"]]


def one(rows: list[dict[str, Any]], **key: Any) -> dict[str, Any]:
    (row,) = [row for row in rows if key.items() <= row.items()]
    return row


def check_sessions(rows: list[dict[str, Any]]) -> None:
    assert [(row["session_id"], row["frames"], row["seconds"]) for row in rows] == [("s1", 570, 19), ("s2", 600, 20)]
    assert rows[1]["speaking_share"] == 0.5
    assert rows[0]["p95_ms"] == pytest.approx(46, abs=2)


def check_minutes(rows: list[dict[str, Any]]) -> None:
    assert [row["frames"] for row in rows] == [570]
    assert rows[0]["happy"] + rows[0]["sad"] < 1


def check_hours(rows: list[dict[str, Any]]) -> None:
    assert [row["sessions"] for row in rows] == [2]


def check_latency(rows: list[dict[str, Any]]) -> None:
    (row,) = rows
    hops = sum(row[hop] for hop in ("transport", "ingest", "queue", "inference", "fusion"))
    assert hops == pytest.approx(21.4 + 25, abs=1.5)
    assert row["total_p95"] >= 46


def check_hops(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == 12
    assert one(rows, modality="face", hop="total")["p50_ms"] == pytest.approx(46.4, abs=1)
    assert one(rows, modality="face", hop="total")["frames"] == 570
    assert one(rows, modality="speech", hop="transport")["frames"] == 555


def check_dropped(rows: list[dict[str, Any]]) -> None:
    assert rows == [{"stage": "face_worker", "modality": "face", "outcome": "stale", "items": 5, "sessions": 1}]


def check_interrupted(rows: list[dict[str, Any]]) -> None:
    assert [(row["session_id"], row["discontinuities"]) for row in rows] == [("s1", 1)]


def check_smiles(rows: list[dict[str, Any]]) -> None:
    # The smile is above a half for the first half of each turn of its sine, 2π·40 ticks long; a run ends at the gap.
    assert rows[0]["frames"] == 125
    assert all(row["most"] > 0.9 for row in rows)


def check_following(rows: list[dict[str, Any]]) -> None:
    (row,) = rows
    assert row["smile"] == 1.0
    assert 0 < row["jitter"] < 0.02


def check_variants(rows: list[dict[str, Any]]) -> None:
    assert [
        (row["variant"], row["sessions"], row["ratings"], row["mean_rating"], row["opted_out"]) for row in rows
    ] == [("blend", 1, 1, 2.0, 1), ("direct", 1, 1, 4.0, 0)]


def check_seen(rows: list[dict[str, Any]]) -> None:
    assert [(row["variant"], row["sessions"], row["clients"], int(row["times"])) for row in rows] == [
        ("blend", 1, 1, 2), ("direct", 1, 1, 2)
    ]  # fmt: skip


def check_agreement(rows: list[dict[str, Any]]) -> None:
    (row,) = rows
    assert row["voice_happy"] == pytest.approx(0.3)
    assert row["degraded_share"] == 0


def check_unreadable(rows: list[dict[str, Any]]) -> None:
    assert [(row["source_topic"], row["stage"], row["error"], row["records"]) for row in rows] == [
        ("signals", "fusion", "not Avro", 1)
    ]


def check_tables(rows: list[dict[str, Any]]) -> None:
    frames = one(rows, name="avatar_frames")
    assert frames["rows"] == 570 + 600 + 60
    assert "90" in frames["kept"]
    assert "365" in one(rows, name="minute_aggregates")["kept"]


CHECKS = {
    "What were the sessions like?": check_sessions,
    "How did one session feel, minute by minute?": check_minutes,
    "How do people feel by the hour?": check_hours,
    "Where does the time go, all sessions together?": check_latency,
    "Where does the time go in one session, hop by hop?": check_hops,
    "What was dropped, where and why?": check_dropped,
    "Which sessions were interrupted?": check_interrupted,
    "When did the person smile?": check_smiles,
    "How closely does the avatar follow the face?": check_following,
    "What do people think of each variant?": check_variants,
    "Who has really seen a variant?": check_seen,
    "Does the voice agree with the face?": check_agreement,
    "Which records could not be read?": check_unreadable,
    "How large are the tables, and how long are rows kept?": check_tables,
}


@pytest.mark.parametrize("question", list(CHECKS))
def test_the_answer_is_right(database: Database, question: str) -> None:
    CHECKS[question](answer(database, question))


def test_every_question_of_the_page_is_checked() -> None:
    assert list(recipes()) == list(CHECKS)
