"""The golden recordings gate what becomes of recorded sessions: see tests/recordings and docs/recordings.md."""

import json
import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from analytics.recordings.container import RecordingError
from cli.regression import diff, regress
from tests.support.prerequisites import REPOSITORY
from tests.support.recordings import write_recording

GOLDEN = REPOSITORY / "tests" / "recordings"
WITH_A_CONSTANT_CHANGED = """
import sys
from dataflows import mapping
mapping.NECK_SHARE += 0.1
from cli.main import main
sys.argv = ["affectstream", "regress", *sys.argv[1:], "--json"]
main()
"""


def test_the_golden_recordings_replay_as_recorded(tmp_path):
    found = regress(GOLDEN, tmp_path / "report", lambda _: None)
    assert {case.name for case in found.cases} == {"sample.afr", "synthetic.afr"}
    assert found.ok, [case.verdict for case in found.cases]
    assert "2 of 2 recordings replay as recorded" in found.page.read_text()


def test_a_changed_constant_is_found_by_its_first_frame(tmp_path):
    # Uncompiled, the rules take the constant as it is now, and are the same to the bit.
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_CONSTANT_CHANGED, str(GOLDEN), "--out", str(tmp_path)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["passed"]
    sample = found["cases"][0]
    assert sample["name"] == "sample.afr"
    first = sample["difference"]["first"]
    assert (first["sequence"], first["channel"]) == (4, "angles.head_pitch")
    assert first["a"] != first["b"]
    assert set(sample["difference"]["channels"]) == {"angles.head_pitch", "angles.neck_pitch"}
    assert ET.parse(tmp_path / "junit.xml").getroot().get("failures") == "2"
    assert "first divergence: session" in (tmp_path / "index.html").read_text()


def test_what_cannot_be_read_is_a_failed_case(tmp_path):
    shutil.copy(GOLDEN / "sample.afr", tmp_path / "a.afr")
    (tmp_path / "b.afr").write_bytes((GOLDEN / "sample.afr").read_bytes()[:50_000])
    write_recording(tmp_path / "c.afr", [])
    found = regress(tmp_path, tmp_path / "report", lambda _: None)
    assert [case.passed for case in found.cases] == [True, False, False]
    assert "cut" in found.cases[1].error
    assert "holds no frames" in found.cases[2].error
    assert not found.ok


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(RecordingError, match="holds no recording"):
        regress(tmp_path, tmp_path, lambda _: None)


def test_diff():
    assert diff(GOLDEN / "sample.afr", GOLDEN / "sample.afr").keys()["identical"] is True
    other = diff(GOLDEN / "sample.afr", GOLDEN / "synthetic.afr")
    assert (other.compared, other.identical) == (0, False)
    assert other.first.channel == "presence"
