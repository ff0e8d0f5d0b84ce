"""The journal of requests: durable, joined, without the session's id."""

from runtime.erasures import Erasures
from runtime.keystore import key_store

SESSION = "0b5c7a1e9d3f4c2a8e6d5b4a"
NOW = 1_800_000_000_000_000


def test_asking_destroys_the_keys_and_is_joined(tmp_path):
    store = key_store(tmp_path)
    store.create(SESSION)
    erasures = Erasures(store)
    first = erasures.ask(SESSION, "session", "owner", now_us=NOW)
    assert store.keys(SESSION) == {}
    assert (first.scope, first.asked_by, first.counts) == ("session", "owner", {"keys": 3})
    assert erasures.ask(SESSION, "session", "operator", now_us=NOW + 1) == first
    assert erasures.unfinished() == [first]
    store.close()
    # A new process goes on with it.
    again = Erasures(key_store(tmp_path))
    assert again.unfinished() == [first]
    again.did(first.number, "rows", {"rows": 7})
    again.did(first.number, "rows", {"rows": 2})
    again.hinder(first.number, "Kafka is away")
    (found,) = again.unfinished()
    assert (found.done, found.counts, found.problem) == (("rows",), {"keys": 3, "rows": 9}, "Kafka is away")
    again.finish(first.number, now_us=NOW + 5)
    assert again.unfinished() == []
    done = again.of(SESSION)
    assert done is not None
    assert (done.finished_at_us, done.problem) == (NOW + 5, "")
    assert SESSION not in str(done.audit())
    assert SESSION.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    again.store.close()


def test_a_finished_one_is_done_again_when_something_comes_late(tmp_path):
    erasures = Erasures(key_store(tmp_path))
    digest = erasures.store.digest(SESSION)
    assert not erasures.reopen(digest)
    asked = erasures.ask(SESSION, "session", "operator", now_us=NOW)
    erasures.did(asked.number, "rows", {"rows": 1})
    assert not erasures.reopen(digest), "it is under way"
    erasures.finish(asked.number, now_us=NOW)
    assert erasures.reopen(digest)
    (found,) = erasures.unfinished()
    assert (found.number, found.done, found.counts) == (asked.number, (), {"keys": 0, "rows": 1})
    erasures.store.close()


def test_a_modality_leaves_the_rest(tmp_path):
    store = key_store(tmp_path)
    store.create(SESSION)
    erasures = Erasures(store)
    erasures.ask(SESSION, "video", "consent", now_us=NOW)
    assert set(store.keys(SESSION)) == {"audio", "record"}
    assert erasures.of(SESSION) is None
    assert erasures.of(SESSION, "video") is not None
    assert [each.scope for each in erasures.newest()] == ["video"]
    store.close()
