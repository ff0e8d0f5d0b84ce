"""From the 52 ARKit blendshapes to Facial Action Units: which stand for which. Pure.

The blendshapes were designed after FACS (Ekman, Friesen & Hager, Facial Action Coding System, 2002), so most AUs have
one of their own on each side; the mean of the two sides is the AU's intensity. The others are combined:

==== ======================================= ======================================================================
AU   blendshapes                             why
==== ======================================= ======================================================================
AU01 browInnerUp                             inner frontalis
AU02 browOuterUp                             outer frontalis
AU04 browDown                                corrugator, depressor supercilii
AU05 eyeWide                                 levator palpebrae
AU06 cheekSquint, or eyeSquint with a smile  orbicularis oculi, outer: the landmark network hardly ever answers with
                                             cheekSquint; narrowed eyes in a smile are the same muscle (Duchenne)
AU07 eyeSquint                               orbicularis oculi, inner
AU09 noseSneer                               levator labii superioris alaeque nasi
AU10 mouthUpperUp                            levator labii superioris
AU12 mouthSmile                              zygomaticus major
AU14 mouthDimple                             buccinator
AU15 mouthFrown                              depressor anguli oris
AU17 mouthShrugLower                         mentalis
AU18 mouthPucker                             incisivii labii
AU20 mouthStretch                            risorius
AU23 mouthPress and mouthRoll together       orbicularis oris; ARKit has no lip tightener: both are seen when lips
                                             narrow without being sucked in
AU24 mouthPress                              orbicularis oris
AU25 mouthLowerDown, mouthUpperUp, or        lips apart
     jawOpen less mouthClose
AU26 jawOpen                                 masseter relaxed
AU28 mouthRoll                               lips sucked in
AU45 eyeBlink                                blink
==== ======================================= ======================================================================
"""

from collections.abc import Callable, Mapping
from typing import Final

from schemas.records import Vector
from schemas.vocabulary import AUS, BLENDSHAPES

Weights = Mapping[str, float]


def _sides(name: str) -> Callable[[Weights], float]:
    return lambda w: 0.5 * (w[f"{name}Left"] + w[f"{name}Right"])


_smile, _squint, _cheek = _sides("mouthSmile"), _sides("eyeSquint"), _sides("cheekSquint")
_press, _upper_up, _lower_down = _sides("mouthPress"), _sides("mouthUpperUp"), _sides("mouthLowerDown")


def _roll(w: Weights) -> float:
    return 0.5 * (w["mouthRollLower"] + w["mouthRollUpper"])


RULES: Final[Mapping[str, Callable[[Weights], float]]] = {
    "AU01": lambda w: w["browInnerUp"],
    "AU02": _sides("browOuterUp"),
    "AU04": _sides("browDown"),
    "AU05": _sides("eyeWide"),
    "AU06": lambda w: max(_cheek(w), min(_squint(w), _smile(w))),
    "AU07": _squint,
    "AU09": _sides("noseSneer"),
    "AU10": _upper_up,
    "AU12": _smile,
    "AU14": _sides("mouthDimple"),
    "AU15": _sides("mouthFrown"),
    "AU17": lambda w: w["mouthShrugLower"],
    "AU18": lambda w: w["mouthPucker"],
    "AU20": _sides("mouthStretch"),
    "AU23": lambda w: min(_press(w), _roll(w)),
    "AU24": _press,
    "AU25": lambda w: max(_lower_down(w), _upper_up(w), w["jawOpen"] - w["mouthClose"]),
    "AU26": lambda w: w["jawOpen"],
    "AU28": _roll,
    "AU45": _sides("eyeBlink"),
}


def intensities(blendshapes: Vector) -> Vector:
    """AU intensities, 0..1, in the order of :data:`schemas.vocabulary.AUS`, from weights in that of BLENDSHAPES."""
    weights = dict(zip(BLENDSHAPES, blendshapes, strict=True))
    return tuple(min(max(RULES[au](weights), 0.0), 1.0) for au in AUS)
