"""Migrations, the read-only door, the API and the report on a real engine."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from analytics.api import Context, create_app
from analytics.database import Database, connect
from analytics.errors import MigrationError, QueryRefused
from analytics.migrations import FOLDER, migrate
from analytics.queries import Queries
from analytics.report import renderable, report
from analytics.rows import Batch, Table, build, route
from runtime.clock import ManualClock
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.codec import Codec
from schemas.records import Record
from tests.support.session_records import START_US, ack, frame, ledger_run, whole_session

PAGE = "http://127.0.0.1:8420"


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, public_ingest_url=PAGE)


@pytest.fixture
def database(here: Settings) -> Iterator[Database]:
    opened = connect(here)
    try:
        yield opened
    finally:
        opened.close()


def fill(database: Database, records: list[Record]) -> None:
    batches: dict[Table, Batch] = {}
    for offset, record in enumerate(records):
        stamp_us = getattr(record, "captured_at_us", START_US) + 25_000
        batches.setdefault(route(record), Batch()).add(record, 0, offset, stamp_us // 1_000)
    client = database.writer()
    for table, batch in batches.items():
        client.insert_arrow(table, build(table, batch, topic="t", topic_id="i"))


def a_session(seconds: int = 12) -> list[Record]:
    ticks = range(seconds * 30)
    skipped = set(range(150, 190)) | {240, 241}
    return [
        *whole_session("s1", seconds),
        *(frame("s1", k, discontinuity=k == 190) for k in ticks if k not in skipped),
        *(frame("s1", k) for k in range(100, 120)),
        *(ack("s1", k) for k in ticks[::30]),
        ledger_run("s1", "ingest", "face", "used", 0, ticks[-1]),
        ledger_run("s1", "ingest", "speech", "used", 0, seconds * 25 - 1),
        ledger_run("s1", "face_worker", "face", "used", 0, ticks[-1]),
        ledger_run("s1", "speech_worker", "speech", "used", 0, seconds * 25 - 1),
        ledger_run("s1", "fusion", "face", "used", 30, 30, count=len(ticks)),
        ledger_run("s1", "fusion", "speech", "used", 30, 30, count=seconds * 25),
        ledger_run("s1", "fusion", "", "used", 30, 30, count=2),
    ]


def test_every_column_and_table_is_explained(database: Database) -> None:
    with database.reader() as client:
        columns = client.query(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' AND table IN "
            "(SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
        ).result_rows
        tables = client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
        ).result_rows
    assert (columns, tables) == ([], [])


def test_migrating_again_does_nothing_and_a_changed_file_is_refused(database: Database, tmp_path: Path) -> None:
    client = database.writer()
    assert migrate(client) == []
    copy = tmp_path / "changed"
    copy.mkdir()
    for path in FOLDER.glob("*.sql"):
        (copy / path.name).write_text(path.read_text())
    (copy / "0001_progress.sql").write_text((copy / "0001_progress.sql").read_text() + "-- one more line\n")
    with pytest.raises(MigrationError, match=r"0001_progress\.sql was changed"):
        migrate(client, copy)


def test_a_migration_that_was_cut_short_goes_on(database: Database, tmp_path: Path) -> None:
    """A crash between doing a statement and recording it: the statement's table exists, the record does not."""
    copy = tmp_path / "more"
    copy.mkdir()
    for path in FOLDER.glob("*.sql"):
        (copy / path.name).write_text(path.read_text())
    number = len(list(copy.glob("*.sql"))) + 1
    statement = "CREATE TABLE {} (x Int8) ENGINE = MergeTree ORDER BY x;\n"
    (copy / f"{number:04d}_more.sql").write_text(statement.format("more_a") + statement.format("more_b"))
    client = database.writer()
    client.command("CREATE TABLE more_a (x Int8) ENGINE = MergeTree ORDER BY x")
    assert migrate(client, copy) == [f"{number:04d}_more.sql"]
    assert migrate(client, copy) == []
    assert client.query("SELECT count() FROM more_b").result_rows == [(0,)]


def test_the_read_only_door(database: Database, tmp_path: Path) -> None:
    queries = Queries(database, {})
    assert queries.sql("SELECT 1 AS one, 'x' AS word")["rows"] == [[1, "x"]]
    for sql, reason in {
        "SELECT * FROM file('/etc/passwd', 'LineAsString')": "only reading",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')": "only reading",
        "SELECT number FROM numbers(200000)": "add LIMIT",
        "SELECT nothing FROM frames": "nothing",
        "SELECT 1 SETTINGS readonly = 0": "only reading",
        f"SELECT 1 INTO OUTFILE '{tmp_path}/x'": "files cannot be written",
    }.items():
        with pytest.raises(QueryRefused, match=reason):
            queries.sql(sql)
    assert not (tmp_path / "x").exists()
    assert queries.sql("SELECT count() FROM frames")["rows"] == [[0]]


def test_summary_timeline_and_balance_of_a_session(database: Database) -> None:
    fill(database, a_session())
    queries = Queries(database, {})
    summary = queries.summary("s1")
    frames = summary["frames"]
    assert (frames["count"], frames["repeated"], frames["missing"], frames["skipped"]) == (318, 20, 2, 40)
    assert summary["latency_ms"]["face"]["total"]["p50"] == pytest.approx(21.4 + 25, abs=1.0)
    assert summary["latency_ms"]["client"]["rendered"]["p50"] == 48
    hops = summary["latency_ms"]["speech"]
    assert sum(hops[h]["p50"] for h in ("transport", "ingest", "queue", "inference", "fusion")) == pytest.approx(
        hops["total"]["p50"], abs=0.5
    )
    timeline = queries.timeline("s1", points=100)
    assert 70 <= len(timeline["columns"]["at_ms"]) <= 100
    assert [(g["ticks"], g["flagged"]) for g in timeline["gaps"]] == [(40, True), (2, False)]
    balance = queries.balance("s1")
    assert [c["name"] for c in balance["checks"] if not c["balanced"]] == ["frames"]
    assert balance["ended"]


