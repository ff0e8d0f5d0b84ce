import dataclasses

import pytest

from analytics.balance import Entry, Facts, Ranges, account, balance, compare, fusion_counts, unseen
from schemas.vocabulary import Modality, Stage


def entry(  # noqa: PLR0917 - a row of a table
    stage: str, modality: str, outcome: str, first: int, last: int, count: int | None = None, at: int = 0
) -> Entry:
    return Entry(at, stage, modality, outcome, last - first + 1 if count is None else count, first, last)


class TestRanges:
    def test_touching_and_overlapping_ranges_are_one(self):
        assert Ranges([(5, 9), (0, 2), (3, 3), (7, 12), (20, 19)]).ranges == ((0, 3), (5, 12))

    @pytest.mark.parametrize(
        "taken,left",
        [
            ([], ((0, 9),)),
            ([(0, 9)], ()),
            ([(0, 0), (9, 9)], ((1, 8),)),
            ([(3, 4), (6, 20)], ((0, 2), (5, 5))),
            ([(-5, 2), (50, 60)], ((3, 9),)),
        ],
    )
    def test_difference(self, taken, left):
        assert (Ranges([(0, 9)]) - Ranges(taken)).ranges == left

    def test_length_counts_numbers(self):
        assert len(Ranges([(0, 9), (20, 20)])) == 11


def test_an_item_noted_twice_by_a_restarted_worker_counts_once_and_used_wins():
    entries = [
        entry("face_worker", "face", "used", 0, 50),
        entry("face_worker", "face", "stale", 51, 60),
        entry("face_worker", "face", "stale", 45, 55),
        entry("face_worker", "face", "used", 56, 60),
        entry("face_worker", "face", "unreadable", -1, -1, count=2),
        entry("face_worker", "face", "gap", 61, 70),
    ]
    mine = account(entries, Stage.FACE_WORKER, "face")
    assert mine.used.ranges == ((0, 50), (56, 60))
    assert mine.dropped.ranges == ((51, 55),)
    assert mine.unnumbered == {"unreadable": 2}
    assert mine.accounted.ranges == ((0, 60),)
    assert mine.by_outcome == {"used": 56, "stale": 5, "unreadable": 2}


def test_what_came_of_an_item_proves_that_it_was_used():
    entries = [entry("face_worker", "face", "used", 0, 3), entry("face_worker", "face", "stale", 4, 9)]
    mine = account(entries, Stage.FACE_WORKER, "face", proven=Ranges([(3, 6)]))
    assert mine.used.ranges == ((0, 6),)
    assert mine.by_outcome == {"used": 7, "stale": 3}


def test_a_fusion_entry_published_again_after_a_crash_counts_once():
    same = entry("fusion", "face", "used", 30, 30, count=30, at=5)
    entries = [
        same,
        same,
        entry("fusion", "face", "late", 30, 30, count=1, at=5),
        entry("fusion", "", "unreadable", -1, -1, 1),
    ]
    assert fusion_counts(entries) == {"face": {"used": 30, "late": 1}}


def test_compare_names_what_is_missing():
    check = compare("edge_to_worker", "face", Ranges([(0, 9)]), Ranges([(0, 3), (6, 9)]))
    assert (check.missing, check.surplus, check.examples, check.balanced) == (2, 0, ((4, 5),), False)


def session(**changed) -> tuple[list[Entry], Facts]:
    entries = [
        entry("ingest", "face", "used", 0, 99),
        entry("ingest", "face", "replaced_by_newer", 100, 100),
        entry("ingest", "speech", "used", 0, 79),
        entry("face_worker", "face", "used", 0, 97),
        entry("face_worker", "face", "stale", 98, 99),
        entry("speech_worker", "speech", "used", 0, 79),
        entry("fusion", "face", "used", 99, 99, count=98),
        entry("fusion", "speech", "used", 99, 99, count=38),
        entry("fusion", "speech", "duplicate", 99, 99, count=2),
        entry("fusion", "", "used", 99, 99, count=2),
    ]
    facts = {
        "face_signals": Ranges([(0, 97)]),
        "signal_records": {"": 2, "face": 98, "speech": 40},
        "frames": 100,
        "frame_gaps": Ranges(),
        "media": {Modality.FACE: Ranges([(0, 99)]), Modality.SPEECH: Ranges([(0, 79)])},
    }
    return entries, Facts(**{**facts, **changed})


