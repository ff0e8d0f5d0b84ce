"""Records that are carried over: sealed with their own session's key, bound to their place."""

from dataclasses import replace

import pytest

from runtime.errors import SealBroken
from runtime.kept import keep, restored
from runtime.keystore import KeyRing, MemoryKeyStore


def test_kept_and_restored_until_its_session_is_erased():
    keys = KeyRing(MemoryKeyStore())
    keys.refresh()
    record = keep(keys, "ann", b"a signal", topic="signals", partition=2, offset=7, published_at_ms=9)
    assert record is not None
    assert record.session == keys.store.digest("ann")
    assert b"a signal" not in record.value
    assert restored(keys, "ann", record) == b"a signal"
    with pytest.raises(SealBroken):
        restored(keys, "ann", replace(record, offset=8))
    keys.store.destroy("ann")
    keys.refresh()
    assert restored(keys, "ann", record) is None
    assert keep(keys, "ann", b"late", topic="signals", partition=2, offset=8, published_at_ms=9) is None