def test_the_report_is_a_picture_and_one_page(here: Settings, tmp_path: Path) -> None:
    database = connect(here)
    fill(database, a_session())
    database.close()
    summary, png, page = report(here, "latest", tmp_path / "out")
    picture = Image.open(png)
    assert picture.size == (1800, 1500)
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    text = page.read_text()
    assert base64.b64encode(png.read_bytes()).decode() in text
    assert "http" not in text.replace("https://www.w3.org", "")
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=120).print(renderable(summary))
    assert "318 in 12.0 s" in out.getvalue()


@pytest.fixture
def api(here: Settings, database: Database) -> tuple[TestClient, Tokens, int]:
    fill(database, a_session(seconds=2))
    clock = ManualClock()
    context = Context(here, Queries(database, {}), Codec(), clock, Metrics("analytics"))
    return TestClient(create_app(context)), Tokens(here.token_key), clock.now_us() // 1_000_000


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_may_read_what(api: tuple[TestClient, Tokens, int]) -> None:
    client, tokens, now_s = api
    operator = bearer(tokens.operator(issued_at_s=now_s, ttl_s=60))

    def session_token(session: str, scope: str) -> dict[str, str]:
        grant = Grant(session, "default", frozenset({scope}), now_s + 60)  # type: ignore[arg-type]
        return bearer(tokens.issue(grant, issued_at_s=now_s))

    assert client.get("/healthz").status_code == 200
    everything = ["/v1/sessions", "/v1/counts"]
    one = [f"/v1/sessions/s1/{what}" for what in ("summary", "timeline", "balance")] + ["/v1/ledger/s1"]
    for path in everything + one:
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=bearer("nonsense")).json()["code"] == "malformed_token"
        assert client.get(path, headers=operator).status_code == 200, path
        assert client.get(path, headers=session_token("s2", "watch")).status_code == 403, path
    for path in everything:
        assert client.get(path, headers=session_token("s1", "manage")).json()["code"] == "not_operator"
    for path in one:
        assert client.get(path, headers=session_token("s1", "watch")).status_code == 200, path
        assert client.get(path, headers=session_token("s1", "audio")).json()["code"] == "wrong_audience"
    expired = bearer(tokens.operator(issued_at_s=now_s - 120, ttl_s=60))
    assert client.get("/v1/counts", headers=expired).json()["code"] == "expired_token"
    assert client.get("/v1/sessions/none/summary", headers=operator).status_code == 404


def test_an_observer_sees_the_sessions_of_now_and_nothing_else(api: tuple[TestClient, Tokens, int]) -> None:
    client, tokens, now_s = api
    observer = bearer(tokens.observer(issued_at_s=now_s, ttl_s=60))
    operator = bearer(tokens.operator(issued_at_s=now_s, ttl_s=60))
    assert client.get("/v1/wall", headers=observer).status_code == 200
    assert client.get("/v1/wall", headers=operator).status_code == 200
    refusals = {
        "/v1/sessions": "not_operator",
        "/v1/counts": "not_operator",
        "/v1/sessions/s1/summary": "not_analyst",
        "/v1/ledger/s1": "not_analyst",
    }
    for path, code in refusals.items():
        answer = client.get(path, headers=observer)
        assert (answer.status_code, answer.json()["code"]) == (403, code), path
    grant = Grant("s1", "default", frozenset({"watch", "manage"}), now_s + 60)
    session = bearer(tokens.issue(grant, issued_at_s=now_s))
    assert client.get("/v1/wall", headers=session).json()["code"] == "not_observer"
    assert client.get("/v1/wall").status_code == 401


def test_the_wall_lists_what_runs_and_what_ended_lately(here: Settings, database: Database) -> None:
    fill(database, [*whole_session("ended", 2), *list(whole_session("running", 2))[:-1]])
    queries = Queries(database, {})
    end_ms = START_US // 1_000 + 2_000

    def listed(after_s: int, ended_within_s: int) -> dict[str, str]:
        sessions = queries.wall(now_ms=end_ms + after_s * 1_000, ended_within_s=ended_within_s, limit=10)
        assert all("subject" not in session for session in sessions)
        return {session["session_id"]: session["end_reason"] for session in sessions}

    assert listed(10, 60) == {"ended": "client_closed", "running": ""}
    assert listed(120, 60) == {"running": ""}
    assert listed(2 * 86_400, 86_400) == {}


def test_sql_over_http(api: tuple[TestClient, Tokens, int]) -> None:
    client, tokens, now_s = api
    operator = bearer(tokens.operator(issued_at_s=now_s, ttl_s=60))
    answer = client.post("/v1/sql", json={"sql": "SELECT count() AS n FROM frames"}, headers=operator)
    assert answer.json() == {"columns": [{"name": "n", "type": "UInt64"}], "rows": [[80]]}
    refused = client.post("/v1/sql", json={"sql": "DROP TABLE avatar_frames"}, headers=operator)
    assert (refused.status_code, refused.json()["code"]) == (400, "query_refused")
    assert client.post("/v1/sql", json={"sql": "SELECT 1"}).status_code == 401


def test_only_our_own_page_may_read_answers(api: tuple[TestClient, Tokens, int]) -> None:
    client, _, _ = api
    for origin, allowed in ((PAGE, True), ("http://localhost:8420", True), ("http://evil.example", False)):
        preflight = client.options("/v1/counts", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        assert ("access-control-allow-origin" in preflight.headers) is allowed, origin
