"""By simulation, seeded: what is promised at 5 % happens at 5 %, what is to be found at 80 % is found at 80 %."""

import math

import numpy as np
import pytest
from scipy import stats

from analytics.experiments.planning import SEQUENTIAL_INFLATION, PlanError, plan
from analytics.experiments.statistics import (
    SRM_THRESHOLD,
    clustered_mean,
    corrected,
    cuped,
    difference,
    first_look,
    mean_of,
    sample_ratio,
    sequence,
)

SIMS = 1_000
HALVES = {"a": 0.5, "b": 0.5}


def within(rate, wanted, sims=SIMS):
    """Whether a rate over simulations is what was promised, within four standard errors."""
    return abs(rate - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / sims)


def drawn(kind, shape, rng):
    if kind == "normal":
        return rng.normal(3, 1, shape)
    if kind == "skewed":
        return rng.lognormal(0, 1, shape)
    return 100.0 * (rng.random(shape) < {"tenth": 0.1, "rare": 0.03}[kind])


# a fixed horizon


@pytest.mark.parametrize("kind, n", [("normal", 40), ("skewed", 200), ("tenth", 150)])
def test_a_a_runs_differ_in_5_percent_and_intervals_cover_in_95(kind, n):
    rng = np.random.default_rng(11)
    found = [
        difference(*drawn(kind, (2, n), rng), confidence=0.95, share=kind == "tenth") for _ in range(SIMS)
    ]  # fmt: skip
    assert within(np.mean([each.p_value < 0.05 for each in found]), 0.05)
    assert within(np.mean([each.low <= 0 <= each.high for each in found]), 0.95)


@pytest.mark.parametrize("kind, truth", [("normal", 3.0), ("tenth", 10.0)])
def test_the_interval_of_a_mean_covers_it(kind, truth):
    rng = np.random.default_rng(12)
    found = [mean_of(drawn(kind, 100, rng), confidence=0.95, share=kind == "tenth") for _ in range(SIMS)]
    assert within(np.mean([each.low <= truth <= each.high for each in found]), 0.95)


def test_values_that_do_not_vary_are_no_error():
    same = np.zeros(30)
    assert difference(same, same, confidence=0.95).p_value == 1
    assert difference(same, same, confidence=0.95, share=True).p_value == 1
    assert difference(same + 1, same, confidence=0.95).p_value == 0
    assert mean_of(np.array([3.0]), confidence=0.95).value == 3


# the plan


@pytest.mark.parametrize("shares", [HALVES, {"a": 0.7, "b": 0.3}])
def test_a_planned_effect_is_found_at_the_stated_power(shares):
    wanted = plan(shares, "a", difference=0.3, deviation=1.0, power=0.8)
    rng = np.random.default_rng(13)
    found = [
        difference(
            rng.normal(0.3, 1, wanted.per_variant["b"]), rng.normal(0, 1, wanted.per_variant["a"]), confidence=0.95
        ).p_value < 0.05
        for _ in range(SIMS)
    ]  # fmt: skip
    assert within(np.mean(found), 0.8)


def test_a_planned_change_of_a_share_is_found_at_the_stated_power():
    wanted = plan(HALVES, "a", difference=-5.0, baseline_share=12.0, power=0.9)
    rng = np.random.default_rng(14)
    found = [
        difference(
            100.0 * (rng.random(wanted.per_variant["b"]) < 0.07), 100.0 * (rng.random(wanted.per_variant["a"]) < 0.12),
            confidence=0.95, share=True,
        ).p_value < 0.05
        for _ in range(SIMS)
    ]  # fmt: skip
    assert within(np.mean(found), 0.9)


