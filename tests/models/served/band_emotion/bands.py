"""The served model's arithmetic: energies of eight bands, as probabilities. numpy alone: two environments import it."""

import numpy as np


def probabilities(windows):
    """The softmax of each window's log energies in eight equal bands of its spectrum."""
    spectrum = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    bands = np.stack([part.sum(axis=1) for part in np.array_split(spectrum, 8, axis=1)], axis=1)
    logits = 0.2 * np.log(bands + 1e-6)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
