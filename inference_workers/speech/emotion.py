"""What the embedded emotion model's answer means: classes, confidence. Pure."""

from typing import Final

from schemas.vocabulary import EMOTIONS

CLASSES: Final = ("neutral", "happy", "sad", "angry", "fear", "disgust", "unknown")
"""The model's outputs in order. ``unknown`` was learnt from bored speech, which is none of our emotions; no corpus
that may be used freely has surprise, so its score is always 0."""
CLIP: Final = 4.0
"""Standardised features are limited to this many standard deviations: a strange sound cannot shout."""
FULLY_VOICED: Final = 0.4
"""Share of frames with a pitch from which on a window counts as all speech: consonants and short pauses have none."""

_PLACES: Final = tuple(CLASSES.index(name) if name in CLASSES else -1 for name in EMOTIONS)


def scores_from(probabilities: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """Scores in the order of :data:`schemas.vocabulary.EMOTIONS`, and the probability of none of them."""
    scores = tuple(probabilities[place] if place >= 0 else 0.0 for place in _PLACES)
    return scores, probabilities[CLASSES.index("unknown")]


def confidence_of(scores: tuple[float, ...], voiced: float) -> float:
    """The best score, scaled down where little of the window is voiced (0..1): 0 without any voice."""
    return max(scores) * min(1.0, voiced / FULLY_VOICED)
