import numpy as np
import pytest

from inference_workers.evaluation.calibration import best_temperature, calibration_error
from inference_workers.probabilities import softmax


def drawn(n: int = 20_000, seed: int = 0):
    """Logits, and labels drawn from what they say."""
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, 2.0, (n, 7))
    labels = np.array([random.choice(7, p=p) for p in softmax(logits)])
    return logits, labels


def test_the_temperature_is_found_that_logits_were_sharpened_by():
    logits, labels = drawn()
    assert best_temperature(logits * 3.0, labels) == pytest.approx(3.0, rel=0.05)


def test_probabilities_that_mean_what_they_say_have_no_error_and_others_do():
    logits, labels = drawn()
    assert calibration_error(softmax(logits), labels) < 0.01
    assert calibration_error(softmax(logits * 4.0), labels) > 0.15


def test_sure_and_always_wrong_is_an_error_of_one():
    probabilities = np.tile(np.eye(7)[0], (10, 1))
    assert calibration_error(probabilities, np.ones(10, np.int64)) == pytest.approx(1.0)
