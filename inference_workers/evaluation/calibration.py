"""Whether probabilities mean what they say. Pure."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from inference_workers.probabilities import softmax

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def best_temperature(logits: Array, labels: Labels) -> float:
    """The divisor of the logits with the least negative log-likelihood (Guo et al., ICML 2017)."""

    def loss(log_temperature: float) -> float:
        chosen = softmax(logits / np.exp(log_temperature))[np.arange(len(labels)), labels]
        return float(-np.log(chosen + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def calibration_error(probabilities: Array, labels: Labels, bins: int = 15) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins of confidence."""
    return confidence_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, bins)


def confidence_error(confidence: Array, right: NDArray[np.bool_], bins: int = 15) -> float:
    """The same of answers that are right or not, and how sure each was (0..1)."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(confidence[place == b].mean()) - float(right[place == b].mean())) * float((place == b).mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return sum(gaps)
