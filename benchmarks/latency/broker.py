"""What one way through a broker takes, apart from everything else: three of them lie between a picture and its frame.

Beside the broker that runs, librdkafka's own cluster in memory is measured: a test double without disk, retention or
ACLs, which no deployment can use, and so the least that any other broker could take with these clients.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Producer

from benchmarks.latency.stations import Percentiles
from benchmarks.processes import CandidateError
from runtime.kafka import OFFSET_BEGINNING, Publisher, TopicPartition, consumer
from runtime.settings import Settings
from runtime.topics import delete_topics, ensure_topics
from schemas.topics import SIGNALS

RECORDS: Final = 300
EVERY_S: Final = 1 / 30
BYTES: Final = 1_000
"""About a FaceSignal."""
WARM: Final = 30
DEADLINE_S: Final = 10.0


def one_way(settings: Settings) -> Percentiles:
    """From handing a record to a client of ours to its being taken by another, ms, at 30 records a second.

    Makes topics and removes them. CandidateError if a record does not come.
    """
    own = settings.model_copy(update={"topic_prefix": f"bench-way-{secrets.token_hex(4)}.", "partitions": 1})
    ensure_topics(own)
    try:
        return _measured(own)
    finally:
        delete_topics(own)


def one_way_in_memory(settings: Settings) -> Percentiles:
    """The same through librdkafka's cluster in memory, within this process.

    It answers who waits for records only when the wait is over: so here the reader asks every millisecond.
    """
    with _cluster_in_memory() as address:
        own = settings.model_copy(update={"kafka_bootstrap_servers": address, "topic_prefix": "way."})
        return _measured(own, fetch_wait_max_ms=1)


@contextmanager
def _cluster_in_memory() -> Iterator[str]:
    """Its address; it lives as long as its producer."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    try:
        (broker,) = host.list_topics("way.signals", timeout=DEADLINE_S).brokers.values()
        yield f"{broker.host}:{broker.port}"
    finally:
        host.flush(DEADLINE_S)


def _measured(settings: Settings, **overrides: object) -> Percentiles:
    publisher = Publisher(settings)
    reader = consumer(settings, f"way-{secrets.token_hex(4)}", **overrides)
    ways_ms = []
    try:
        reader.assign([TopicPartition(settings.topic(SIGNALS), 0, OFFSET_BEGINNING)])
        for number in range(RECORDS):
            sent_s = time.perf_counter()
            publisher.send(SIGNALS, "way", b"\0" * BYTES, partition=0)
            until = time.monotonic() + DEADLINE_S
            while True:
                message = reader.poll(0.1)
                if message is not None and message.error() is None:
                    break
                if time.monotonic() > until:
                    raise CandidateError(f"a record did not come within {DEADLINE_S:g} s")
            way_s = time.perf_counter() - sent_s
            if number >= WARM:
                ways_ms.append(way_s * 1e3)
            time.sleep(max(0.0, EVERY_S - way_s))
        publisher.flush()
    finally:
        reader.close()
    return Percentiles.of(ways_ms)