def test_a_plan_knows_covariates_metrics_exposure_and_days():
    base = plan(HALVES, "a", difference=0.2, deviation=1.0)
    assert base.units == 788  # the textbook's 393.4 a side
    assert plan(HALVES, "a", difference=0.2, deviation=1.0, covariate_correlation=0.6).units == pytest.approx(
        base.units * 0.64, rel=0.02
    )
    assert plan(HALVES, "a", difference=0.2, deviation=1.0, metrics=8).alpha == pytest.approx(0.05 / 8)
    found = plan(HALVES, "a", difference=0.2, deviation=1.0, exposed=0.8, traffic=0.5, units_a_day=100)
    assert found.sessions == 985
    assert found.days == pytest.approx(19.7)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"difference": 0.0}, "would matter"),
        ({"deviation": None}, "--deviation"),
        ({"baseline_share": 3.0, "difference": -4.0}, "cannot become -1 %"),
        ({"control": "c"}, "none of the variants"),
    ],
)
def test_a_plan_that_cannot_be_made_says_what_is_needed(changes, told):
    with pytest.raises(PlanError, match=told):
        plan(**{"shares": HALVES, "control": "a", "difference": 0.1, "deviation": 1.0} | changes)


# looking at any time


@pytest.mark.parametrize("kind", ["normal", "skewed", "tenth", "rare"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_a_runs_that_are_looked_at_after_every_unit_differ_in_5_percent_at_most(kind, share):
    rng = np.random.default_rng(15)
    shape = (SIMS, 1_200)
    treated = rng.random(shape) < share
    found = sequence(
        drawn(kind, shape, rng),
        treated,
        share=share,
        confidence=0.95,
        planned=400,
        percentages=kind in {"tenth", "rare"},
    )
    ever = ((found.low > 0) | (found.high < 0)).any(axis=-1).mean()
    assert ever <= 0.05 or within(ever, 0.05)
    assert ever == (found.p_value < 0.05).any(axis=-1).mean(), "p-value and interval say the same"


def test_the_check_notices_a_horizon_that_is_not_kept():
    """A check of the check: Welch's test after every unit finds differences in far more than 5 % of A/A runs."""
    rng = np.random.default_rng(16)
    values, treated = rng.normal(0, 1, (300, 600)), rng.random((300, 600)) < 0.5
    n1, n0 = treated.cumsum(axis=1), (~treated).cumsum(axis=1)
    means = [(values * side).cumsum(axis=1) / np.maximum(count, 1) for side, count in ((treated, n1), (~treated, n0))]
    z = np.abs(means[0] - means[1]) / np.sqrt(1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1))
    ever = (z[:, 100:] > stats.norm.ppf(0.975)).any(axis=1).mean()
    assert ever > 0.15


def test_a_sequence_covers_the_truth_at_all_times_at_once():
    rng = np.random.default_rng(17)
    treated = rng.random((SIMS, 1_000)) < 0.5
    found = sequence(rng.normal(0, 1, treated.shape) + 0.4 * treated, treated, share=0.5, confidence=0.9, planned=300)
    known = np.isfinite(found.low)
    covered = ((found.low <= 0.4) & (found.high >= 0.4) | ~known).all(axis=-1).mean()
    assert covered >= 0.9


def test_with_the_sequential_plan_an_effect_is_found_at_the_stated_power():
    wanted = plan(HALVES, "a", difference=0.3, deviation=1.0, power=0.8)
    assert wanted.units_sequential == math.ceil(wanted.units * SEQUENTIAL_INFLATION)
    rng = np.random.default_rng(18)
    treated = rng.random((SIMS, wanted.units_sequential)) < 0.5
    values = rng.normal(0, 1, treated.shape) + 0.3 * treated
    found = sequence(values, treated, share=0.5, confidence=0.95, planned=wanted.units)
    assert (found.low > 0).any(axis=-1).mean() >= 0.8 - 4 * math.sqrt(0.16 / SIMS)


def test_there_is_no_interval_before_the_first_look():
    treated = np.arange(300) % 2 == 0
    found = sequence(np.arange(300.0), treated, share=0.5, confidence=0.95, planned=100)
    assert np.isfinite(found.low).argmax() == 2 * first_look(0.5) - 1
    assert found.p_value[0] == 1
    assert first_look(0.1) == 100


# CUPED


def test_a_covariate_takes_its_share_of_the_variance_off_and_nothing_else():
    rng = np.random.default_rng(19)
    correlation, found, plain = 0.7, [], []
    for _ in range(400):
        before = rng.normal(0, 1, (2, 150))
        after = correlation * before + math.sqrt(1 - correlation**2) * rng.normal(0, 1, (2, 150))
        adjusted = cuped(after[0] + 0.2, after[1], (before[0], before[1]), confidence=0.95)
        assert adjusted is not None
        found.append(adjusted)
        plain.append(difference(after[0] + 0.2, after[1], confidence=0.95))
    assert np.mean([each.variance_removed for each in found]) == pytest.approx(correlation**2, abs=0.03)
    values = np.array([each.estimate.value for each in found])
    assert values.mean() == pytest.approx(0.2, abs=0.02)
    assert np.var(values) == pytest.approx(np.var([each.value for each in plain]) * (1 - correlation**2), rel=0.25)
    assert within(np.mean([each.estimate.low <= 0.2 <= each.estimate.high for each in found]), 0.95, 400)


def test_units_that_are_new_count_as_they_are():
    rng = np.random.default_rng(20)
    after, before = rng.normal(0, 1, (2, 60)), np.full((2, 60), np.nan)
    assert cuped(after[0], after[1], (before[0], before[1]), confidence=0.95) is None
    before[:, :30] = after[:, :30]
    found = cuped(after[0], after[1], (before[0], before[1]), confidence=0.95)
    assert found is not None
    assert found.units == 60
    assert 0.2 < found.variance_removed < 0.8


# sample ratios, many metrics, clusters


def test_a_sample_ratio_is_mistrusted_once_in_a_thousand_by_chance_and_when_it_is_off():
    rng = np.random.default_rng(21)
    counts = rng.binomial(1_000, 0.5, 4_000)
    wrong = np.mean([sample_ratio({"a": int(c), "b": 1_000 - int(c)}, HALVES).verdict == "mismatch" for c in counts])
    assert within(wrong, SRM_THRESHOLD, 4_000)
    assert sample_ratio({"a": 580, "b": 420}, HALVES).verdict == "mismatch"
    assert sample_ratio({"a": 70, "b": 30}, {"a": 0.7, "b": 0.3}).verdict == "ok"
    assert sample_ratio({"a": 4, "b": 0}, HALVES).verdict == "too_few"


def test_many_metrics_are_corrected_for():
    assert corrected([0.01, 0.04, math.nan, 0.03], "holm")[:2] == pytest.approx([0.03, 0.06])
    assert corrected([0.01, 0.04, 0.03], "bh") == pytest.approx([0.03, 0.04, 0.04])
    assert corrected([0.01, 0.04], "none") == [0.01, 0.04]
    assert math.isnan(corrected([math.nan], "holm")[0])


def test_the_bootstrap_over_sessions_covers_where_one_over_ticks_would_not():
    rng = np.random.default_rng(23)
    covered = naive = 0
    for i in range(150):
        effects = rng.normal(0.1, 1, 40)
        ticks = rng.integers(200, 600, 40).astype(float)
        sums = effects * ticks + rng.normal(0, np.sqrt(ticks))
        found = clustered_mean(sums, ticks, confidence=0.95, seed=i)
        covered += found.low <= 0.1 <= found.high
        half = 1.96 * math.sqrt(2 / ticks.sum())
        naive += abs(sums.sum() / ticks.sum() - 0.1) <= half
    assert covered / 150 > 0.87
    assert naive / 150 < 0.5


def test_turned_signs_find_an_effect_and_none_where_there_is_none():
    rng = np.random.default_rng(24)
    ticks = np.full(30, 300.0)
    assert clustered_mean(rng.normal(1, 1, 30) * ticks, ticks, confidence=0.95).p_value < 0.01
    assert clustered_mean(rng.normal(0, 1, 30) * ticks, ticks, confidence=0.95).p_value > 0.01
    assert clustered_mean(np.zeros(30), ticks, confidence=0.95).p_value == 1
    assert math.isnan(clustered_mean(np.ones(2), ticks[:2], confidence=0.95).low)
