"""Failures in a plan: against what can be worked out by hand."""

import random

import pytest

from cli.planning.figures import read_figures
from cli.planning.simulation import DAY_S, Failure, _course, breaks_first, failures_of, simulate
from cli.planning.sizing import Demand, make_plan

FIGURES = read_figures()
PLAN = make_plan(FIGURES, Demand(100_000, media_share=0.01))


def test_the_same_seed_gives_the_same_report_and_another_another():
    assert simulate(PLAN, FIGURES, days=10) == simulate(PLAN, FIGURES, days=10)
    assert simulate(PLAN, FIGURES, days=10) != simulate(PLAN, FIGURES, days=10, seed=2)


def test_failures_come_as_often_as_their_mean_says():
    report = simulate(PLAN, FIGURES, days=300)
    counted = {outcome.name: outcome.failures for outcome in report.outcomes}
    for failure in failures_of(PLAN, FIGURES):
        expected = failure.units * 300 / failure.mean_days
        assert counted[failure.name] == pytest.approx(expected, rel=0.25, abs=4 * expected**0.5 + 2)


def test_a_stall_and_what_is_worked_off_after_it_take_what_arithmetic_says():
    failure = Failure("one", units=1, sessions_a_unit=10.0, mean_days=1e6, stall_s=8.0)
    rng = random.Random(3)
    stretches = []
    while not stretches:
        stretches = list(_course(failure, 1e6 * DAY_S, catch_up=5.0, rng=rng))
    (from_s, to_s, weight, lasted_s), (then_s, end_s, _, drained_s) = stretches[:2]
    assert (from_s, weight) == (0.0, 10.0)
    assert to_s == lasted_s == then_s, "late by as long as it stood still"
    assert 4.0 <= to_s <= 12.0
    assert end_s == 0.0
    assert drained_s == pytest.approx(to_s / 4.0)


def test_a_unit_that_fails_again_while_it_catches_up_begins_with_what_waits():
    failure = Failure("often", units=1, sessions_a_unit=1.0, mean_days=3.0 / DAY_S, stall_s=10.0)
    stretches = list(_course(failure, 300.0, catch_up=1.5, rng=random.Random(1)))
    stalls = [stretch for stretch in stretches if stretch[1] > stretch[0]]
    assert any(stall[0] > 0 for stall in stalls)
    assert all(stretch[3] >= 0 for stretch in stretches)


def test_longer_recoveries_are_later_frames():
    slow = dict(FIGURES.recovery)
    slow["restart_s"] = slow["restart_s"].model_copy(update={"value": 60.0})
    worse = simulate(PLAN, FIGURES.model_copy(update={"recovery": slow}), days=30)
    usual = simulate(PLAN, FIGURES, days=30)
    assert worse.gone_share > 3 * usual.gone_share
    assert usual.gone_share <= usual.late_share


def test_nothing_breaks_below_the_planned_demand_and_something_breaks_first():
    for sessions in (1_000, 100_000, 1_000_000):
        plan = make_plan(FIGURES, Demand(sessions, media_share=0.02))
        order = breaks_first(plan, random.Random(1))
        factors = [factor for _, factor in order]
        assert factors == sorted(factors)
        assert factors[0] > 1.0, order[0]


def test_without_a_zone_the_rest_carries_half_as_much_again():
    report = simulate(PLAN, FIGURES, days=1)
    for (name, factor), (same, share) in zip(report.first, report.without_a_zone(), strict=True):
        assert name == same
        assert share == pytest.approx(1.5 / factor)


def test_a_million_sessions_are_simulated_in_seconds():
    report = simulate(make_plan(FIGURES, Demand(1_000_000)), FIGURES, days=30)
    assert report.events > 1_000
    assert report.p50_ms == pytest.approx(40.0)
    assert 0 < report.gone_share < 0.001
