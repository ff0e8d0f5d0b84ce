"""What the embedded emotion model's answer means: classes, which network counts, confidence. Pure."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.vocabulary import EMOTIONS

CLASSES: Final = ("neutral", "happy", "sad", "angry", "fear", "disgust", "unknown")
"""The model's outputs in order. ``unknown`` was learnt from bored speech, which is none of our emotions; no corpus
that may be used freely has surprise, so its score is always 0."""
CLIP: Final = 4.0
"""Standardised features are limited to this many standard deviations: a strange sound cannot shout."""
FULLY_VOICED: Final = 0.4
"""Share of frames with a pitch from which on a window counts as all speech: consonants and short pauses have none."""
FULLY_VOICED_IN_NOISE: Final = 0.1
"""The same where noise hides the pitch of a voice: fewer frames show it."""
NOISY_UP_TO_DB: Final = 16.0
QUIET_FROM_DB: Final = 22.0
"""Audibility up to which the network for noise answers alone, and from which on the other does."""

_PLACES: Final = tuple(CLASSES.index(name) if name in CLASSES else -1 for name in EMOTIONS)


def scores_from(probabilities: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """Scores in the order of :data:`schemas.vocabulary.EMOTIONS`, and the probability of none of them."""
    scores = tuple(probabilities[place] if place >= 0 else 0.0 for place in _PLACES)
    return scores, probabilities[CLASSES.index("unknown")]


def quietness(audibility_db: float) -> float:
    """How much the network for quiet surroundings counts, 0..1; see :mod:`inference_workers.speech.audibility`.

    The other one, which was trained in noise, counts for the rest.
    """
    return min(max((audibility_db - NOISY_UP_TO_DB) / (QUIET_FROM_DB - NOISY_UP_TO_DB), 0.0), 1.0)


def blended(quiet: NDArray[Any], in_noise: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (n, classes) of both networks as one answer; ``share``: (n,), as of :func:`quietness`."""
    counts = share[:, None]
    return np.asarray(counts * quiet + (1.0 - counts) * in_noise)


def confidence_of(scores: tuple[float, ...], voiced: float, quiet: float) -> float:
    """The best score, scaled down where little of the window is voiced (0..1): 0 without any voice."""
    enough = FULLY_VOICED_IN_NOISE + (FULLY_VOICED - FULLY_VOICED_IN_NOISE) * quiet
    return max(scores) * min(1.0, voiced / enough)
