"""Equal outcomes in a row are one entry of the ledger."""

from runtime.clock import ManualClock
from runtime.ledger import Ledger
from runtime.metrics import Metrics
from schemas.codec import Codec
from schemas.records import LedgerEntry
from schemas.vocabulary import Stage


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
