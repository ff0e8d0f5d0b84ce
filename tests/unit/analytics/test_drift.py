import math

import numpy as np
import pytest

from analytics.drift import (
    CHANNELS,
    FEWEST_SESSIONS,
    Channel,
    Period,
    by_session,
    compare,
    deal_p_value,
    js_distance,
    shares,
    stability_index,
    verdict_of,
)

HALVES = Channel("half", "Half", "0 to 1", (0.0, 0.5, 1.0))


def counts(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, float)


def test_the_index_is_what_its_definition_says():
    p, q = np.array([0.6, 0.4]), np.array([0.5, 0.5])
    by_hand = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert stability_index(p, q) == pytest.approx(by_hand)
    assert stability_index(q, p) == pytest.approx(by_hand)
    assert stability_index(100 * p, 7 * p) == pytest.approx(0.0)


def test_an_empty_class_gives_a_finite_index():
    found = stability_index(np.array([10.0, 0.0]), np.array([0.0, 10.0]))
    assert 9 < found < 20
    assert shares(np.zeros(4)).tolist() == [0.25] * 4


def test_the_distance_goes_from_none_to_one():
    assert js_distance(np.array([3.0, 3.0]), np.array([1.0, 1.0])) == pytest.approx(0.0, abs=1e-9)
    assert js_distance(np.array([9.0, 0.0]), np.array([0.0, 2.0])) == pytest.approx(1.0, abs=1e-2)


def test_each_session_weighs_the_same():
    long_one = counts((90_000, 10_000), (1, 9), (1, 9), (0, 0))
    assert by_session(long_one).tolist() == [[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]


def test_chance_is_told_from_change():
    rng = np.random.default_rng(1)

    def sessions(level: float, n: int) -> np.ndarray:
        p = np.clip(level + rng.normal(0, 0.1, n), 0.05, 0.95)
        return np.stack([p, 1 - p], axis=1)

    same = [deal_p_value(sessions(0.5, 12), sessions(0.5, 12), deals=199, seed=n) for n in range(60)]
    assert sum(p < 0.05 for p in same) <= 9
    assert min(same) > 0
    assert deal_p_value(sessions(0.2, 12), sessions(0.7, 12)) < 0.01


@pytest.mark.parametrize(
    "psi, p, verdict",
    [
        (0.09, 0.001, "stable"),
        (0.3, 0.2, "chance"),
        (0.1, 0.009, "moderate"),
        (0.25, 0.001, "large"),
    ],
)
def test_verdicts(psi, p, verdict):
    assert verdict_of(psi, p) == verdict


def period(*rows: tuple[float, float]) -> Period:
    table = counts(*rows)
    return Period(len(rows), int(table.sum()), {"half": table}, {"half": table[:, 1] * 0.75 + table[:, 0] * 0.25})


def test_a_channel_is_compared_with_its_means_and_shares():
    now, before = period(*[(1, 9)] * 8), period(*[(9, 1)] * 8)
    (found,) = compare(now, before, [HALVES])
    assert found["verdict"] == "large"
    assert found["shares"] == [0.1, 0.9]
    assert found["reference_shares"] == [0.9, 0.1]
    assert (found["mean"], found["reference_mean"]) == (0.7, 0.3)
    assert found["p_value"] <= 0.01


def test_of_too_few_sessions_nothing_is_said():
    (found,) = compare(period(*[(1, 9)] * (FEWEST_SESSIONS - 1)), period(*[(9, 1)] * 20), [HALVES])
    assert (found["verdict"], found["psi"], found["p_value"]) == ("too_few", None, None)
    (nothing,) = compare(period((0, 0)), period((0, 0)), [HALVES])
    assert (nothing["shares"], nothing["mean"]) == ([], None)


def test_channels_are_told_apart_and_have_classes():
    assert len({channel.name for channel in CHANNELS}) == len(CHANNELS)
    for channel in CHANNELS:
        assert channel.classes >= 7
        assert list(channel.edges) == sorted(channel.edges)
