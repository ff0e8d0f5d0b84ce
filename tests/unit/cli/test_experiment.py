import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from runtime.errors import SettingsError

GOOD = """
name: livelier
status: running
control: usual
variants:
  usual: {}
  livelier: {mapping: direct_au, parameters: {tau_face_ms: 60}}
"""
RECORDINGS = Path(__file__).resolve().parents[2] / "recordings"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "livelier.yaml"
    path.write_text(GOOD)
    return path


def run(*arguments, code=0):
    ran = CliRunner().invoke(app, ["experiment", *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran.stdout


def last_json(text):
    return json.loads(text.splitlines()[-1])


def test_check_lists_good_ones_and_says_what_is_wrong(file):
    assert "usual 50% (control)" in run("check", file.parent)
    file.write_text(GOOD.replace("control: usual", "control: none"))
    ran = CliRunner().invoke(app, ["experiment", "check", str(file)])
    assert isinstance(ran.exception, SettingsError)
    assert "none of the variants" in str(ran.exception)


def test_assign_says_who_gets_what(file):
    told = last_json(run("assign", file, "p-1", "p-2", "p-3", "--json"))
    assert {each["variant"] for each in told.values()} == {"usual", "livelier"}
    assert "p-1: livelier, " in run("assign", file.parent, "p-1")


def test_plan_prints_units_to_write_down(file):
    text = run("plan", file, "--difference", "0.2", "--deviation", "1", "--units-a-day", "40")
    assert "units: 788" in text
    assert "19.7" in text
    assert last_json(run("plan", file, "--difference", "0.2", "--deviation", "1", "--json"))["units"] == 788


def test_a_plan_without_numbers_says_which(file):
    ran = CliRunner().invoke(app, ["experiment", "plan", str(file), "--difference", "0.2"])
    assert isinstance(ran.exception, SettingsError)
    assert "--deviation" in str(ran.exception)


def test_ab_fuses_recordings_under_both(file, tmp_path):
    out = tmp_path / "new" / "ab.html"
    text = run("ab", file, RECORDINGS / "synthetic.afr", "--out", out, "--json")
    found = last_json(text)["same_session"]["livelier"]
    assert found["sessions"] >= 3
    assert found["paired_ticks"] > 500
    rows = {row["name"]: row for row in found["metrics"]}
    assert rows["jitter"]["control"] != rows["jitter"]["treated"]
    assert "on the same sessions" in out.read_text()


def test_simulate_gives_the_same_report_again(file, tmp_path):
    pages = [tmp_path / f"{n}.html" for n in range(2)]
    found = [last_json(run("simulate", file, "--sessions", 12, "--out", page, "--json")) for page in pages]
    assert found[0] == found[1]
    assert pages[0].read_text() == pages[1].read_text()
    assert found[0]["population"]["assigned_sessions"] == 12
    assert found[0]["same_session"]["livelier"]["sessions"] == 12
    assert "people who do not exist" in pages[0].read_text()
