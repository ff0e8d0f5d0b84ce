"""How analysts get at the rows: the command line, files, notebooks; through a running role and without one."""

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from fastapi.testclient import TestClient
from rich.console import Console
from typer.testing import CliRunner

from analytics import runfile
from analytics.aggregates import Aggregator
from analytics.api import Context, create_app
from analytics.database import Database, connect
from analytics.errors import DatabaseUnavailable, QueryRefused
from analytics.migrations import FOLDER, apply_optional_settings, migrate
from analytics.notebook import Analytics, literal, open_analytics
from analytics.queries import Queries
from analytics.retention import POLICY, enforced
from cli.analysis import run_sql
from cli.formats import OutputFormat
from cli.main import app
from runtime.clock import SystemClock
from runtime.errors import SettingsError, TokenError
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import Tokens
from schemas.codec import Codec
from tests.support.processes import free_port
from tests.support.rows import insert
from tests.support.session_records import ack, frame, ledger_run, whole_session
from tests.support.waiting import eventually


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(here: Settings) -> Iterator[Database]:
    opened = connect(here)
    aggregator = Aggregator("t", "i")
    records = [*whole_session("it's", 3), *(frame("it's", k) for k in range(90)), ack("it's", 3)]
    insert(opened, [*records, ledger_run("it's", "ingest", "face", "used", 0, 89)], aggregator=aggregator)
    aggregator.compute(opened.writer())
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def role(here: Settings, database: Database) -> Iterator[str]:
    """The API on a real port, found through the run file, as when the role runs in this process."""
    clock = SystemClock()
    context = Context(here, Queries(database, {}), Codec(), clock, Metrics("analytics"))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(context), port=port, lifespan="off", log_config=None))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    token = Tokens(here.token_key).operator(issued_at_s=clock.now_us() // 1_000_000, ttl_s=600)
    import os

    runfile.write(here.data_dir, runfile.RunFile(url, token, os.getpid()))
    try:
        eventually(lambda: server.started, what="the API to listen")
        yield url
    finally:
        server.should_exit = True
        thread.join()


def printed(settings: Settings, statement: str, shown: OutputFormat) -> str:
    out = io.StringIO()
    run_sql(settings, statement, Console(file=out, width=200), shown)
    return out.getvalue()


def test_sql_prints_tables_csv_and_json(here: Settings, role: str) -> None:
    statement = "SELECT session_id, frames, 'a,b\"c' AS odd FROM session_totals"
    assert "it's" in printed(here, statement, OutputFormat.TABLE)
    rows = list(csv.reader(io.StringIO(printed(here, statement, OutputFormat.CSV))))
    assert rows == [["session_id", "frames", "odd"], ["it's", "90", 'a,b"c']]
    assert json.loads(printed(here, statement, OutputFormat.JSON)) == {
        "session_id": "it's", "frames": 90, "odd": 'a,b"c'
    }  # fmt: skip
    for wrong, reason in (("DROP TABLE sessions", "only SELECT"), ("SELECT nothing FROM frames", "nothing")):
        with pytest.raises(QueryRefused, match=reason):
            printed(here, wrong, OutputFormat.TABLE)


def test_exports_are_files_with_the_same_rows(here: Settings, role: str, tmp_path: Path) -> None:
    runner = CliRunner()
    where = ["--data-dir", str(here.data_dir)]
    for name in ("frames.parquet", "frames.arrow"):
        out = tmp_path / name
        found = runner.invoke(app, ["export", str(out), "--sql", "SELECT * FROM frames ORDER BY sequence", *where])
        assert found.exit_code == 0, found.output
        table = pq.read_table(out) if out.suffix == ".parquet" else pa.ipc.open_file(out).read_all()
        assert table["sequence"].to_pylist() == list(range(90))
        assert table["AU12"].to_pylist()[0] == pytest.approx(frame("s", 0).aus[8] / 255)
    folder = tmp_path / "session"
    found = runner.invoke(app, ["export", str(folder), "--session", "latest", *where])
    assert found.exit_code == 0, found.output
    rows = {path.stem: pq.read_table(path).num_rows for path in folder.iterdir()}
    assert rows == {
        "session_list": 1, "frames": 90, "signals_face": 90, "signals_speech": 75, "client_events": 1, "ledger": 1,
        "session_minutes": 1,
    }  # fmt: skip
    for wrong in (["x.xlsx", "--sql", "SELECT 1"], ["x.parquet"], ["x", "--sql", "SELECT 1", "--session", "latest"]):
        assert isinstance(runner.invoke(app, ["export", *wrong, *where]).exception, SettingsError)


def test_a_notebook_gets_dataframes(here: Settings, role: str) -> None:
    with open_analytics(data_dir=here.data_dir) as analytics:
        assert analytics.sessions().session_id.tolist() == ["it's"]
        frames = analytics.frames("it's", columns=["captured_at", "emotion_happy"])
        assert list(frames.columns) == ["captured_at", "emotion_happy"]
        assert len(frames) == 90
        assert str(frames.captured_at.dt.tz) == "UTC"
        assert len(analytics.signals("it's", "speech")) == 75
        assert analytics.minutes("it's").frames.tolist() == [90]
        assert len(analytics.frames("' OR 1 = 1 --")) == 0
        with pytest.raises(QueryRefused, match="not a column"):
            analytics.frames("it's", columns=["1; DROP TABLE x"])
    with pytest.raises(TokenError), open_analytics(url=role, token="nonsense") as analytics:
        analytics.sessions()
    assert literal("a'b\\c") == "'a\\'b\\\\c'"


def test_without_a_role_the_database_is_opened(here: Settings) -> None:
    connect(here).close()
    with open_analytics(data_dir=here.data_dir) as analytics:
        assert analytics.sql("SELECT 1 AS one").one.tolist() == [1]
    with (
        pytest.raises(DatabaseUnavailable, match="ClickHouse at default@127"),
        open_analytics(dsn=f"clickhouse://127.0.0.1:{free_port()}/x") as analytics,
    ):
        analytics.sql("SELECT 1")


def test_exports_are_the_operators_and_read_only(here: Settings, database: Database) -> None:
    clock = SystemClock()
    client = TestClient(create_app(Context(here, Queries(database, {}), Codec(), clock, Metrics("analytics"))))
    token = Tokens(here.token_key).operator(issued_at_s=clock.now_us() // 1_000_000, ttl_s=60)
    body = {"sql": "SELECT 1 AS one", "format": "arrow"}
    assert client.post("/v1/export", json=body).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.post("/v1/export", json=body, headers=headers)
    assert pa.ipc.open_file(answer.content).read_all().to_pydict() == {"one": [1]}
    for sql in ("INSERT INTO sessions SELECT * FROM sessions", "SELECT * FROM file('/etc/passwd', 'LineAsString')"):
        refused = client.post("/v1/export", json={"sql": sql}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "query_refused")
    assert client.post("/v1/export", json={**body, "format": "exe"}, headers=headers).status_code == 422


def test_the_retention_policy_becomes_the_tables_ttl(here: Settings) -> None:
    def kept(settings: Settings) -> dict[str, int]:
        database = connect(settings)
        try:
            return enforced(database.writer())
        finally:
            database.close()

    assert kept(here) == dict(POLICY)
    changed = here.model_copy(update={"retention_days": "avatar_frames=7,minute_aggregates=400"})
    assert kept(changed) == {**POLICY, "avatar_frames": 7, "minute_aggregates": 400}
    assert kept(here) == dict(POLICY)


def test_tables_have_no_statistics_of_every_column_and_small_parts_are_one_file(database: Database) -> None:
    client = database.writer()
    assert apply_optional_settings(client) == []
    tables = client.query(
        "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    assert len(tables) >= 10
    for setting in ("auto_statistics_types = ''", "min_bytes_for_wide_part = 33554432"):
        assert [name for name, engine in tables if setting not in engine] == []


def test_a_database_of_an_earlier_version_is_migrated_with_its_rows(tmp_path: Path) -> None:
    """Version 6 with frames in it becomes the newest: the rows stay, and the aggregates count them."""
    from analytics.database import endpoint_of

    settings = Settings(data_dir=tmp_path / "data")
    old = tmp_path / "old"
    old.mkdir()
    for path in sorted(FOLDER.glob("*.sql"))[:6]:
        (old / path.name).write_text(path.read_text())
    database = Database(endpoint_of(settings))
    database.create()
    assert len(migrate(database.writer(), old)) == 6
    insert(database, (frame("s", k) for k in range(300)))
    database.close()
    migrated = connect(settings)
    try:
        aggregator = Aggregator("t", "i")
        aggregator.resume(migrated.writer())
        assert aggregator.compute(migrated.writer()) == 1
        client = migrated.writer()
        client.command("OPTIMIZE TABLE avatar_frames FINAL")
        analytics = Analytics(Queries(migrated, {}))
        assert analytics.sql("SELECT frames FROM session_totals").frames.tolist() == [300]
        assert analytics.sql("SELECT count() AS n, avg(face_queue_ms) AS ms FROM frames").n.tolist() == [300]
    finally:
        migrated.close()


def test_a_cluster_s_statements_are_statements(database: Database) -> None:
    """There is no cluster here; the engine's own parser reads what one would be told."""
    from analytics.cluster import for_cluster
    from analytics.migrations import read_migrations

    client = database.writer()
    for migration in read_migrations():
        for statement in migration.statements:
            text = for_cluster(statement, "main")
            formatted = client.query("SELECT formatQuery({text:String})", parameters={"text": text}).result_rows[0][0]
            assert "ON CLUSTER main" in formatted.replace("'", "").replace("`", "")
