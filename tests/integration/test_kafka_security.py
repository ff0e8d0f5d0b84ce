"""Kafka that takes users only (SASL_SSL, SCRAM-SHA-512, TLS 1.3): every client of ours, and what it refuses."""

import ssl
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.broker import prepare
from cli.certificates import make
from client.session import Session
from runtime.errors import BrokerError, SettingsError
from runtime.kafka import Publisher, consumer, wait_for_broker
from runtime.settings import Settings
from runtime.topic_admin import enforce, enforced_ms, truncate
from runtime.topics import ensure_topics, offset_ranges, topic_ids
from schemas.records import Signal
from schemas.topics import SIGNALS
from tests.support.edges import ingest, log_of
from tests.support.prerequisites import cache_dir, required
from tests.support.secure_kafka import SecureKafka
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    folder = tmp_path_factory.mktemp("secure")
    make(folder, ["localhost", "127.0.0.1"], days=1, now=datetime.now(UTC))
    with required():
        distribution = prepare(cache_dir())
    broker = SecureKafka(distribution, folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def settings(secure: SecureKafka, tmp_path: Path) -> Settings:
    return Settings.from_env(
        {}, topic_prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=2, open_sessions=True, data_dir=tmp_path,
        **secure.settings,
    )  # fmt: skip


def test_topics_records_groups_and_offsets(settings: Settings) -> None:
    """Admin client, producer, consumer group, and what changes topics."""
    assert set(ensure_topics(settings).values()) == {2}
    assert topic_ids(settings, [SIGNALS])[SIGNALS]
    assert enforce(settings.model_copy(update={"retention_hours": "signals=1"})) == [SIGNALS]
    assert enforced_ms(settings)[SIGNALS] == 3_600_000
    publisher = Publisher(settings)
    publisher.send(SIGNALS, "s", b"value", partition=0)
    publisher.flush(30.0)
    reader = consumer(settings, "readers")
    reader.subscribe([settings.topic(SIGNALS)])
    try:
        message = reader.poll(30.0)
        assert message is not None
        assert message.value() == b"value"
        reader.commit(message=message, asynchronous=False)
    finally:
        reader.close()
    truncate(settings, {(SIGNALS, 0): 1})
    assert offset_ranges(settings, SIGNALS)[0] == (1, 1)


async def test_a_session_starts_and_is_in_the_log(settings: Settings) -> None:
    ensure_topics(settings)
    with ingest(settings) as running, log_of(settings, SIGNALS, Signal) as signals:
        async with await Session.create(running.url, audio=True) as session:
            assert signals.until(len)[0].session_id == session.session_id


@pytest.mark.parametrize(
    "changed",
    [
        {"kafka_password": "another"},
        {"kafka_username": "somebody"},
        {"kafka_ca": ssl.get_default_verify_paths().openssl_cafile or "/etc/ssl/certs/ca-certificates.crt"},
        {"kafka_security_protocol": "PLAINTEXT"},
        {"kafka_sasl_mechanism": "PLAIN"},
    ],
)
def test_who_cannot_prove_it_is_not_let_in(settings: Settings, changed: dict[str, str]) -> None:
    with pytest.raises(BrokerError, match="no answer from Kafka") as refused:
        wait_for_broker(settings.model_copy(update=changed), deadline_s=0.5)
    assert settings.kafka_password not in str(refused.value)


def test_a_user_without_rights_reads_and_writes_nothing(settings: Settings) -> None:
    ensure_topics(settings)
    nobody = settings.model_copy(update={"kafka_username": "nobody", "kafka_password": "may do nothing"})
    wait_for_broker(nobody)
    with pytest.raises(BrokerError):
        topic_ids(nobody, [SIGNALS])
    publisher = Publisher(nobody)
    refused: list[bool] = []
    publisher.send(SIGNALS, "s", b"value", on_delivery=refused.append)

    def told() -> bool:
        publisher.poll(0.05)
        return bool(refused)

    eventually(told, what="the producer to be told")
    assert refused == [False]


def test_a_half_configured_client_says_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="AFFECTSTREAM_KAFKA_USERNAME and _PASSWORD"):
        wait_for_broker(Settings.from_env({}, kafka_security_protocol="SASL_SSL"), deadline_s=0.1)
