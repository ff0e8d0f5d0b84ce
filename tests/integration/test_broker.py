import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.broker import EmbeddedKafka, prepare
from runtime.errors import BrokerError
from runtime.kafka import Publisher, consumer
from runtime.settings import Settings
from runtime.topics import ensure_topics
from schemas.topics import SIGNALS, topic_specs
from tests.support.prerequisites import REPOSITORY, cache_dir, required
from tests.support.waiting import eventually

PAUSES = 12
"""As many left a client without any broker each time, while it did not begin anew from the addresses it was given."""


@pytest.fixture
def own_kafka(tmp_path):
    with required():
        broker = EmbeddedKafka(prepare(cache_dir()), tmp_path / "kafka")
    broker.start()
    yield broker
    broker.kill()


def read_all(settings: Settings, expected: int) -> list[bytes]:
    reader = consumer(settings, f"reader-{time.monotonic_ns()}")
    reader.subscribe([settings.topic(SIGNALS)])
    values: list[bytes] = []
    until = time.monotonic() + 15
    while len(values) < expected and time.monotonic() < until:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            values.append(bytes(message.value()))
    reader.close()
    return values


def test_topics_have_the_partitions_that_settings_name(settings):
    assert ensure_topics(settings) == dict.fromkeys(topic_specs(), 2)


def test_acknowledged_records_survive_sigkill_and_the_ports_stay(own_kafka):
    settings = Settings.from_env({}, kafka_bootstrap_servers=own_kafka.bootstrap_servers, partitions=1)
    ensure_topics(settings)
    publisher = Publisher(settings)
    for i in range(100):
        publisher.send(SIGNALS, "session", b"%d" % i)
    publisher.flush()

    own_kafka.kill()
    own_kafka.start()

    assert own_kafka.bootstrap_servers == settings.kafka_bootstrap_servers
    publisher.send(SIGNALS, "session", b"100")  # the client from before reconnects by itself
    publisher.flush()
    assert read_all(settings, 101) == [b"%d" % i for i in range(101)]


def test_a_producer_goes_on_when_all_brokers_were_fenced_for_a_while(tmp_path):
    """A busy machine keeps the broker's heartbeats waiting: metadata then names no broker, and clients forget it."""
    with required():
        distribution = prepare(cache_dir())
    session_s = 0.6
    hasty = {"broker.heartbeat.interval.ms": "100", "broker.session.timeout.ms": f"{1e3 * session_s:.0f}"}
    broker = EmbeddedKafka(distribution, tmp_path / "kafka", properties=hasty)
    broker.start()
    try:
        settings = Settings.from_env({}, kafka_bootstrap_servers=broker.bootstrap_servers, partitions=2)
        ensure_topics(settings)
        publisher = Publisher(settings)
        for pause in range(PAUSES):
            os.kill(broker.pid, signal.SIGSTOP)
            until = time.monotonic() + 1.5 * session_s
            while time.monotonic() < until:
                publisher.send(SIGNALS, f"session-{pause}", b"x" * 100)
                publisher.poll(0.01)
            os.kill(broker.pid, signal.SIGCONT)
            publisher.poll(0.1)
        publisher.flush()
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        broker.stop()


def test_the_broker_ends_with_the_process_that_started_it(tmp_path):
    with required():
        prepare(cache_dir())
    program = (
        "import sys, signal; from pathlib import Path; from cli.broker import *\n"
        f"k = EmbeddedKafka(prepare(Path({str(cache_dir())!r})), Path({str(tmp_path / 'kafka')!r})); k.start()\n"
        "print(k.pid, k.bootstrap_servers, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        pid, address = parent.stdout.readline().split()
        parent.kill()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), deadline_s=20, what="the orphaned broker ends")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address.split(":")[1])), timeout=1)


def test_a_broker_that_cannot_start_says_why(tmp_path):
    with required():
        broker = EmbeddedKafka(prepare(cache_dir()), tmp_path / "kafka")
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", int(broker.bootstrap_servers.split(":")[1])))
        occupant.listen()
        with pytest.raises(BrokerError, match=r"(?s)the end of .*broker\.log.*Address already in use"):
            broker.start()


def _prepare(directory: Path) -> float:
    prepare(directory)
    return (directory / "kafka").stat().st_mtime


def test_two_processes_may_prepare_at_once(tmp_path):
    with required():
        prepare(cache_dir())  # so that Maven has the jars already and this test needs no network
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_prepare, [tmp_path, tmp_path])
    assert first == second
    assert len(list((tmp_path / "kafka").iterdir())) == 1


def test_stop_leaves_nothing_running(own_kafka):
    pid = own_kafka.pid
    own_kafka.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
