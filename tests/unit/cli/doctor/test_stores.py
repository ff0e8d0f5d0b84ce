"""What the doctor makes of the stores."""

from dataclasses import replace

import pytest

from analytics.state import ServerState
from cli.doctor.stores import GIB, check_clickhouse, check_keys, judge_disk, judge_server
from runtime.keystore import key_store
from runtime.settings import Settings

SERVER = ServerState("26.9.1", applied=8, known=8, free_bytes=100 * GIB, problem="")


@pytest.mark.parametrize("free,status", [(0.5, "failure"), (5, "warning"), (50, "ok")])
def test_a_disk_that_fills_up_is_told_in_time(tmp_path, free, status):
    assert judge_disk("data disk", tmp_path, int(free * GIB)).status == status


def test_a_key_store_is_looked_into(tmp_path):
    settings = Settings.from_env({}, data_dir=tmp_path)
    assert check_keys(settings).status == "warning"
    store = key_store(tmp_path)
    store.create("session")
    store.close()
    finding = check_keys(settings)
    assert (finding.status, finding.found) == ("ok", "keys of 1 session, sound")


def test_a_key_store_that_others_can_read_is_a_failure(tmp_path):
    store = key_store(tmp_path)
    store.create("session")
    store.close()
    (tmp_path / "keys.sqlite3").chmod(0o644)
    finding = check_keys(Settings.from_env({}, data_dir=tmp_path))
    assert finding.status == "failure"
    assert finding.remedy == f"chmod 600 {tmp_path / 'keys.sqlite3'}"


def test_a_damaged_key_store_is_a_failure(tmp_path):
    path = tmp_path / "keys.sqlite3"
    path.write_bytes(b"SQLite format 3\x00" + bytes(200))
    path.chmod(0o600)
    finding = check_keys(Settings.from_env({}, data_dir=tmp_path))
    assert finding.status == "failure"
    assert "backup" in finding.remedy


@pytest.mark.parametrize(
    "change,status",
    [
        ({}, "ok"),
        ({"applied": 6}, "warning"),
        ({"free_bytes": GIB}, "warning"),
        ({"problem": "migration 0003 was changed"}, "failure"),
    ],
)
def test_a_server_is_judged_by_its_tables_and_its_room(change, status):
    assert judge_server(replace(SERVER, **change)).status == status


def test_a_dsn_that_cannot_be_is_said(tmp_path):
    finding = check_clickhouse(Settings.from_env({}, clickhouse_dsn="mysql://x", data_dir=tmp_path))
    assert finding.status == "failure"
    assert "CLICKHOUSE_DSN" in finding.found
