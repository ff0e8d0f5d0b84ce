"""What compose.tls.yaml says, done by real servers here: Kafka, Redis and HAProxy, reached as roles reach them.

Paths and addresses of containers become those of a test's folder and of loopback; the rest is as it stands there.
"""

import secrets
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import redis

from cli.broker import prepare
from cli.certificates import make
from runtime.errors import BrokerError
from runtime.kafka import Publisher, consumer, wait_for_broker
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from runtime.topics import ensure_topics
from schemas.topics import SIGNALS
from tests.support.compose import INFRA, filled_in, laid_over, read
from tests.support.edges import egress
from tests.support.haproxy import balancing
from tests.support.prerequisites import cache_dir, missing, required
from tests.support.processes import free_port
from tests.support.waiting import eventually

PASSWORDS = {
    name: secrets.token_hex(16)
    for name in ("TOKEN_KEY", "CLICKHOUSE_PASSWORD", "GRAFANA_PASSWORD", "KAFKA_PASSWORD", "REDIS_PASSWORD")
}
SERVICES = filled_in(laid_over(read(), read("compose.tls.yaml")), PASSWORDS)["services"]
IN_CONTAINERS = "/etc/affectstream/tls"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates with the names that the file asks for, and loopback's."""
    made = tmp_path_factory.mktemp("tls")
    make(made, ["localhost", "127.0.0.1", "affectstream"], days=1, now=datetime.now(UTC))
    return made


def settings_of(role: str, folder: Path, **here: str) -> Settings:
    """The role's own, with ``here`` in the place of what containers are called."""
    environ = {name: value.replace(IN_CONTAINERS, str(folder)) for name, value in SERVICES[role]["environment"].items()}
    for name, place in here.items():
        environ = {key: value.replace(name, place) for key, value in environ.items()}
    return Settings.from_env(environ)