def test_a_session_without_losses_balances():
    checks = balance(*session())
    assert [c.name for c in checks if not c.balanced] == []
    assert {c.name for c in checks} == {
        "media_to_edge", "edge_to_worker", "worker_to_signals", "signals_to_fusion", "frames",
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed,name",
    [
        ({"face_signals": Ranges([(0, 90)])}, "worker_to_signals"),
        ({"signal_records": {"": 2, "face": 99, "speech": 40}}, "signals_to_fusion"),
        ({"signal_records": {"": 2, "face": 98, "speech": 39}}, "signals_to_fusion"),
        ({"frame_gaps": Ranges([(7, 8)])}, "frames"),
    ],
)
def test_each_loss_is_found(changed, name):
    assert [c.name for c in balance(*session(**changed)) if not c.balanced] == [name]


def test_a_picture_that_the_worker_never_saw_is_found():
    entries, facts = session()
    entries = [e for e in entries if e.outcome != "stale"]
    bad = [c for c in balance(entries, facts) if not c.balanced]
    assert [(c.name, c.missing, c.examples) for c in bad] == [("edge_to_worker", 2, ((98, 99),))]


def test_a_picture_that_the_edge_says_it_used_but_the_log_lacks_is_found():
    checks = balance(*session(media={Modality.FACE: Ranges([(0, 98)])}))
    bad = [(c.name, c.missing, c.surplus) for c in checks if not c.balanced]
    assert bad == [("media_to_edge", 1, 0), ("edge_to_worker", 0, 1)]


def test_a_face_signal_of_a_picture_that_the_worker_does_not_know_is_found():
    bad = [c for c in balance(*session(face_signals=Ranges([(0, 97), (100, 100)]))) if not c.balanced]
    assert [(c.name, c.missing, c.surplus, c.examples) for c in bad] == [("worker_to_signals", 0, 1, ((100, 100),))]


def test_entries_that_died_with_a_killed_edge_are_proven_by_the_log():
    entries, facts = session()
    entries = [e for e in entries if e.stage != "ingest"]
    entries += [entry("ingest", "face", "used", 0, 60), entry("ingest", "speech", "used", 20, 79)]
    assert [c for c in balance(entries, facts) if not c.balanced] == []


def test_entries_that_died_with_a_killed_edge_are_proven_by_the_worker_once_the_log_is_gone():
    entries, facts = session(media={})
    entries = [e for e in entries if e.stage != "ingest"]
    entries += [entry("ingest", "face", "used", 0, 60), entry("ingest", "speech", "used", 20, 79)]
    assert [c for c in balance(entries, facts) if not c.balanced] == []


def test_pictures_that_a_killed_worker_used_and_its_successor_found_stale_balance():
    entries, facts = session()
    entries = [e for e in entries if e.stage != "face_worker"]
    entries += [
        entry("face_worker", "face", "used", 0, 49),
        entry("face_worker", "face", "stale", 50, 79),
        entry("face_worker", "face", "used", 80, 97),
        entry("face_worker", "face", "stale", 98, 99),
    ]
    assert [c for c in balance(entries, facts) if not c.balanced] == []


def test_numbers_of_which_there_is_no_trace_are_unseen():
    entries, facts = session(media={Modality.FACE: Ranges([(0, 9), (15, 98)]), Modality.SPEECH: Ranges([(3, 79)])})
    entries = [e for e in entries if not (e.stage == "ingest" and e.outcome == "used")]
    entries += [entry("ingest", "face", "replaced_by_newer", 10, 12), entry("ingest", "face", "too_large", 101, 101)]
    found = unseen(entries, facts)
    assert found[Modality.FACE].ranges == ((13, 14), (99, 99))
    assert found[Modality.SPEECH].ranges == ((0, 2),)


def test_what_is_unseen_is_not_asked_of_a_log_that_has_forgotten():
    assert unseen(*session(media={})) == {}


def test_what_the_client_analysed_itself_balances_without_a_worker():
    entries = [
        Entry(1, "ingest", "face", "used", 10, 0, 9),
        Entry(1, "ingest", "face", "malformed", 1, 10, 10),
        Entry(1, "ingest", "speech", "used", 8, 0, 7),
    ]
    facts = Facts(
        face_signals=Ranges([(0, 9)]),
        signal_records={"face": 10, "speech": 8},
        frames=5,
        frame_gaps=Ranges(),
        on_device=frozenset(Modality),
    )
    checks = [check for check in balance(entries, facts) if check.name == "edge_to_signals"]
    assert [(check.modality, check.balanced) for check in checks] == [("face", True), ("speech", True)]
    lost = dataclasses.replace(facts, face_signals=Ranges([(0, 8)]), signal_records={"face": 9, "speech": 9})
    checks = [check for check in balance(entries, lost) if check.name == "edge_to_signals"]
    assert [(check.missing, check.surplus) for check in checks] == [(1, 0), (0, 1)]
