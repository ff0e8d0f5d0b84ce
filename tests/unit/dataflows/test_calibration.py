from random import Random

import numpy as np
import pytest

from dataflows import calibration
from dataflows.calibration import BINS_A_UNIT, RESTING_MOST
from dataflows.layout import (
    AU_BINS,
    F_AUS,
    F_CONFIDENCE,
    F_DETECTED,
    F_PITCH,
    F_WIDTH,
    F_YAW,
    N_AUS,
    ROW,
)  # fmt: skip
from schemas.fusion_config import FusionConfig

STEP = 1 / BINS_A_UNIT


def row(seconds: float = 1.0, given=None):
    """A session's row that is to learn from ``seconds``."""
    found = np.zeros(1, ROW)[0]
    found["config"] = list(FusionConfig.of({"calibration_seconds": seconds}).parameters.values())
    calibration.prepare(found, given)
    return found


def face(intensity: float = 0.0, *, yaw: float = 0.0, pitch: float = 0.0, confidence: float = 0.9):
    columns = np.zeros(F_WIDTH)
    columns[F_AUS : F_AUS + N_AUS] = intensity
    columns[F_DETECTED], columns[F_CONFIDENCE], columns[F_YAW], columns[F_PITCH] = 1.0, confidence, yaw, pitch
    return columns


def tick(state, intensity=0.0, *, at_us: int = 0, presence: float = 1.0, speaking: float = 0.0, **how: float) -> float:
    """One tick of a face, all of whose AUs are alike; returns the neutral intensity after it."""
    columns = face(intensity, **how)
    measured = columns[F_AUS : F_AUS + N_AUS]
    calibration.update_calibration(state, at_us, columns, measured, presence, speaking, state["config"])
    return float(state["au_neutral"][0])


def test_a_resting_face_is_learned_and_the_rest_still_reaches_1() -> None:
    state, rng = row(), Random(1)
    for _ in range(30):
        tick(state, 0.2 + rng.uniform(-0.01, 0.01))
    neutral, out = state["au_neutral"], np.zeros(N_AUS)
    assert neutral == pytest.approx([0.2] * N_AUS, abs=STEP)
    calibration.calibrate(np.full(N_AUS, 0.2), neutral, state["au_gain"], out)
    assert out.max() < STEP
    calibration.calibrate(np.ones(N_AUS), neutral, state["au_gain"], out)
    assert out == pytest.approx([1.0] * N_AUS)


def test_it_comes_in_step_by_step_then_stands() -> None:
    state = row()
    steps = np.diff([0.0, *[tick(state, 0.2) for _ in range(30)]])
    assert steps.min() >= 0.0
    assert steps.max() < 0.02
    learned = tick(state, 0.2)
    assert [tick(state, 0.0) for _ in range(100)] == [learned] * 100
    assert state["learned"] == state["learn"] == 30


@pytest.mark.parametrize("expressive", [0.0, 0.3, 0.6])
def test_expression_in_between_does_not_count(expressive: float) -> None:
    state, rng = row(3.0), Random(2)
    for n in range(90):
        tick(state, 0.9 if n % 10 < 10 * expressive else 0.1 + rng.uniform(-0.01, 0.01))
    assert state["au_neutral"][0] == pytest.approx(0.1, abs=STEP)


@pytest.mark.parametrize(
    "held, neutral", [(0.0, 0.0), (0.3, 0.3), (0.45, 0.15), (0.59, 0.01), (0.6, 0.0), (0.9, 0.0), (1.0, 0.0)]
)
def test_what_is_held_all_the_time_is_believed_up_to_a_point(held: float, neutral: float) -> None:
    state = row()
    for _ in range(30):
        tick(state, held)
    assert state["au_neutral"][0] == pytest.approx(neutral, abs=STEP)
    assert state["au_neutral"][0] <= RESTING_MOST
    assert 1.0 <= state["au_gain"][0] <= 1.0 / (1.0 - RESTING_MOST)


@pytest.mark.parametrize(
    "unlike",
    [{"presence": 0.0}, {"presence": 0.9}, {"speaking": 0.6}, {"yaw": 25.0}, {"yaw": -25.0}, {"pitch": 25.0},
     {"pitch": -25.0}, {"confidence": 0.4}],
)  # fmt: skip
def test_ticks_that_cannot_tell_do_not_count(unlike: dict[str, float]) -> None:
    state = row()
    assert [tick(state, 0.2, **unlike) for _ in range(60)] == [0.0] * 60
    assert state["learned"] == 0
    assert tick(state, 0.2) > 0.0


def test_the_order_of_the_ticks_does_not_matter_in_the_end() -> None:
    values = [Random(3).uniform(0.0, 0.5) for _ in range(30)]
    learned = []
    for order in (values, values[::-1], sorted(values)):
        state = row()
        for value in order:
            tick(state, value)
        learned.append(state["au_neutral"][0])
    assert learned[0] == learned[1] == learned[2]


def test_values_that_overstep_their_range_a_little_are_taken() -> None:
    state = row()
    for value in (-0.001, 1.001) * 15:
        assert 0.0 <= tick(state, value) <= STEP


def test_the_longest_time_fits_its_counters() -> None:
    state = row(8.0)
    for _ in range(240):
        tick(state, 0.2)
    assert state["au_seen"][0].max() == state["learn"] == 240
    assert state["au_seen"].shape == (N_AUS, AU_BINS)


def test_off_is_off() -> None:
    state = row(0.0)
    assert [tick(state, 0.2) for _ in range(60)] == [0.0] * 60
    state["reset_us"] = 5
    assert tick(state, 0.2, at_us=6) == 0.0
    assert state["reset_us"] == -1


def test_what_was_given_stays_until_it_is_asked_to_be_learned() -> None:
    state = row(1.0, given=((0.4,) * N_AUS, (1.5,) * N_AUS))
    assert [tick(state, 0.1) for _ in range(60)] == [0.4] * 60
    state["reset_us"] = 1_000
    assert tick(state, 0.1, at_us=999) == 0.4
    first = tick(state, 0.1, at_us=1_000)
    assert 0.35 < first < 0.4
    for _ in range(29):
        tick(state, 0.1, at_us=2_000)
    assert state["au_neutral"][0] == pytest.approx(0.1, abs=STEP)
    assert state["au_gain"][0] == pytest.approx(1.0 / 0.9, abs=0.03)


def test_learning_again_forgets_what_was_seen() -> None:
    state = row()
    for _ in range(30):
        tick(state, 0.25)
    state["reset_us"] = 0
    for _ in range(30):
        tick(state, 0.05)
    assert state["au_neutral"][0] == pytest.approx(0.05, abs=STEP)


def test_calibration_takes_off_the_neutral_face() -> None:
    measured = np.full(N_AUS, 0.3)
    neutral, gain, out = np.full(N_AUS, 0.1), np.full(N_AUS, 2.0), np.zeros(N_AUS)
    neutral[0] = 0.5
    gain[1] = 10.0
    calibration.calibrate(measured, neutral, gain, out)
    assert out[:3].tolist() == pytest.approx([0.0, 1.0, 0.4])