@contextmanager
def serving(command: list[str], log: Path, environ: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def secure_kafka(folder: Path) -> Iterator[str]:
    """The broker's address."""
    with required():
        distribution = prepare(cache_dir())
    port, controller = free_port(), free_port()
    text = (INFRA / "kafka" / "compose-tls.properties").read_text(encoding="utf-8")
    for there, here in {
        "SASL_SSL://:9092,CONTROLLER://:9093": f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "SASL_SSL://kafka:9092": f"SASL_SSL://localhost:{port}",
        "1@kafka:9093": f"1@localhost:{controller}",
        "/var/lib/kafka/data": str(folder / "kafka"),
        "/tmp/broker.pem": str(folder / "broker.pem"),
        IN_CONTAINERS: str(folder),
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    properties = folder / "kafka.properties"
    properties.write_text(text + "\nlog.cleaner.dedupe.buffer.size=2097152\n", encoding="utf-8")
    # What the service's command does before: one file of key and certificate, a format with the user in it.
    (folder / "broker.pem").write_text((folder / "server-key.pem").read_text() + (folder / "server.pem").read_text())
    script = SERVICES["kafka"]["command"][0]
    environ = {"PATH": "/usr/bin:/bin", "KAFKA_PASSWORD": SERVICES["kafka"]["environment"]["KAFKA_PASSWORD"]}
    (users,) = [line.partition("--add-scram ")[2] for line in script.splitlines() if "--add-scram" in line]
    said = subprocess.run(
        ["/bin/bash", "-ec", f"printf %s {users}"], env=environ, check=True, capture_output=True, text=True
    )
    arguments = [
        "format",
        "--cluster-id",
        "affectstreamAAAAAAAAAA",
        "--config",
        str(properties),
        "--add-scram",
        said.stdout,
    ]
    assert "--cluster-id affectstreamAAAAAAAAAA" in script
    made = subprocess.run(
        distribution.command("kafka.tools.StorageTool", *arguments),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    log = folder / "broker.log"
    with serving(distribution.command("kafka.Kafka", str(properties)), log, environ) as process:
        wait_for_broker(
            settings_of("fusion", folder, **{"kafka:9092": f"localhost:{port}"}),
            deadline_s=60,
            stopped=lambda: process.poll() is not None,
        )
        assert process.poll() is None, log.read_text()[-3_000:]
        yield f"localhost:{port}"


def test_roles_reach_kafka_with_their_password_and_nobody_does_without(secure_kafka: str, folder: Path) -> None:
    settings = settings_of("fusion", folder, **{"kafka:9092": secure_kafka}).model_copy(update={"partitions": 1})
    ensure_topics(settings)
    publisher = Publisher(settings)
    publisher.send(SIGNALS, "session", b"said")
    publisher.flush(20)
    reader = consumer(settings, "reader")
    reader.subscribe([settings.topic(SIGNALS)])
    found = eventually(lambda: reader.poll(0.5), deadline_s=20)
    assert found.value() == b"said"
    reader.close()

    for change in ({"kafka_password": "another"}, {"kafka_security_protocol": "PLAINTEXT"}, {"kafka_ca": ""}):
        with pytest.raises(BrokerError):
            wait_for_broker(settings.model_copy(update=change), deadline_s=2)


def test_edges_reach_redis_with_their_password_and_nobody_does_without(folder: Path) -> None:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        missing("redis-server or valkey-server (Debian: apt-get install redis-server)")
    port = free_port()
    wanted = [word.replace(IN_CONTAINERS, str(folder)) for word in SERVICES["redis"]["command"][1:]]
    assert wanted[wanted.index("--tls-port") + 1] == "6379"
    wanted[wanted.index("--tls-port") + 1] = str(port)
    url = settings_of("ingest", folder, **{"redis:6379": f"localhost:{port}"}).redis_url
    with (
        serving([program, *wanted, "--bind", "127.0.0.1"], folder / "redis.log", {}) as process,
        redis.Redis.from_url(url) as client,
    ):

        def answers() -> bool:
            assert process.poll() is None, (folder / "redis.log").read_text()
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        eventually(answers, deadline_s=10, what=(folder / "redis.log").read_text)
        password = PASSWORDS["REDIS_PASSWORD"]
        for wrong in (
            url.replace(password, "another"),
            url.replace(f"affectstream:{password}@", ""),
            f"redis://localhost:{port}/0",
        ):
            with redis.Redis.from_url(wrong) as stranger, pytest.raises((redis.ConnectionError, redis.ResponseError)):
                stranger.ping()


def test_viewers_reach_egress_over_tls_through_haproxy_and_their_own_address_counts(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    haproxy = SERVICES["haproxy"]["environment"]
    key = folder / "server.pem.key"
    key.write_text((folder / "server-key.pem").read_text())
    (mounted,) = [volume for volume in SERVICES["haproxy"]["volumes"] if "server-key" in volume]
    assert mounted.split(":")[1] == "/etc/affectstream-tls/server.pem.key"
    own = settings.model_copy(
        update={
            "tls_certificate": str(folder / "server.pem"),
            "tls_key": str(folder / "server-key.pem"),
            "requests_per_s": 1.0,
        }
    )
    with egress(own) as relay:
        servers = (INFRA / "haproxy" / "servers-compose-tls.cfg").read_text(encoding="utf-8")
        lines = [line for line in servers.splitlines() if not line.strip().startswith("server ")]
        lines.append(f"    server egress-1 127.0.0.1:{relay.port}")
        options = haproxy["BIND_OPTIONS"].replace("/etc/affectstream-tls", str(folder))
        with balancing(
            "\n".join(lines) + "\n", tmp_path, 2, BIND_OPTIONS=options, CA_FILE=str(folder / "ca.pem")
        ) as port:
            trusting = ssl.create_default_context(cafile=str(folder / "ca.pem"))

            def asked(path: str, source: str = "127.0.0.1") -> int:
                """The status that somebody at this address gets."""
                way = httpx.HTTPTransport(verify=trusting, local_address=source)
                with httpx.Client(transport=way, trust_env=False) as client:
                    return client.get(f"https://localhost:{port}{path}").status_code

            eventually(lambda: asked("/healthz") == 200, deadline_s=10)
            viewer = "/v1/sessions/somebody/avatar"
            assert {asked(viewer, "127.0.0.2") for _ in range(20)} >= {429}
            assert asked(viewer, "127.0.0.3") != 429, "another address has its own allowance"
            older = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            older.maximum_version = ssl.TLSVersion.TLSv1_2
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, pytest.raises(ssl.SSLError):
                older.wrap_socket(plain, server_hostname="localhost")
