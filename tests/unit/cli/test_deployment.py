"""What a deployment removes before it starts."""

import pytest

from cli.deployment import FORGETFUL, forget
from runtime.errors import AffectstreamError


def fill(folder):
    (folder / "kafka" / "log").mkdir(parents=True)
    (folder / "kafka" / "log" / "00000000.log").write_bytes(b"records")
    (folder / "fusion").mkdir()
    for name in ("keys.sqlite3", "keys.sqlite3-wal"):
        (folder / name).write_bytes(b"keys")
    (folder / "logs").mkdir()
    (folder / "logs" / "ingest.log").write_text("said")


def test_log_stores_and_keys_of_a_forgetful_run_are_gone_and_what_it_said_stays(tmp_path):
    forget(tmp_path)
    fill(tmp_path)
    forget(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FORGETFUL, "logs"]
    assert (tmp_path / "logs" / "ingest.log").read_text() == "said"


def test_what_something_else_keeps_is_not_touched(tmp_path):
    fill(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AffectstreamError, match=r"kafka, fusion, keys.sqlite3, keys.sqlite3-wal.*--data-dir"):
        forget(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
