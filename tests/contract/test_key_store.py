"""One suite over every key store."""

import logging
import multiprocessing
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.errors import KeyStoreError
from runtime.keystore import PURPOSES, KeyRing, KeyStore, MemoryKeyStore, SqliteKeyStore, key_store
from runtime.sealing import KEY_BYTES

SESSION = "0b5c7a1e9d3f4c2a8e6d5b4a"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    if request.param == "memory":
        yield MemoryKeyStore()
        return
    made = SqliteKeyStore(tmp_path / "data" / "keys.sqlite3")
    yield made
    made.close()


def test_a_session_has_a_key_for_each_purpose(store):
    assert store.keys(SESSION) == {}
    store.create(SESSION)
    keys = store.keys(SESSION)
    assert set(keys) == set(PURPOSES)
    assert store.key_of(store.digest(SESSION), "audio") == keys["audio"]
    assert store.key_of(store.digest("another"), "audio") is None
    assert all(len(key) == KEY_BYTES for key in keys.values())
    assert len(set(keys.values())) == 3
    store.create(SESSION)
    assert store.keys(SESSION) == keys, "made once"
    store.create("another")
    assert not set(store.keys("another").values()) & set(keys.values())


def test_what_is_destroyed_stays_destroyed(store):
    store.create(SESSION)
    before = store.generation()
    assert store.destroy(SESSION, ["video"]) == 1
    assert store.generation() > before
    assert store.destroyed(SESSION) == {"video"}
    assert set(store.keys(SESSION)) == {"audio", "record"}
    assert store.destroyed_digests("video") == {store.digest(SESSION)}
    assert not store.destroyed_digests("record")
    store.create(SESSION)
    assert set(store.keys(SESSION)) == {"audio", "record"}, "nothing makes it anew"
    assert store.destroy(SESSION) == 2
    assert store.destroy(SESSION) == 0, "twice is the same as once"
    assert store.keys(SESSION) == {}
    assert store.destroyed(SESSION) == set(PURPOSES)
    assert store.destroyed_digests("record") == {store.digest(SESSION)}


def test_a_session_that_never_had_keys_can_be_erased_before_it_comes(store):
    store.destroy(SESSION)
    store.create(SESSION)
    assert store.keys(SESSION) == {}
    assert store.destroyed_digests("record") == {store.digest(SESSION)}


def test_a_digest_names_a_session_and_does_not_say_which(store):
    assert store.digest(SESSION) == store.digest(SESSION) != store.digest("another")
    assert SESSION not in store.digest(SESSION)


def test_a_ring_forgets_what_was_destroyed(store):
    ring = KeyRing(store)
    ring.refresh()
    assert ring.seal(SESSION, "audio") is None, "nobody made it"
    seal = ring.made(SESSION, "audio")
    assert seal is not None
    assert ring.seal(SESSION, "audio") is seal
    assert not ring.refresh()
    store.destroy(SESSION, ["audio"])
    assert ring.seal(SESSION, "audio") is seal, "until it looks"
    assert ring.refresh()
    assert ring.seal(SESSION, "audio") is None
    assert ring.made(SESSION, "audio") is None
    assert ring.made(SESSION, "video") is not None
    assert not ring.erased(SESSION)
    store.destroy(SESSION)
    assert ring.erased(SESSION)


def test_nothing_is_logged(store, caplog):
    with caplog.at_level(logging.DEBUG):
        store.create(SESSION)
        store.destroy(SESSION)
    assert caplog.text == ""


# The file.


def test_the_file_is_its_users_alone_and_holds_no_id(tmp_path):
    store = key_store(tmp_path / "new")
    store.create(SESSION)
    files = list((tmp_path / "new").iterdir())
    assert store.path in files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert SESSION.encode() not in path.read_bytes()
    store.close()


def test_a_destroyed_key_is_in_no_byte_of_the_files(tmp_path):
    store = key_store(tmp_path)
    for n in range(200):
        store.create(f"session {n}")
    keys = list(store.keys("session 77").values())
    others = list(store.keys("session 78").values())
    store.destroy("session 77")
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(key not in held for key in keys)
    assert all(key in held for key in others)
    store.close()


def test_processes_share_it(tmp_path):
    store = key_store(tmp_path)
    store.create(SESSION)
    ring = KeyRing(store)
    ring.refresh()
    assert ring.seal(SESSION, "audio") is not None
    _elsewhere(_destroy, tmp_path)
    assert ring.refresh()
    assert ring.seal(SESSION, "audio") is None
    store.close()


def _destroy(folder: Path) -> None:
    key_store(folder).destroy(SESSION)


def _elsewhere(work: Callable[[Path], None], folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(folder,))
    process.start()
    process.join(30)
    assert process.exitcode == 0


def test_one_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "keys.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(KeyStoreError, match="not a database"):
        key_store(tmp_path).create(SESSION)
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStoreError, match="cannot be used"):
        key_store(tmp_path / "file").create(SESSION)
