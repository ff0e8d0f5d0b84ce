import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import smoothing
from dataflows.layout import CHANNELS, EMA, ONE_EURO, SPRING
from schemas.fusion_config import PARAMETERS


def run(kind: int, targets: list[float], *, mouth: float = 0.0, **parameters: float) -> np.ndarray:
    """Positions of every channel after each target, from rest at 0; shape (len(targets), CHANNELS)."""
    values = {name: p.default for name, p in PARAMETERS.items()} | parameters
    config, scratch = np.array(list(values.values())), np.zeros((2, smoothing.GROUPS))
    position, velocity, out = np.zeros(CHANNELS), np.zeros(CHANNELS), []
    for target in targets:
        smoothing.smooth(kind, position, velocity, np.full(CHANNELS, target), config, mouth, scratch)
        out.append(position.copy())
    return np.array(out)


def test_the_spring_is_the_exact_solution() -> None:
    tau_ms = PARAMETERS["tau_face_ms"].default
    omega = 2e3 / tau_ms
    got = run(SPRING, [1.0] * 10)[:, 0]
    for n, value in enumerate(got, start=1):
        t = n / 30.0
        assert value == pytest.approx(1.0 - (1.0 + omega * t) * math.exp(-omega * t), abs=1e-12)


@pytest.mark.parametrize("kind", [SPRING, EMA])
def test_tau_is_the_lag_behind_a_ramp(kind: int) -> None:
    ramp = [n / 30.0 for n in range(1, 200)]
    lag_s = ramp[-1] - run(kind, ramp, tau_face_ms=200.0)[-1, 0]
    # A target that stands still during each tick is itself half a tick to a tick behind the ramp.
    assert lag_s == pytest.approx(0.2, abs=1 / 30)


@pytest.mark.parametrize("kind", [SPRING, EMA, ONE_EURO])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None)  # the first call may compile
def test_filters_stay_near_the_range_of_their_targets(kind: int, targets: list[float]) -> None:
    got = run(kind, targets)
    assert got.min() > -0.25
    assert got.max() < 1.25


@pytest.mark.parametrize("kind", [SPRING, EMA, ONE_EURO])
def test_filters_arrive(kind: int) -> None:
    assert run(kind, [1.0] * 200)[-1] == pytest.approx(np.ones(CHANNELS), abs=1e-3)


@pytest.mark.parametrize("kind", [SPRING, EMA])
def test_no_time_constant_follows_at_once(kind: int) -> None:
    taus = {name: 0.0 for name in PARAMETERS if name.startswith("tau_")}
    assert (run(kind, [1.0, 0.25], **taus) == [[1.0], [0.25]]).all()


def test_the_mouth_is_faster_while_visemes_own_it() -> None:
    jaw = smoothing.BLENDSHAPES.index("jawOpen")
    brow = smoothing.BLENDSHAPES.index("browInnerUp")
    slow, fast = run(SPRING, [1.0])[0], run(SPRING, [1.0], mouth=1.0)[0]
    assert fast[jaw] > slow[jaw]
    assert fast[brow] == slow[brow]


def test_one_euro_smooths_more_at_rest_than_in_motion() -> None:
    noise = [0.5 + 0.01 * (-1) ** n for n in range(100)]
    still = np.abs(np.diff(run(ONE_EURO, noise)[50:, 0])).max()
    assert still < 0.01
    jump = run(ONE_EURO, [0.0] * 10 + [1.0] * 5, one_euro_beta=5.0)[-1, 0]
    assert jump > run(ONE_EURO, [0.0] * 10 + [1.0] * 5, one_euro_beta=0.0)[-1, 0]


def test_the_spring_takes_jitter_away() -> None:
    """The brief: variance between consecutive frames under 5 % of the channel's range."""
    rng = np.random.default_rng(0)
    targets = (0.5 + 0.1 * rng.standard_normal(600)).clip(0, 1).tolist()
    raw, smooth = np.diff(targets), np.diff(run(SPRING, targets)[:, 0])
    assert smooth.var() < 0.5 * raw.var()
    assert smooth.std() < 0.05 * 2  # noise of a fifth of the range
