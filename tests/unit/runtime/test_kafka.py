"""The parts of runtime.kafka that need no broker."""

from collections import Counter

import pytest

from runtime.clock import ManualClock
from runtime.kafka import (
    KafkaError,
    KafkaException,
    Ledger,
    TopicPartition,
    committed_offsets,
    is_fatal,
    murmur2_partition,
)
from runtime.metrics import Metrics
from schemas.codec import Codec
from schemas.records import LedgerEntry
from schemas.vocabulary import Stage


@pytest.mark.parametrize(
    "key,expected",
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2 (Apache Kafka): signed 32-bit results.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_javas_numbers(key, expected):
    for partitions in (1, 6, 1_000, 2**31):
        assert murmur2_partition(key, partitions) == (expected & 0x7FFFFFFF) % partitions


def test_murmur2_spreads_session_ids():
    counts = Counter(murmur2_partition(f"{i:032x}".encode(), 6) for i in range(6_000))
    assert len(counts) == 6
    assert min(counts.values()) > 850


class FakePublisher:
    def __init__(self):
        self.entries = []

    def send_waiting(self, topic, key, value):
        entry = Codec().decode(LedgerEntry, value)
        assert (topic, key) == ("ledger", entry.session_id)
        self.entries.append(entry)


def ledger():
    publisher = FakePublisher()
    return publisher, Ledger(publisher, Codec(), ManualClock(), Stage.INGEST, Metrics("ingest"))


def runs(publisher):
    return [
        (e.session_id, e.modality, e.outcome, e.count, e.first_sequence, e.last_sequence) for e in publisher.entries
    ]


def test_consecutive_items_of_one_outcome_are_one_entry():
    publisher, book = ledger()
    for sequence in range(5):
        book.note("a", "face", "used", sequence)
    book.note("b", "face", "used", 7)
    assert publisher.entries == []
    book.flush()
    assert runs(publisher) == [("a", "face", "used", 5, 0, 4), ("b", "face", "used", 1, 7, 7)]
    book.flush()
    assert len(publisher.entries) == 2


def test_a_hole_or_another_outcome_starts_a_new_entry():
    publisher, book = ledger()
    for sequence, outcome in ((0, "used"), (1, "stale"), (2, "used"), (3, "used"), (9, "used")):
        book.note("a", "face", outcome, sequence)
    book.flush()
    assert sorted(runs(publisher)) == [
        ("a", "face", "stale", 1, 1, 1),
        ("a", "face", "used", 1, 0, 0),
        ("a", "face", "used", 1, 9, 9),
        ("a", "face", "used", 2, 2, 3),
    ]


def test_items_without_a_number_are_counted():
    publisher, book = ledger()
    book.note("a", "", "malformed")
    book.note("a", "", "malformed", count=3)
    book.note("a", "", "malformed", 5)
    book.flush()
    assert sorted(runs(publisher)) == [("a", "", "malformed", 1, 5, 5), ("a", "", "malformed", 4, -1, -1)]


@pytest.mark.parametrize(
    "error,fatal",
    [
        (KafkaError(KafkaError._FATAL, "what a poll returns once the client is fenced"), True),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, "told by a call", True), True),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN, "comes back"), False),
    ],
)
def test_a_client_that_can_do_no_more_is_told_from_one_that_waits(error, fatal):
    assert is_fatal(error) is fatal


class MovingCoordinator:
    """A consumer whose group's coordinator answers after so many refusals with ``code``."""

    def __init__(self, code, refusals):
        self.code = code
        self.refusals = refusals

    def committed(self, places, timeout):
        assert timeout > 0
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(self.code))
        return [TopicPartition(place.topic, place.partition, 7) for place in places]


def test_a_coordinator_that_moves_is_asked_again():
    source = MovingCoordinator(KafkaError.NOT_COORDINATOR, 2)
    assert [place.offset for place in committed_offsets(source, [TopicPartition("signals", 0)])] == [7]


@pytest.mark.parametrize(
    "code, timeout_s", [(KafkaError.NOT_COORDINATOR, 0.2), (KafkaError.GROUP_AUTHORIZATION_FAILED, 9.0)]
)
def test_what_does_not_pass_is_raised(code, timeout_s):
    with pytest.raises(KafkaException):
        committed_offsets(MovingCoordinator(code, 10**6), [TopicPartition("signals", 0)], timeout_s=timeout_s)
