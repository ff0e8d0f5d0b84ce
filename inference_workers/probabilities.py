"""From a network's numbers to probabilities. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Probabilities along the last axis, in double precision, so that they sum to 1."""
    numbers = logits.astype(np.float64)
    raised = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = raised / raised.sum(axis=-1, keepdims=True)
    return result
