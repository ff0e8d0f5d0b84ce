import pytest

from analytics.trends import DURATION_EDGES_S, MOST_POINTS, STEPS_S, step_of


@pytest.mark.parametrize(
    "span_s, step_s", [(60, 60), (3_600, 60), (86_400, 900), (7 * 86_400, 3_600), (365 * 86_400, 604_800)]
)
def test_a_period_has_a_bounded_number_of_points(span_s, step_s):
    assert step_of(span_s) == step_s
    assert span_s / step_of(span_s) <= MOST_POINTS


def test_a_period_of_many_years_takes_the_widest_step():
    assert step_of(100 * 365 * 86_400) == STEPS_S[-1]


def test_classes_of_durations_rise():
    assert list(DURATION_EDGES_S) == sorted(set(DURATION_EDGES_S))
