"""The sink in this process, its ClickHouse client failing at every single insert in turn: a proof by exhaustion."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from clickhouse_connect.driver.exceptions import OperationalError

from analytics.columns import TableBuilder, Taken
from analytics.database import Database, connect
from analytics.queries import Queries
from analytics.sink import CONSUME_RECORDS, FLUSH_RECORDS, INSERT_SETTINGS, TOPICS, Sink
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.topics import topic_ids
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, SIGNALS
from tests.support.session_records import ack, frame, whole_session
from tests.support.waiting import eventually

CODEC = Codec()
INSERTS_A_BATCH = 6
"""sessions, speech_signals, face_signals, avatar_frames, client_events, sink_progress"""


class Crash(BaseException):
    """The process is gone at this very moment."""


class FailingClient:
    """A ClickHouse client around a real one; ``fault`` decides about each insert."""

    def __init__(self, client: Any, fault: Callable[[Callable[[], Any]], Any]) -> None:
        self._client = client
        self._fault = fault

    def insert_arrow(self, *args: Any, **kwargs: Any) -> Any:
        return self._fault(lambda: self._client.insert_arrow(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class FailingDatabase(Database):
    """The database that ``settings`` name, whose writers fail as ``fault`` says."""

    fault: Callable[[Callable[[], Any]], Any]

    def writer(self) -> Any:
        return FailingClient(super().writer(), self.fault)


def sink(settings: Settings, database: Database, stop: threading.Event, metrics: Metrics) -> Sink:
    return Sink(settings, database, CODEC, clock=SystemClock(), metrics=metrics, stop=stop)


def counts(settings: Settings, database: Database) -> dict:
    ids = topic_ids(settings, TOPICS)
    return Queries(database, {topic: (settings.topic(topic), ids[topic]) for topic in TOPICS}).counts()


def publish(settings: Settings, name: str) -> dict:
    publisher = Publisher(settings)
    sent = {SIGNALS: 0, AVATAR_FRAMES: 0, CLIENT_EVENTS: 0}
    for session in (f"{name}-a", f"{name}-b"):
        for topic, records in (
            (SIGNALS, whole_session(session, 1)),
            (AVATAR_FRAMES, [frame(session, k) for k in range(30)]),
            (CLIENT_EVENTS, [ack(session, k) for k in range(0, 30, 10)]),
        ):
            for record in records:
                publisher.send(topic, session, CODEC.encode(record))
                sent[topic] += 1
    publisher.flush()
    return sent


def run_to(settings: Settings, database: Database, expected: dict) -> dict:
    """Run a sink until ClickHouse holds ``expected`` records; returns the counts."""
    stop = threading.Event()
    thread = threading.Thread(target=sink(settings, database, stop, Metrics("analytics")).run)
    thread.start()

    def reached() -> dict | None:
        found = counts(settings, database)
        return found if {t: found["topics"][t]["records"] for t in expected} == expected else None

    try:
        return eventually(reached, deadline_s=90, every_s=0.1)
    finally:
        stop.set()
        thread.join()


def test_a_crash_before_or_after_any_insert_loses_and_doubles_nothing(settings: Settings) -> None:
    connect(settings).close()
    total: dict = {SIGNALS: 0, AVATAR_FRAMES: 0, CLIENT_EVENTS: 0}
    endpoint = connect(settings).endpoint
    for step in range(2 * INSERTS_A_BATCH):
        for topic, count in publish(settings, f"s{step}").items():
            total[topic] += count
        database = FailingDatabase(endpoint)
        seen = 0

        def fault(insert: Callable[[], Any], step: int = step) -> Any:
            nonlocal seen
            seen += 1
            if seen == step // 2 + 1:
                if step % 2:
                    insert()
                raise Crash
            return insert()

        database.fault = fault
        try:
            sink(settings, database, threading.Event(), Metrics("analytics")).run()
        except Crash:
            pass
        else:
            raise AssertionError("the sink ended without the crash")
        database.close()
    database = connect(settings)
    found = run_to(settings, database, total)
    database.close()
    assert found["equal"], found
    assert {t: (found["topics"][t]["rows"], found["topics"][t]["distinct"]) for t in total} == {
        t: (n, n) for t, n in total.items()
    }


def test_answers_that_are_lost_and_clickhouse_away(settings: Settings) -> None:
    """Each insert is refused twice, then done with its answer lost, then repeated: one row a record all the same."""
    total = publish(settings, "s")
    ready = connect(settings)
    database = FailingDatabase(ready.endpoint)
    tries = 0

    def fault(insert: Callable[[], Any]) -> Any:
        nonlocal tries
        tries += 1
        if tries % 4 in {1, 2}:
            raise OperationalError("connection refused")
        if tries % 4 == 3:
            insert()
            raise OperationalError("connection reset while waiting for the answer")
        return insert()

    database.fault = fault
    found = run_to(settings, database, total)
    database.close()
    ready.close()
    assert tries >= 4 * INSERTS_A_BATCH - 1  # the last answer lost may be the last thing that happens
    assert found["equal"], found


def test_an_insert_is_one_part(settings: Settings) -> None:
    """The whole argument rests on it: a batch as large as they come is one part, so it is there or not."""
    database = connect(settings)
    client = database.writer()
    count = FLUSH_RECORDS + CONSUME_RECORDS
    values = [CODEC.encode(frame(f"s{n}", n)) for n in range(100)]
    values[50] = CODEC.encode(replace(frame("s50", 50), session_id="é"))
    numbers = np.arange(count)
    taken = Taken([values[k % 100] for k in range(count)], (numbers % 6).astype(np.int32), numbers, numbers)
    built = TableBuilder(CODEC).build(AVATAR_FRAMES, taken, name="t", topic_id="i")
    client.command("SYSTEM STOP MERGES avatar_frames")
    client.insert_arrow("avatar_frames", built.tables["avatar_frames"].combine_chunks(), settings=INSERT_SETTINGS)
    rows = client.query("SELECT rows FROM system.parts WHERE table = 'avatar_frames' AND active").result_rows
    database.close()
    assert rows == [(count,)]
