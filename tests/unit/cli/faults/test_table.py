from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli.faults.catalogue import FAULTS, SHORT
from cli.faults.suite import Outcome, Suite, told
from cli.faults.table import BEGIN, END, table, write
from runtime.errors import AffectstreamError

GOOD = Outcome("a", "a role: SIGKILL", lasted_s=0.1, silent_s=1.5, back_s=1.2, dropped=7)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_one_row_a_fault():
    said = table(Suite([GOOD, Outcome("b", "Redis gone", skipped="no server")], "a machine", AT))
    assert "| a role: SIGKILL | 0.1 | 1.5 | 1.2 | 0 | 0 | 7 |" in said
    assert "| Redis gone | not tried: no server |" in said
    assert "a machine, 2026-01-01" in said


@pytest.mark.parametrize("harm", ["repeated", "lost", "doubled", "sound_dropped"])
def test_any_harm_is_a_failure(harm):
    bad = replace(GOOD, **{harm: 1})
    assert not bad.ok
    assert not Suite([GOOD, bad], "", AT).ok
    assert "LOST" in told(bad)


def test_a_problem_is_a_failure_and_is_told():
    bad = replace(GOOD, problem="no frames")
    assert not bad.ok
    assert "no frames" in told(bad)
    assert "**no frames**" in table(Suite([bad], "", AT))


def test_pictures_that_gave_way_are_no_harm():
    assert GOOD.ok
    assert "nothing lost or doubled" in told(GOOD)


def test_what_was_not_tried_does_not_count():
    assert Suite([GOOD, Outcome("b", "b", skipped="why")], "", AT).ok


def test_the_table_goes_between_its_marks(tmp_path):
    document = tmp_path / "reliability.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    suite = Suite([GOOD], "a machine", AT)
    write(suite, document)
    write(suite, document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("SIGKILL") == 1
    assert "old" not in text


def test_a_document_without_a_place_is_left_alone(tmp_path):
    document = tmp_path / "reliability.md"
    document.write_text("nothing", encoding="utf-8")
    with pytest.raises(AffectstreamError):
        write(Suite([GOOD], "", AT), document)


def test_keys_are_unique_and_the_short_ones_exist():
    keys = [fault.key for fault in FAULTS]
    assert len(set(keys)) == len(keys)
    assert set(SHORT) <= set(keys)
