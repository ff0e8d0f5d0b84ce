import json
import subprocess
import sys

import pytest

from cli.recordings import _speed
from runtime.errors import SettingsError
from tests.support.prerequisites import REPOSITORY

SAMPLE = str(REPOSITORY / "tests" / "recordings" / "sample.afr")
SYNTHETIC = str(REPOSITORY / "tests" / "recordings" / "synthetic.afr")


def affectstream(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_speeds():
    assert [_speed(text) for text in ("max", "1", "0.5")] == [0.0, 1.0, 0.5]
    for text in ("0", "-1", "nan", "inf", "fast"):
        with pytest.raises(SettingsError, match="--speed"):
            _speed(text)


def test_diff_says_it_by_its_exit_code_and_in_json():
    same = affectstream("diff", SAMPLE, SAMPLE, "--json")
    assert same.returncode == 0
    assert json.loads(same.stdout) == {"identical": True, "frames": 182}
    other = affectstream("diff", SAMPLE, SYNTHETIC, "--json")
    assert other.returncode == 1
    first = json.loads(other.stdout)["first"]
    assert set(first) == {"session", "sequence", "channel", "a", "b"}


def test_replay_prints_its_figures_and_writes_what_it_gave(tmp_path):
    out = tmp_path / "again.afr"
    answer = affectstream("replay", SAMPLE, "--out", str(out), "--json")
    assert answer.returncode == 0, answer.stderr
    keys = json.loads(answer.stdout)
    assert {"speedup", "sha256"} <= set(keys)
    assert keys["identical"] is True
    assert affectstream("diff", SAMPLE, str(out)).returncode == 0


def test_a_hostile_file_is_one_line(tmp_path):
    path = tmp_path / "x.afr"
    path.write_bytes(b"Obj\x01" + b"\xff" * 100)
    for command in (["replay", str(path)], ["diff", str(path), SAMPLE]):
        answer = affectstream(*command)
        assert answer.returncode == 2
        assert answer.stderr.startswith("affectstream: ")
        assert "Traceback" not in answer.stderr
