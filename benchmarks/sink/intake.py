"""From Kafka into ClickHouse: the analytics role takes a log that appears all at once; its processor time is read."""

import sys
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fusion.kafka_log import TRANSACTION_MS, Topics, producer
from benchmarks.processes import Candidate, CandidateError, Program, environment, free_port
from benchmarks.sink.log import SinkLog
from runtime.errors import BrokerError
from runtime.settings import Settings

POLL_S: Final = 0.02
STALLED_S: Final = 60.0
QUIET_S: Final = 2.0
QUIET_CPU: Final = 0.05


@dataclass(frozen=True)
class Intake:
    """One run."""

    records: int
    cpu_s: float
    """The role's processor time, its ClickHouse's included, until the last record was a row."""
    wall_s: float
    settled_cpu_s: float
    """The same until ClickHouse had also merged what it wanted to merge, and the aggregates were made."""

    @property
    def rows_per_s(self) -> float:
        """Records for each second of processor time."""
        return self.records / self.cpu_s

    @property
    def rows_per_s_settled(self) -> float:
        """The same with the merges after the last record."""
        return self.records / self.settled_cpu_s

    @property
    def rows_per_s_wall(self) -> float:
        """Records a second, with as many cores as there are."""
        return self.records / self.wall_s


def take_in(settings: Settings, log: SinkLog, directory: Path) -> Intake:
    """Run the role over the log in ``directory``, which then holds its ClickHouse.

    Raises CandidateError if the role ends, stalls, or makes another number of rows than there were records.
    """
    own = settings.model_copy(
        update={
            "topic_prefix": f"{settings.topic_prefix}bench-sink-{uuid.uuid4().hex[:8]}.",
            "partitions": log.partitions,
            "data_dir": directory,
            "clickhouse_dsn": "",
            "port": free_port(),
            "metrics_port": free_port(),
        }
    )
    with Topics(own):
        hidden = _Hidden(own)
        sent: Counter[str] = Counter()
        for piece in log.records():
            for record in piece:
                hidden.write(own.topic(record.topic), record.key, record.value)
                sent[record.topic] += 1
        hidden.flush()
        program = Program(
            [sys.executable, "-m", "cli", "run", "analytics"], environment(**own.to_env()), Path(__file__).parents[2]
        )
        with Candidate(program, directory / "analytics.log") as role:
            role.wait_for(lambda: _ready(own.metrics_port))
            before = role.cpu_s()
            begun = time.monotonic()
            hidden.reveal()
            _wait_for_rows(role, own.metrics_port, sent.total())
            wall_s = time.monotonic() - begun
            cpu_s = role.cpu_s() - before
            _wait_until_quiet(role)
            return Intake(sent.total(), cpu_s, wall_s, role.cpu_s() - before)


class _Hidden:
    """Records of any topic in one transaction."""

    def __init__(self, settings: Settings) -> None:
        self._producer = producer(
            settings,
            **{"transactional.id": f"{settings.topic_prefix}log", "transaction.timeout.ms": TRANSACTION_MS},
        )
        self._producer.init_transactions(30)
        self._producer.begin_transaction()

    def write(self, topic: str, key: bytes, value: bytes) -> None:
        """Queue a record; blocks while the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key=key)
                return
            except BufferError:
                self._producer.poll(0.05)

    def flush(self) -> None:
        """Return when all is written."""
        if self._producer.flush(120) > 0:
            raise BrokerError("the log could not be written within 120 s")

    def reveal(self) -> None:
        """Make all of it visible at once."""
        self._producer.commit_transaction(60)


def _metrics(port: int) -> dict[str, float]:
    """Sum of each metric's samples; empty while nothing answers."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5.0, trust_env=False).text
    except httpx.HTTPError:
        return {}
    found: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] += sample.value
    return dict(found)


def _ready(port: int) -> bool:
    return _metrics(port).get("affectstream_role_ready") == 1.0


def _wait_for_rows(role: Candidate, port: int, records: int) -> None:
    seen, until = 0.0, time.monotonic() + STALLED_S
    while True:
        role.require_running()
        found = _metrics(port)
        rows = found.get("affectstream_rows_inserted_total", 0.0)
        if rows >= records:
            break
        if rows > seen:
            seen, until = rows, time.monotonic() + STALLED_S
        if time.monotonic() > until:
            raise role.failure(f"made {rows:,.0f} rows of {records:,} records and then none for {STALLED_S:g} s")
        time.sleep(POLL_S)
    if rows > records or found.get("affectstream_dead_letters_total", 0.0):
        raise CandidateError(f"{records:,} records became {rows:,.0f} rows and some dead letters")


def _wait_until_quiet(role: Candidate) -> None:
    before = role.cpu_s()
    while True:
        time.sleep(QUIET_S)
        now = role.cpu_s()
        if now - before < QUIET_CPU * QUIET_S:
            return
        before = now
