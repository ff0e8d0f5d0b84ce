"""The gate: rows of erased sessions do not pass, those of others do."""

import pyarrow as pa
import pytest

from analytics.erasure.rows import Gate
from runtime.keystore import MemoryKeyStore


@pytest.fixture
def store():
    made = MemoryKeyStore()
    for name in ("ann", "ben", "eve"):
        made.create(name)
    return made


@pytest.fixture
def gate(store):
    return Gate(store)


def rows(*sessions, encoded=True):
    column = pa.array(sessions, pa.string())
    return pa.table({"session_id": column.dictionary_encode() if encoded else column, "n": range(len(sessions))})


@pytest.mark.parametrize("encoded", [True, False])
def test_rows_of_erased_sessions_do_not_pass(store, gate, encoded):
    gate.refresh()
    table = rows("ann", "ben", "ann", "eve", encoded=encoded)
    assert gate.passing("avatar_frames", table) is table
    store.destroy("ann")
    assert gate.passing("avatar_frames", table) is table, "until it looks"
    gate.refresh()
    assert gate.passing("avatar_frames", table)["n"].to_pylist() == [1, 3]
    assert gate.late == {store.digest("ann")}
    assert gate.passing("sink_progress", pa.table({"topic": ["ann"]})).num_rows == 1


def test_a_modality_is_left_out_of_its_table_only(store, gate):
    store.destroy("ben", ["video"])
    gate.refresh()
    table = rows("ann", "ben")
    assert gate.passing("face_signals", table)["n"].to_pylist() == [0]
    assert gate.passing("speech_signals", table) is table
    assert gate.passing("avatar_frames", table) is table
    assert gate.late == set(), "the session goes on"


def test_names_that_the_batch_no_longer_holds_are_not_late(store, gate):
    store.destroy("ann")
    gate.refresh()
    table = rows("ann", "ben").slice(1)
    assert gate.passing("ledger", table).num_rows == 1
    assert gate.late == set()


def test_an_empty_batch_passes(store, gate):
    store.destroy("ann")
    gate.refresh()
    assert gate.passing("ledger", rows()).num_rows == 0
