"""The same code against a server: by DSN, with TLS and a user, and with the server away while records come."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from analytics.database import Database, connect, endpoint_of
from analytics.errors import DatabaseUnavailable
from analytics.notebook import open_analytics
from analytics.queries import Queries
from analytics.sink import TOPICS, Sink
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.lifecycle import die_with_parent
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.topics import topic_ids
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES, SIGNALS
from tests.support.prerequisites import REPOSITORY
from tests.support.processes import free_port
from tests.support.session_records import frame, whole_session
from tests.support.waiting import eventually

CODEC = Codec()


@dataclass
class Server:
    """tests.support.clickhouse_server as a process."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def dsn(self) -> str:
        return f"clickhouses://analyst:secret@127.0.0.1:{self.port}/product?ca_cert={self.folder}/cert.pem"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "tests.support.clickhouse_server", str(self.port), str(self.folder / "db"),
            str(self.folder / "cert.pem"), str(self.folder / "key.pem"), "secret",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )

        def there() -> bool:
            try:
                database = Database(endpoint_of(Settings(clickhouse_dsn=self.dsn.replace("/product", "/default"))))
                with database.reader() as client:
                    client.command("SELECT 1")
                database.close()
            except DatabaseUnavailable:
                return False
            return True

        eventually(there, deadline_s=90, every_s=0.2, what="the server to answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    found = Server(free_port(), tmp_path)
    found.start()
    try:
        yield found
    finally:
        found.kill()


def counts(settings: Settings, database: Database) -> dict:
    ids = topic_ids(settings, TOPICS)
    return Queries(database, {topic: (settings.topic(topic), ids[topic]) for topic in TOPICS}).counts()


def test_the_sink_outlives_a_server_that_goes_away(settings: Settings, server: Server) -> None:
    """Records come while the server is gone: none is lost or doubled, not ready is said, the lag is shown."""
    settings = settings.model_copy(update={"clickhouse_dsn": server.dsn})
    publisher = Publisher(settings)
    total = {SIGNALS: 0, AVATAR_FRAMES: 0}

    def publish(session: str) -> None:
        for topic, records in (
            (SIGNALS, whole_session(session, 2)),
            (AVATAR_FRAMES, [frame(session, k) for k in range(60)]),
        ):
            for record in records:
                publisher.send_waiting(topic, session, CODEC.encode(record))
                total[topic] += 1
        publisher.flush()

    def reached() -> dict | None:
        try:
            found = counts(settings, database)
        except Exception:  # noqa: BLE001 - the server is being started
            return None
        return found if {t: found["topics"][t]["records"] for t in total} == total else None

    database = connect(settings)
    stop = threading.Event()
    metrics = Metrics("analytics")
    sink = Sink(settings, database, CODEC, clock=SystemClock(), metrics=metrics, stop=stop)
    thread = threading.Thread(target=sink.run)
    thread.start()
    value = metrics.registry.get_sample_value
    try:
        publish("before")
        eventually(reached, deadline_s=60, every_s=0.2, what="the first rows")
        server.kill()
        publish("meanwhile")
        eventually(
            lambda: value("affectstream_role_ready", {"role": "analytics"}) == 0.0, deadline_s=60, what="not ready"
        )
        publish("later")
        lag = lambda: sum(  # noqa: E731
            value("affectstream_lag_records", {"topic": SIGNALS, "partition": str(p)}) or 0.0 for p in range(2)
        )
        eventually(lambda: lag() >= 112, deadline_s=60, every_s=0.1, what="the lag of one session's signals")
        server.start()
        found = eventually(reached, deadline_s=90, every_s=0.2, what="every row")
        assert found["equal"]
        eventually(lambda: value("affectstream_role_ready", {"role": "analytics"}) == 1.0, deadline_s=60, what="ready")
    finally:
        stop.set()
        thread.join()
        database.close()
    with open_analytics(dsn=server.dsn) as analytics:
        frames = analytics.sql("SELECT session_id, count() AS n FROM frames GROUP BY session_id ORDER BY session_id")
        assert dict(zip(frames.session_id, frames.n, strict=True)) == {"before": 60, "meanwhile": 60, "later": 60}


def test_a_server_that_refuses_is_said_to(server: Server, tmp_path: Path) -> None:
    for dsn, reason in (
        (server.dsn.replace("secret", "wrong"), "(?i)authentication"),
        (server.dsn.partition("?")[0], "(?i)certificate"),
        (server.dsn.replace("clickhouses", "clickhouse"), "ClickHouse at analyst@127"),
    ):
        with pytest.raises(DatabaseUnavailable, match=reason) as refused:
            connect(Settings(clickhouse_dsn=dsn, data_dir=tmp_path))
        assert "secret" not in str(refused.value)
        assert "wrong" not in str(refused.value)
