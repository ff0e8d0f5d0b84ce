"""``affectstream sessions`` and ``retention`` without a role that runs."""

import json
import subprocess
import sys

import pytest

from analytics.retention_report import spell
from runtime.keystore import key_store
from tests.support.prerequisites import REPOSITORY

SESSION = "0b5c7a1e9d3f4c2a8e6d5b4a"


def affectstream(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_without_the_role_keys_are_destroyed_and_the_rest_is_noted(tmp_path):
    store = key_store(tmp_path)
    store.create(SESSION)
    answer = affectstream("sessions", "erase", SESSION, "--data-dir", str(tmp_path))
    assert answer.returncode == 0
    assert "does not run here" in answer.stderr
    assert store.keys(SESSION) == {}
    listed = affectstream("sessions", "erasures", "--data-dir", str(tmp_path), "--json")
    (audit,) = json.loads(listed.stdout)
    assert (audit["asked_by"], audit["scope"], audit["done"], audit["counts"]) == (
        "operator",
        "session",
        [],
        {"keys": 3},
    )
    assert SESSION not in listed.stdout
    shown = affectstream("sessions", "erasures", "--data-dir", str(tmp_path))
    assert "under way" in shown.stdout
    store.close()


@pytest.mark.parametrize("arguments", [(), (SESSION, "--subject", "s")])
def test_one_session_or_a_subject_must_be_named(arguments):
    answer = affectstream("sessions", "erase", *arguments)
    assert answer.returncode == 2
    assert "give either a session's id or --subject" in answer.stderr


def test_a_subject_needs_the_role(tmp_path):
    answer = affectstream("sessions", "erase", "--subject", "s", "--data-dir", str(tmp_path))
    assert answer.returncode == 2
    assert "does not run here" in answer.stderr


def test_nothing_erased_is_said(tmp_path):
    assert "nothing was erased yet" in affectstream("sessions", "erasures", "--data-dir", str(tmp_path)).stdout


def test_durations_are_spelt():
    assert [spell(ms) for ms in (None, 600_000, 86_400_000, 7 * 86_400_000, 5_400_000, 90_500)] == [
        "", "10 min", "1 d", "7 d", "90 min", "90.5 s",
    ]  # fmt: skip
