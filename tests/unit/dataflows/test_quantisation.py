import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import quantisation


@given(st.floats(0, 1))
@settings(deadline=None)  # the first call may compile
def test_a_weight_loses_half_a_step_at_most(value: float) -> None:
    assert abs(quantisation.to_uint8(value) / 255 - value) <= 0.5 / 255 + 1e-12


@given(st.floats(-327, 327))
@settings(deadline=None)  # the first call may compile
def test_an_angle_loses_half_a_hundredth_at_most(value: float) -> None:
    assert abs(quantisation.to_signed(value, 327.0, 100.0) / 100 - value) <= 0.005 + 1e-9


def test_what_lies_outside_is_cut_off() -> None:
    assert [quantisation.to_uint8(v) for v in (-1.0, 2.0)] == [0, 255]
    assert [quantisation.to_signed(v, 1.0, 10_000.0) for v in (-3.0, 3.0)] == [-10_000, 10_000]


def test_slices() -> None:
    out = np.zeros(2, np.uint8)
    quantisation.quantise_weights(np.array([0.0, 0.5, 1.0]), 1, out)
    assert out.tolist() == [128, 255]
    angles = np.zeros(3, np.int16)
    quantisation.quantise_angles(np.array([9.0, 1.5, -1.5]), 1, angles, 1)
    assert angles.tolist() == [0, 150, -150]
