"""The laws of assigning variants: uniform by the shares, stable, independent across experiments and salts."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare, kstest

from schemas.experiments import Candidate, Catalogue, Experiment, Variant, position
from schemas.fusion_config import FusionConfig

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
texts = st.text(min_size=1, max_size=20)
UNITS = 4_000


def experiment(name: str, salt: str, weights: list[float], traffic: float = 1.0) -> Experiment:
    variants = tuple(
        Variant(f"v{i:02d}", weight / sum(weights), FusionConfig.of({"tau_face_ms": float(i)}))
        for i, weight in enumerate(weights)
    )
    return Experiment(
        name, "", "running", salt, 0, traffic, None, audio=False, video=False, primary="rating", units=1_000,
        control="v00", variants=variants,
    )  # fmt: skip


def units(seed: int) -> list[str]:
    return [f"{seed:x}-{i}" for i in range(UNITS)]


def drawn(experiment: Experiment, seed: int) -> list[str]:
    return [experiment.draw(unit).name for unit in units(seed)]


@given(names, texts, texts)
def test_a_draw_is_the_same_for_ever(name, salt, unit):
    one = experiment(name, salt, [1, 2, 3], 0.3)
    other = experiment(name, salt, [1, 2, 3], 0.3)
    assert one.draw(unit) == other.draw(unit)
    assert one.admits(unit) == other.admits(unit)
    assert 0 <= position("variant", name, salt, unit) < 1


# A law that holds with probability 1 - 1e-7 each time: derandomised, so that it cannot fail by chance alone.
@settings(max_examples=25, derandomize=True)
@given(names, texts, st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.integers(0, 1 << 20))
def test_variants_come_by_their_shares(name, salt, weights, seed):
    chosen = experiment(name, salt, weights)
    found = drawn(chosen, seed)
    counts = [found.count(variant.name) for variant in chosen.variants]
    expected = [variant.share * UNITS for variant in chosen.variants]
    assert chisquare(counts, expected).pvalue > 1e-7


@settings(max_examples=15, derandomize=True)
@given(names, texts, st.integers(0, 1 << 20))
def test_positions_are_uniform(name, salt, seed):
    assert kstest([position("traffic", name, salt, unit) for unit in units(seed)], "uniform").pvalue > 1e-7


@settings(max_examples=15, derandomize=True)
@given(st.lists(names, min_size=2, max_size=2, unique=True), texts, st.integers(0, 1 << 20))
def test_draws_of_two_experiments_are_independent(two, salt, seed):
    first, second = (drawn(experiment(name, salt, [1, 1]), seed) for name in two)
    assert _independent(first, second)


@settings(max_examples=15, derandomize=True)
@given(names, st.lists(texts, min_size=2, max_size=2, unique=True), st.integers(0, 1 << 20))
def test_a_new_salt_is_a_new_draw(name, salts, seed):
    first, second = (drawn(experiment(name, salt, [1, 1]), seed) for salt in salts)
    assert _independent(first, second)


@settings(max_examples=15, derandomize=True)
@given(names, texts, st.integers(0, 1 << 20))
def test_being_admitted_says_nothing_of_the_variant(name, salt, seed):
    chosen = experiment(name, salt, [1, 1], 0.5)
    assert _independent([str(chosen.admits(unit)) for unit in units(seed)], drawn(chosen, seed))


@settings(max_examples=15, derandomize=True)
@given(st.lists(names, min_size=2, max_size=2, unique=True), texts, st.integers(0, 1 << 20))
def test_what_one_experiment_leaves_is_a_random_sample_for_the_next(two, salt, seed):
    """Half of the units go to the first; among those that reach the second, its variants are as balanced as ever."""
    first, second = experiment(two[0], salt, [1, 1], 0.5), experiment(two[1], salt, [1, 1])
    catalogue = Catalogue([replace(first, priority=-1), second])
    taken = [catalogue.assign(Candidate(unit, "live", audio=True, video=True)) for unit in units(seed)]
    counts = [sum(t is not None and t[0].name == two[1] and t[1].name == f"v{i:02d}" for t in taken) for i in (0, 1)]
    assert chisquare(counts).pvalue > 1e-7
    assert abs(sum(counts) - UNITS / 2) < 6 * np.sqrt(UNITS) / 2


@given(names, texts, texts, st.floats(0.01, 1), st.floats(0.01, 1))
def test_more_traffic_keeps_those_who_were_in(name, salt, unit, a, b):
    small, large = sorted((a, b))
    assert not experiment(name, salt, [1, 1], small).admits(unit) or experiment(name, salt, [1, 1], large).admits(unit)


def _independent(first: list[str], second: list[str]) -> bool:
    table = [[sum(p == (a, b) for p in zip(first, second, strict=True)) for b in sorted(set(second))]
             for a in sorted(set(first))]  # fmt: skip
    return bool(chi2_contingency(table).pvalue > 1e-7)
