"""The newcomer's command, as it is typed: ``affectstream demo --headless-seconds 30``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.prerequisites import REPOSITORY, missing


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("demo")
    command = [
        sys.executable,
        "-m",
        "cli",
        "demo",
        "--headless-seconds",
        "30",
        "--port",
        "0",
        "--data-dir",
        str(data_dir),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=240)
    if answer.returncode == 2:
        missing(answer.stderr.strip().splitlines()[-1])
    logs = "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in (data_dir / "logs").glob("*.log"))
    assert answer.stdout.strip(), f"{answer.stderr}\n{logs}"
    found = json.loads(answer.stdout)
    found["exit_code"] = answer.returncode
    found["logs"] = logs
    found["data_dir"] = str(data_dir)
    return found


def test_it_exits_0_without_problems(summary):
    assert summary["problems"] == [], summary["logs"]
    assert summary["exit_code"] == 0


def test_frames_come_out_without_gaps(summary):
    assert summary["frames"] > 600
    assert summary["emotion_updates"] > 200
    assert summary["sequence_gaps"] == 0
    assert summary["repeated_frames"] == 0


def test_the_smile_is_seen(summary):
    assert summary["happy_on_top_share"] > 0.9


def test_speech_is_told_from_silence(summary):
    assert summary["speaking_in_speech"] > 0.7
    assert summary["speaking_in_silence"] < 0.3


def test_rows_equal_records_and_the_ledger_balances(summary):
    assert summary["rows_equal_records"]
    assert summary["topics"]["avatar.frames"]["rows"] > 600
    assert summary["ledger_balanced"], summary["ledger_checks"]


def test_no_role_had_to_be_restarted(summary):
    assert set(summary["restarts"].values()) == {0}


def test_nothing_is_left_running(summary):
    # Every child was told the data directory, by its environment or on its command line.
    assert [
        path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _knows(path, summary["data_dir"])
    ] == []


def _knows(process: Path, word: str) -> bool:
    try:
        return word.encode() in process.read_bytes() + process.with_name("cmdline").read_bytes()
    except OSError:
        return False
