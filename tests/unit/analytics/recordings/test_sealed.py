"""Sealed recordings: readable with every key, and not at all without one."""

import os

import pytest

from analytics.recordings.container import Entry, Header, RecordedSession, RecordingError
from analytics.recordings.reading import open_recording
from analytics.recordings.sealed import PIECE, is_sealed, sealing_for
from analytics.recordings.writing import writing
from runtime.keystore import MemoryKeyStore
from runtime.sealing import OVERHEAD

ENTRIES = [Entry("signals", 0, n, 5, "a", os.urandom(30_000)) for n in range(100)]
"""Some 3 MB that do not compress: three pieces."""


@pytest.fixture
def store():
    return MemoryKeyStore()


def write(path, store, sessions=("a",)):
    described = [RecordedSession(name, 5, "live", {}, {}, True) for name in sessions]
    with writing(path, Header("test", 5, described, []), sealing_for(store, sessions)) as writer:
        for entry in ENTRIES:
            writer.add(entry)
    return path


def test_it_reads_as_it_was_written(tmp_path, store):
    path = write(tmp_path / "a.afr", store)
    assert is_sealed(path)
    assert path.stat().st_size > 2 * PIECE
    recording = open_recording(path, store)
    assert list(recording.entries()) == ENTRIES
    assert list(recording.entries()) == ENTRIES, "as often as one likes"


def test_nothing_of_it_can_be_seen(tmp_path, store):
    data = write(tmp_path / "a.afr", store, ["session-with-a-name"]).read_bytes()
    assert b"session-with-a-name" not in data
    assert b"signals" not in data
    assert not any(entry.value[:16] in data for entry in ENTRIES)


def test_erasing_one_of_its_sessions_ends_it(tmp_path, store):
    path = write(tmp_path / "a.afr", store, ["a", "b"])
    assert list(open_recording(path, store).entries()) == ENTRIES
    store.destroy("b")
    with pytest.raises(RecordingError, match="1 of the keys of its 2 sessions are not in the key store"):
        open_recording(path, store)
    with pytest.raises(RecordingError, match="was erased"):
        sealing_for(store, ["a", "b"])


def test_without_a_key_store_it_says_what_is_needed(tmp_path, store):
    with pytest.raises(RecordingError, match="keys are needed"):
        open_recording(write(tmp_path / "a.afr", store))


@pytest.mark.parametrize("damage", ["bit", "cut", "last piece", "swap", "header", "length"])
def test_damage_is_noticed(tmp_path, store, damage):
    path = write(tmp_path / "a.afr", store)
    data = bytearray(path.read_bytes())
    begin = 12 + int.from_bytes(data[8:12], "little")
    step = PIECE + OVERHEAD
    match damage:
        case "bit":
            data[begin + step + 500] ^= 1
        case "cut":
            del data[-1]
        case "last piece":
            del data[begin + 2 * step :]
        case "swap":
            data[begin : begin + 2 * step] = data[begin + step : begin + 2 * step] + data[begin : begin + step]
        case "header":
            data[20] ^= 1
        case "length":
            data[8:12] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"a\.afr"):
        list(open_recording(path, store).entries())
