"""From Action Units to seven emotions, valence, arousal and dominance: a rule, not a trained model. Pure.

The prototypes are those of EMFACS (Friesen & Ekman, Emotional Facial Action Coding System, 1983): happy 6+12,
sad 1+4+15, angry 4+5+7+23, surprise 1+2+5+26, fear 1+2+4+5+7+20+26, disgust 9+15+16. The evidence for an emotion is
the weighted sum of its AUs' intensities less that of AUs that speak against it; neutral's evidence is a constant, which
the others must exceed. Probabilities are the softmax of the evidence. Weights that differ from the plain prototype have
a reason, given with each. Brow AUs are shared by many prototypes, so AUs that only one has weigh more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.records import Vector
from schemas.vocabulary import AUS, EMOTIONS

SHARPNESS: Final = 8.0
"""Factor on the evidence before the softmax: evidence 0.25 apart is a probability ratio of 7."""

NEUTRAL_EVIDENCE: Final = 0.3

EVIDENCE: Final[Mapping[str, Mapping[str, float]]] = {
    # The mouth decides: AU06 is seen less surely than AU12.
    "happy": {"AU12": 0.8, "AU06": 0.3, "AU15": -0.4},
    # AU17 goes with AU15 in crying faces; raised outer brows or a smile speak for other emotions.
    "sad": {"AU01": 0.35, "AU04": 0.25, "AU15": 0.7, "AU17": 0.3, "AU02": -0.2, "AU12": -0.6},
    # Narrowed lids belong to a smile too: only lowered brows and pressed lips tell anger apart.
    "angry": {"AU04": 0.6, "AU05": 0.1, "AU07": 0.2, "AU23": 0.4, "AU24": 0.2, "AU12": -0.8, "AU01": -0.2},
    "surprise": {"AU01": 0.35, "AU02": 0.4, "AU05": 0.4, "AU26": 0.5, "AU04": -0.5, "AU12": -0.6},
    # As surprise, but with drawn brows and stretched lips.
    "fear": {"AU01": 0.3, "AU02": 0.1, "AU04": 0.3, "AU05": 0.5, "AU20": 0.6, "AU26": 0.1, "AU12": -0.6},
    # AU16 has no blendshape of its own; the raised upper lip (AU10) is EMFACS's variant.
    "disgust": {"AU09": 0.9, "AU10": 0.6, "AU15": 0.2, "AU04": 0.1, "AU12": -0.7},
}

MEANINGS: Final[Mapping[str, tuple[float, float, float]]] = {
    "neutral": (0.0, 0.0, 0.0),
    "happy": (0.81, 0.51, 0.46),
    "sad": (-0.63, -0.27, -0.33),
    "angry": (-0.51, 0.59, 0.25),
    "surprise": (0.40, 0.67, -0.13),
    "fear": (-0.64, 0.60, -0.43),
    "disgust": (-0.60, 0.35, 0.11),
}
"""Valence, arousal, dominance of the words (Russell & Mehrabian, Evidence for a three-factor theory, 1977)."""


@dataclass(frozen=True, slots=True)
class Affect:
    """Probabilities in the order of :data:`schemas.vocabulary.EMOTIONS`, and what they mean on three axes."""

    scores: Vector
    valence: float
    arousal: float
    dominance: float


def infer(aus: Vector) -> Affect:
    """Emotion of a face with these AU intensities (order of :data:`schemas.vocabulary.AUS`)."""
    intensity = dict(zip(AUS, aus, strict=True))
    evidence = [
        sum(weight * intensity[au] for au, weight in EVIDENCE[name].items()) if name in EVIDENCE else NEUTRAL_EVIDENCE
        for name in EMOTIONS
    ]
    top = max(evidence)
    raw = [math.exp(SHARPNESS * (each - top)) for each in evidence]
    total = sum(raw)
    return of_scores(tuple(each / total for each in raw))


def of_scores(scores: Vector) -> Affect:
    """Affect of a distribution over the emotions: valence, arousal and dominance are the words' means."""
    valence, arousal, dominance = (
        sum(p * MEANINGS[name][axis] for name, p in zip(EMOTIONS, scores, strict=True)) for axis in range(3)
    )
    return Affect(scores, valence, arousal, dominance)
