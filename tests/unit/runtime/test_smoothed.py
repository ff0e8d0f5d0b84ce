import pytest

from runtime.smoothed import SMOOTH_US, Smoothed


def test_the_first_is_taken_as_it_is_and_later_ones_by_the_time_since():
    mean = Smoothed()
    assert mean.take(4.0, 1_000) == 0
    assert mean.value == 4.0
    assert mean.take(0.0, 1_000 + SMOOTH_US) == SMOOTH_US
    assert mean.value == pytest.approx(2.0)


def test_a_clock_that_is_set_back_changes_nothing():
    mean = Smoothed()
    mean.take(1.0, 10_000)
    assert mean.take(9.0, 5_000) == 0
    assert mean.value == 1.0
