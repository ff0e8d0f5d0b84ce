import pytest

from inference_workers.evaluation.scores import Scores


def test_scores_by_hand():
    found = Scores.of(("a", "b", "c"), [0, 0, 0, 1, 1], [0, 0, 1, 1, 1])
    assert found.n == 5
    assert found.accuracy == pytest.approx(0.8)
    assert found.recalls == pytest.approx({"a": 2 / 3, "b": 1.0})
    assert found.f1s == pytest.approx({"a": 0.8, "b": 0.8})
    assert found.uar == pytest.approx(5 / 6)
    assert found.macro_f1 == pytest.approx(0.8)


def test_of_nothing_all_is_zero():
    found = Scores.of(("a",), [], [])
    assert (found.n, found.accuracy, found.uar, found.macro_f1) == (0, 0.0, 0.0, 0.0)
