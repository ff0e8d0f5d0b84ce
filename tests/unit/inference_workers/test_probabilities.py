import numpy as np
import pytest

from inference_workers.probabilities import softmax


def test_rows_are_distributions_in_double_precision():
    found = softmax(np.array([[0.0, np.log(3.0)], [1_000.0, 1_000.0]], np.float32))
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]], atol=1e-7)
    assert found.dtype == np.float64
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-15)


def test_the_last_axis_counts_and_a_row_alone_is_as_among_others():
    logits = np.random.default_rng(0).normal(0.0, 5.0, (3, 4, 7))
    assert (softmax(logits)[1, 2] == softmax(logits[1, 2])).all()


@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_what_is_added_to_all_says_nothing(far):
    logits = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(softmax(logits + far), softmax(logits))
