import pytest

from inference_workers.batching import BatchPolicy, MicroBatcher

MS = 1_000


@pytest.fixture
def batcher():
    return MicroBatcher[str](BatchPolicy(max_batch=2, max_wait_us=5 * MS, stale_after_us=200 * MS, capacity=10))


def add(batcher, session, name, ms, lossless=False):
    return batcher.add(session, name, arrived_at_us=ms * MS, taken_at_us=ms * MS, lossless=lossless)


def test_nothing_waits_nothing_is_due(batcher):
    assert batcher.due_at_us() is None
    assert batcher.take() == []


def test_a_lone_item_is_due_at_its_deadline(batcher):
    add(batcher, "a", "a0", 100)
    assert batcher.due_at_us() == 105 * MS
    assert batcher.take() == ["a0"]
    assert len(batcher) == 0


def test_a_full_batch_is_due_at_once(batcher):
    add(batcher, "a", "a0", 100)
    add(batcher, "b", "b0", 101)
    assert batcher.due_at_us() == 0
    assert batcher.take() == ["a0", "b0"]


def test_a_batch_holds_one_item_a_session_in_its_order(batcher):
    for ms, name in ((100, "a0"), (101, "a1"), (102, "a2")):
        add(batcher, "a", name, ms)
    add(batcher, "b", "b0", 103)
    assert batcher.take() == ["a0", "b0"]
    assert batcher.take() == ["a1"]
    assert batcher.take() == ["a2"]


def test_the_longest_waiting_sessions_come_first(batcher):
    for ms, session in ((102, "c"), (100, "a"), (101, "b")):
        add(batcher, session, session, ms)
    assert batcher.take() == ["a", "b"]
    assert batcher.take() == ["c"]


def test_a_backlog_keeps_the_newest_and_tells_the_stale(batcher):
    for i in range(7):
        assert add(batcher, "a", f"a{i}", 33 * i) == []
    assert add(batcher, "a", "a7", 231) == [f"a{i}" for i in range(7)]
    assert batcher.take() == ["a7"]
    assert len(batcher) == 0


def test_other_sessions_keep_theirs(batcher):
    add(batcher, "b", "b0", 0)
    add(batcher, "a", "a0", 0)
    assert add(batcher, "a", "a1", 500) == ["a0"]
    assert sorted(batcher.take()) == ["a1", "b0"]


def test_a_recording_is_never_stale_but_fills_the_room(batcher):
    for i in range(10):
        assert add(batcher, "a", f"a{i}", 100 * i, lossless=True) == []
    assert batcher.room() == 0
    assert batcher.take() == ["a0"]
    assert batcher.room() == 1


def test_what_waits_of_a_session_can_be_let_go_of(batcher):
    for ms, name in ((100, "a0"), (101, "a1")):
        add(batcher, "a", name, ms)
    add(batcher, "b", "b0", 102)
    assert batcher.discard(lambda session: session == "a") == ["a0", "a1"]
    assert len(batcher) == 1
    assert batcher.take() == ["b0"]
