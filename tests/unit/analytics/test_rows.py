import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from analytics.errors import RowError
from analytics.migrations import read_migrations
from analytics.rows import BUILDERS, RECORD_OF, TABLES_OF, Batch, build, route
from schemas.records import DeadLetter, Record, SessionControl
from schemas.topics import topic_specs
from schemas.vocabulary import AUS, BLENDSHAPES, VISEMES
from tests.support.golden import examples
from tests.support.session_records import ack, ended, face, frame, ledger_run, speech, started

LETTER = DeadLetter(1_700_000_000_000_000, "fusion", "signals", 3, 99, "not Avro", b"key", b"secret")


def table_of(*records: Record) -> pa.Table:
    batch = Batch()
    for i, record in enumerate(records):
        batch.add(record, 1, 100 + i, 1_800_000_000_123 + i)
    return build(route(records[0]), batch, topic="x.topic", topic_id="id")


def ddl_columns() -> dict[str, set[str]]:
    found = {}
    for migration in read_migrations():
        for statement in migration.statements:
            name = re.match(r"CREATE TABLE (\w+)", statement)
            if name:
                found[name[1]] = set(re.findall(r"^    `(\w+)` ", statement, flags=re.MULTILINE))
            altered = re.match(r"ALTER TABLE (\w+)", statement)
            if altered:
                found[altered[1]] |= set(re.findall(r"ADD COLUMN (?:IF NOT EXISTS )?`(\w+)`", statement))
    return found


@pytest.mark.parametrize(
    "records",
    [
        (started("s"), ended("s", 1_800_000_001_000_000)),
        (speech("s", 1),),
        (face("s", 1),),
        (frame("s", 1),),
        (ack("s", 1),),
        (ledger_run("s", "ingest", "face", "used", 0, 9),),
        (LETTER,),
    ],
    ids=lambda records: route(records[0]),
)
def test_each_table_gets_exactly_its_columns(records):
    table = route(records[0])
    assert set(table_of(*records).column_names) == ddl_columns()[table]


def test_every_topic_that_analytics_reads_is_covered():
    read = {name for name, spec in topic_specs().items() if "analytics" in spec.readers}
    assert read == set(TABLES_OF) == set(RECORD_OF)
    assert {table for tables in TABLES_OF.values() for table in tables} == set(BUILDERS)


def test_every_golden_example_has_a_row():
    for name, record in examples().items():
        if name.split("/")[0] in TABLES_OF:
            assert table_of(record).num_rows == 1, name


def test_a_frame_becomes_a_column_a_channel():
    rows = table_of(frame("s", 0), frame("s", 20))
    record = frame("s", 20)
    row = {name: rows[name][1].as_py() for name in rows.column_names}
    assert row["emotion_happy"] == record.emotions[1]
    assert row["valence"] == int.from_bytes(record.affect[:2], "little", signed=True)
    assert row["pose_pitch"] == -100
    assert row["AU12"] == record.aus[AUS.index("AU12")]
    assert row["mouthSmileLeft"] == record.blendshapes[BLENDSHAPES.index("mouthSmileLeft")]
    assert row["viseme_nn"] == record.visemes[VISEMES.index("nn")]
    assert (row["topic"], row["topic_id"], row["partition"], row["offset"]) == ("x.topic", "id", 1, 101)


def test_hops_become_durations_and_no_sample_becomes_null():
    record = replace(
        frame("s", 20), face_hops_ms=(-21.4, -12.14, -11.8, -9.3, -3.2), speech_hops_ms=(float("nan"),) * 5
    )
    rows = table_of(record)
    face_us = [rows[f"face_{hop}_us"][0].as_py() for hop in ("age", "transport", "ingest", "queue", "inference")]
    assert face_us == [21_400, 9_300, 300, 2_500, 6_100]
    assert rows["speech_age_us"][0].as_py() is None
    assert rows["speech_inference_us"][0].as_py() is None


def test_a_dead_letter_keeps_sizes_and_no_content():
    rows = table_of(LETTER)
    assert (rows["key_bytes"][0].as_py(), rows["value_bytes"][0].as_py()) == (3, 6)
    assert "secret" not in str(rows.to_pylist())


def test_lifecycle_rows():
    again = replace(started("s"), payload=SessionControl("reset_calibration"))
    rows = table_of(started("s", subject="p1"), ended("s", 1_800_000_001_000_000), again).to_pylist()
    assert [row["kind"] for row in rows] == ["started", "ended", "reset_calibration"]
    assert dict(rows[0]["parameters"])["max_wait_ms"] == 120.0
    assert (rows[0]["subject"], rows[1]["subject"], rows[1]["end_reason"]) == ("p1", "", "client_closed")


@pytest.mark.parametrize(
    "record,field",
    [
        (replace(frame("s", 0), captured_at_us=-1), "captured_at_us"),
        (replace(frame("s", 0), captured_at_us=1 << 60), "captured_at_us"),
        (replace(frame("s", 0), face_hops_ms=(0.0,) * 4), "face_hops_ms"),
        (replace(face("s", 0), payload=replace(face("s", 0).payload, blendshapes=(0.0,) * 51)), "blendshapes"),
        (replace(speech("s", 1), payload=replace(speech("s", 1).payload, viseme_scores=())), "viseme_scores"),
        (replace(ack("s", 0), rendered_at_us=-5), "rendered_at_us"),
    ],
)
def test_what_no_row_can_be_made_of_names_the_field(record, field):
    with pytest.raises(RowError, match=field):
        route(record)


def test_many_frames_at_once_are_the_frames_one_by_one():
    records = [frame("s", k) for k in range(50)]
    together = table_of(*records)
    for k, record in enumerate(records):
        alone = table_of(record)
        for name in set(alone.column_names) - {"offset", "fused_at"}:
            assert together[name][k].as_py() == alone[name][0].as_py(), (k, name)
    assert np.asarray(together["sequence"]).tolist() == list(range(50))
