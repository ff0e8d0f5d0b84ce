"""From loads to what a session costs."""

from datetime import UTC, datetime

import pytest

from benchmarks.cost.bench import Load, Results


def load(kind, sessions, **cores):
    return Load(kind, sessions, 10.0, cores, {"signals": 100.0 * sessions}, 1.0, {})


def results(*loads, predicted=()):
    return Results({"edge": 0.01, "kafka": 0.1}, loads, predicted, "a machine", datetime.now(UTC))


def test_a_session_costs_what_it_does_among_many():
    found = results(load("features", 100, edge=0.41, kafka=0.3), load("features", 20, edge=0.21, kafka=0.3))
    assert found.cost("features") == pytest.approx({"edge": 0.004, "kafka": 0.002})
    assert found.bytes_of("features") == {"signals": 100.0}


def test_loads_are_told_by_size_above_what_idles():
    loads = load("features", 100, edge=0.41, kafka=0.3), load("features", 20, edge=0.21, kafka=0.05)
    found = results(*loads, predicted=[1, 1])
    told = found.keys()["above_idle"]["features"]
    assert [one["sessions"] for one in told] == [20, 100]
    assert told[0]["cores"] == pytest.approx({"edge": 0.2, "kafka": 0.0})


def test_kinds_are_apart_and_nothing_costs_less_than_nothing():
    found = results(load("features", 50, edge=0.2, kafka=0.2), load("media", 2, edge=0.21, kafka=0.09))
    assert found.cost("media") == pytest.approx({"edge": 0.1, "kafka": 0.0})


def test_a_prediction_is_off_by_its_share_of_what_was_measured():
    found = results(load("features", 50, edge=0.5, kafka=0.5), predicted=[1.2])
    assert found.errors() == pytest.approx([0.2])
