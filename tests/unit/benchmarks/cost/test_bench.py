"""From loads to what a process and a session cost."""

from datetime import UTC, datetime

import pytest

from benchmarks.cost.bench import Load, Results


def load(kind, sessions, **cores):
    return Load(kind, sessions, 10.0, cores, {}, 1.0, {})


def results(*loads):
    return Results({"edge": 0.01, "kafka": 0.1}, loads, [0.0] * len(loads), "a machine", datetime.now(UTC))


def test_a_line_through_the_loads_tells_a_process_from_its_sessions():
    found = results(*(load("features", n, edge=0.05 + 0.004 * n, kafka=0.3 + 0.002 * n) for n in (20, 50, 80)))
    assert found.active() == pytest.approx({"edge": 0.05, "kafka": 0.3})
    assert found.cost("features") == pytest.approx({"edge": 0.004, "kafka": 0.002})


def test_media_are_laid_through_the_idle_point():
    found = results(load("media", 2, edge=0.21, kafka=0.3))
    assert found.cost("media") == pytest.approx({"edge": 0.1, "kafka": 0.1})


def test_one_load_alone_tells_nothing_of_sessions():
    found = results(load("features", 20, edge=0.2, kafka=0.5))
    assert found.active() == {"edge": 0.01, "kafka": 0.1}
    assert found.cost("features") == {"edge": 0.0, "kafka": 0.0}
