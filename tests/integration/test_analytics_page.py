"""What the analyst page asks for, of a real ClickHouse: found, counted and replayed exactly; and who may ask."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from analytics.aggregates import Aggregator
from analytics.api import Context, create_app
from analytics.database import Database, connect
from analytics.queries import Queries
from cli.fusing import fuse_session
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.codec import Codec
from schemas.records import AvatarFrame, Calibration, SessionControl, SessionStarted, Signal
from tests.support.analyst_sessions import dropped, event, session
from tests.support.rows import insert
from tests.support.session_records import START_US, signal, whole_session

CODEC = Codec()
CLOCK = SystemClock()
DAY_US = 86_400_000_000
NOW_MS = START_US // 1_000
SECONDS = 10


def fused(signals: list[Signal]) -> list[AvatarFrame]:
    values = [CODEC.encode(each) for each in signals]
    return [CODEC.decode(AvatarFrame, value) for value in fuse_session(signals[0].session_id, values)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("analyst"))


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    """Eight happy sessions of today, eight sad ones of yesterday, and some that are odd."""
    opened = connect(settings)
    records: list[Any] = []
    for n in range(8):
        happy = list(session(f"happy{n}", START_US + n * 60_000_000, SECONDS + n, mood="happy"))
        sad = list(session(f"sad{n}", START_US - DAY_US + n * 60_000_000, SECONDS, mood="sad", mapping="direct_au"))
        records += [*happy, *fused(happy), *sad, *fused(sad)]
        records.append(dropped(f"happy{n}", START_US + n * 60_000_000, "used", 300))
    records += [dropped("happy1", START_US + 61_000_000, "too_fast", 30), event("happy2", "rating", START_US + 5, 4.0)]
    records += [event("happy2", "rating", START_US + 6, 2.0), event("happy3", "opt_out", START_US + 7)]
    aggregator = Aggregator("t", "i")
    insert(opened, records, aggregator=aggregator)
    aggregator.compute(opened.writer())
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="module")
def client(settings: Settings, database: Database) -> TestClient:
    context = Context(settings, Queries(database, {}), CODEC, CLOCK, Metrics("analytics"), fuse=fuse_session)
    client = TestClient(create_app(context))
    now_s = CLOCK.now_us() // 1_000_000
    token = Tokens(settings.token_key).analyst(issued_at_s=now_s, ttl_s=600)
    client.headers["authorization"] = f"Bearer {token}"
    return client


def rows(client: TestClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = client.get("/v1/explorer", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def table(answer: Any) -> pa.Table:
    assert answer.status_code == 200, answer.text
    with pa.ipc.open_stream(answer.content) as reader:
        return reader.read_all()


def test_sessions_are_found_by_words_properties_and_period(client: TestClient) -> None:
    assert len(rows(client)) == 16
    assert [row["session_id"] for row in rows(client, search="HAPPY1 blend")] == ["happy1"]
    assert rows(client, search="happy1 direct") == []
    assert {row["mapping"] for row in rows(client, mapping="direct_au")} == {"direct_au"}
    assert len(rows(client, from_ms=NOW_MS, to_ms=NOW_MS + 3_600_000)) == 8
    assert rows(client, lasting="open") == []
    assert rows(client, search="' OR 1 = 1 --") == []
    page = client.get("/v1/explorer", params={"limit": 5, "offset": 10}).json()
    assert (page["total"], len(page["rows"])) == (16, 5)
    assert page["mappings"] == ["blend", "direct_au"]


@pytest.mark.parametrize(
    "key, column",
    [
        ("started", "started_at_ms"), ("duration", "duration_s"), ("frames", "frames"), ("valence", "valence"),
        ("arousal", "arousal"), ("latency", "face_total_p95_ms"), ("dropped", "dropped"), ("opt_outs", "opt_outs"),
        ("gaps", "discontinuities"),
    ],
)  # fmt: skip
def test_sessions_are_sorted_by_what_came_of_them(client: TestClient, key: str, column: str) -> None:
    values = [row[column] for row in rows(client, sort=key)]
    assert values == sorted(values, reverse=True)
    assert [row[column] for row in rows(client, sort=key, descending=False)] == sorted(values)


def test_what_is_not_known_comes_last(client: TestClient) -> None:
    for descending in (True, False):
        ratings = [row["mean_rating"] for row in rows(client, sort="rating", descending=descending)]
        assert ratings == [3.0, *[None] * 15]


def test_a_row_says_what_came_of_a_session(client: TestClient) -> None:
    (row,) = rows(client, search="happy1")
    assert (row["duration_s"], row["frames"], row["top"]) == (SECONDS + 1, (SECONDS + 1) * 30 + 1, "happy")
    assert (row["dropped"], row["opt_outs"], row["end_reason"]) == (30, 0, "client_closed")
    assert sum(row["emotions"].values()) == pytest.approx(1.0, abs=0.02)
    (sad,) = rows(client, search="sad1")
    assert sad["top"] == "sad"
    assert sad["valence"] < 0 < row["valence"]


def test_ticks_are_the_frames_integers_exactly(client: TestClient) -> None:
    frames = fused(list(session("happy0", START_US, SECONDS)))
    ticks = table(client.get("/v1/sessions/happy0/ticks"))
    assert ticks["sequence"].to_pylist() == [frame.sequence for frame in frames]
    assert ticks["at_us"].to_pylist() == [frame.captured_at_us for frame in frames]
    assert ticks["jawOpen"].to_pylist() == [frame.blendshapes[24] for frame in frames]
    assert ticks["head_yaw"].to_pylist() == [
        int.from_bytes(frame.angles[6:8], "little", signed=True) for frame in frames
    ]
    part = table(client.get("/v1/sessions/happy0/ticks", params={"first": 100, "count": 7}))
    assert part["sequence"].to_pylist() == list(range(100, 107))
    assert part.schema.metadata == {b"first": b"0", b"last": b"300", b"frames": b"301", b"stride": b"1"}
    assert len(table(client.get("/v1/sessions/happy0/ticks", params={"first": 2_000_000_000}))) == 0
    series = table(client.get("/v1/sessions/happy0/ticks", params={"columns": "series"}))
    assert series["emotion_happy"].to_pylist() == ticks["emotion_happy"].to_pylist()
    assert series["face_total_us"].to_pylist()[0] is not None


def test_a_frame_that_was_published_twice_is_one_tick(client: TestClient, database: Database) -> None:
    again = fused(list(session("happy0", START_US, SECONDS)))[50:60]
    insert(database, again, first=1_000_000)
    ticks = table(client.get("/v1/sessions/happy0/ticks"))
    assert ticks["sequence"].to_pylist() == list(range(SECONDS * 30 + 1))


def test_fused_again_as_it_was_it_is_the_same(client: TestClient) -> None:
    recorded = table(client.get("/v1/sessions/happy1/ticks"))
    again = table(client.post("/v1/sessions/happy1/variant", json={}))
    assert again.to_pydict() == recorded.to_pydict()


def test_a_session_with_everything_in_it_is_fused_again_the_same(client: TestClient, database: Database) -> None:
    """Given calibration, one begun anew meanwhile, pictures without a face, signals repeated out of order."""
    signals = list(whole_session("odd", 6))
    start = signals[0]
    assert isinstance(start.payload, SessionStarted)
    given = Calibration((0.1,) * 20, (1.25,) * 20)
    signals[0] = replace(start, payload=replace(start.payload, calibration=given, speech_expected=False))
    control = signal("odd", 0, START_US + 3_000_000, SessionControl("reset_calibration"), "ingest")
    signals.insert(200, control)
    shuffled = signals[60:75]
    random.Random(3).shuffle(shuffled)
    signals[60:75] = shuffled
    signals[150:150] = signals[140:150]
    insert(database, [*signals, *fused(signals)], first=5_000_000)
    recorded = table(client.get("/v1/sessions/odd/ticks"))
    assert len(recorded) > 150
    assert table(client.post("/v1/sessions/odd/variant", json={})).to_pydict() == recorded.to_pydict()


def test_another_mapping_gives_other_faces_of_the_same_ticks(client: TestClient) -> None:
    recorded = table(client.get("/v1/sessions/happy1/ticks"))
    answer = client.post(
        "/v1/sessions/happy1/variant", json={"mapping": "emotion_style", "parameters": {"au12_gain": 2}}
    )
    other = table(answer)
    assert other["sequence"].to_pylist() == recorded["sequence"].to_pylist()
    assert other["emotion_happy"].to_pylist() == recorded["emotion_happy"].to_pylist()
    assert other["mouthSmileLeft"].to_pylist() != recorded["mouthSmileLeft"].to_pylist()
    assert b'"mapping":"emotion_style"' in other.schema.metadata[b"config"]


def test_what_cannot_be_fused_again_says_why(client: TestClient, settings: Settings, database: Database) -> None:
    refused = client.post("/v1/sessions/happy1/variant", json={"parameters": {"au12_gain": -1}})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_fusible")
    assert "au12_gain = -1.0 is outside" in refused.json()["detail"]
    for wild in ("1e999", "NaN", "-Infinity"):
        body = f'{{"parameters": {{"au12_gain": {wild}}}}}'
        answer = client.post("/v1/sessions/happy1/variant", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert client.post("/v1/sessions/nobody/variant", json={}).status_code == 404
    assert client.post("/v1/sessions/happy1/variant", json={"mapping": "mine"}).status_code == 422
    silent = list(session("silent", START_US + 9 * DAY_US, 1))
    insert(database, [silent[0], silent[-1]], first=7_000_000)
    gone = client.post("/v1/sessions/silent/variant", json={})
    assert (gone.status_code, gone.json()["code"]) == (409, "not_fusible")
    assert "signals of this session are gone" in gone.json()["detail"]
    without = TestClient(create_app(Context(settings, Queries(database, {}), CODEC, CLOCK, Metrics("analytics"))))
    answer = without.post("/v1/sessions/happy1/variant", json={}, headers=client.headers)
    assert (answer.status_code, "without fusion" in answer.json()["detail"]) == (409, True)


def test_trends_count_what_there_was(client: TestClient) -> None:
    trends = client.get("/v1/trends", params={"from_ms": NOW_MS - 1_000, "to_ms": NOW_MS + 3_600_000}).json()
    frames = [(SECONDS + n) * 30 + 1 for n in range(8)]
    assert sum(trends["along"]["frames"]) == sum(frames)
    assert sum(trends["started"]["sessions"]) == 9  # the odd one, too
    assert sum(trends["started"]["opted_out"]) == 1
    (drop,) = trends["drops"]
    assert (drop["stage"], drop["outcome"], drop["items"], drop["sessions"]) == ("ingest", "too_fast", 30, 1)
    assert drop["share"] == pytest.approx(30 / (8 * 300 + 30), abs=1e-4)
    assert trends["durations"]["counts"][:3] == [1, 8, 0]
    assert trends["durations"]["p50"] == pytest.approx(13, abs=1)
    assert len(trends["sessions"]["session_id"]) == 8  # those of which minutes were computed
    totals = {hop["modality"]: hop["p50"] for hop in trends["hops"] if hop["hop"] == "total"}
    assert 15 < totals["face"] < 60
    empty = client.get("/v1/trends", params={"from_ms": 0, "to_ms": 60_000}).json()
    assert (empty["along"]["at_ms"], empty["drops"], empty["durations"]["ended"], empty["hops"]) == ([], [], 0, [])
    assert set(empty["along"]) == set(trends["along"])
    assert empty["sessions"]["session_id"] == empty["started"]["at_ms"] == empty["dropped_along"]["at_ms"] == []


def test_drift_finds_what_changed_and_nothing_else(client: TestClient) -> None:
    today = {"from_ms": NOW_MS - 1_000, "to_ms": NOW_MS + 500_000}
    yesterday = {name: at - DAY_US // 1_000 for name, at in today.items()}
    asked = {**today, **{f"reference_{name}": at for name, at in yesterday.items()}}
    answer = client.get("/v1/drift", params=asked).json()
    assert (answer["period"]["sessions"], answer["reference"]["sessions"]) == (9, 8)
    verdicts = {channel["name"]: channel["verdict"] for channel in answer["channels"]}
    assert verdicts["emotion_happy"] == verdicts["emotion_sad"] == verdicts["emotion"] == "large"
    assert verdicts["emotion_angry"] == verdicts["face_confidence"] == verdicts["face_total_ms"] == "stable"
    means = {c["name"]: (c["mean"], c["reference_mean"]) for c in answer["channels"]}
    assert means["valence"][0] > 0.3 > -0.3 > means["valence"][1]
    assert 20 < means["face_total_ms"][0] < 60
    same = {**today, **{f"reference_{name}": at for name, at in today.items()}}
    assert {c["verdict"] for c in client.get("/v1/drift", params=same).json()["channels"]} == {"stable"}


@pytest.mark.parametrize(
    "path", ["explorer", "trends?from_ms=0&to_ms=1", "sessions/happy1/ticks", "counts", "sessions"]
)
def test_nobody_else_is_let_in(client: TestClient, settings: Settings, path: str) -> None:
    now_s = CLOCK.now_us() // 1_000_000
    tokens = Tokens(settings.token_key)
    stranger = Grant("happy2", "default", frozenset({"watch"}), expires_at_s=now_s + 60)
    for token in (tokens.observer(issued_at_s=now_s, ttl_s=60), tokens.issue(stranger, issued_at_s=now_s)):
        answer = client.get(f"/v1/{path}", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 403, answer.text
    assert client.get(f"/v1/{path}", headers={"authorization": "Bearer x"}).status_code == 401


def test_an_analyst_reads_sessions_and_runs_no_sql(client: TestClient, settings: Settings) -> None:
    assert client.get("/v1/sessions/happy1/summary").status_code == 200
    assert client.get("/v1/sessions/happy1/timeline?points=1").status_code == 200
    for path, body in (("sql", {"sql": "SELECT 1"}), ("export", {"sql": "SELECT 1"})):
        assert client.post(f"/v1/{path}", json=body).json()["code"] == "not_operator"
    assert client.get("/v1/counts").json()["code"] == "not_operator"
    now_s = CLOCK.now_us() // 1_000_000
    own = Tokens(settings.token_key).issue(
        Grant("happy1", "default", frozenset({"watch"}), expires_at_s=now_s + 60), issued_at_s=now_s
    )
    assert client.get("/v1/sessions/happy1/ticks", headers={"authorization": f"Bearer {own}"}).status_code == 200
