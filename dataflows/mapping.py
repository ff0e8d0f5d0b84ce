"""From the canonical vector to the avatar: AUs to ARKit blendshapes, emotions to style, posture.

Three strategies share one formula: ``direct_au`` has a share of style of 0, ``emotion_style`` of 1, ``blend`` of
``style_share``. The named numbers are the product brief's tables 14.1 and 14.3; the remaining correspondences of
Action Units and ARKit shapes follow the shapes' anatomical descriptions (Apple, ARFaceAnchor.BlendShapeLocation;
Ekman, Friesen & Hager, FACS, 2002), the remaining emotional expressions the prototypes of EMFACS.
"""

import math
from typing import Any, Final

import numpy as np

from dataflows.attention import clamp
from dataflows.compiled import compiled
from dataflows.layout import (
    BLEND,
    C_BONES,
    C_GLOW,
    C_SLOUCH,
    EMOTION_STYLE,
    F_BLENDSHAPES,
    F_BLINK,
    F_GAZE,
    F_PITCH,
    F_ROLL,
    F_YAW,
    HAPPY,
    N_BLENDSHAPES,
    P_AROUSAL_EYE_WIDE,
    P_AROUSAL_LEAN_DEG,
    P_AU04_MIDPOINT,
    P_AU04_SLOPE,
    P_AU06_DAMPING,
    P_AU12_GAIN,
    P_HAPPY_AU06,
    P_HAPPY_GLOW,
    P_HAPPY_SMILE,
    P_HEAD_EXAGGERATION,
    P_SAD_HEAD_PITCH_DEG,
    P_SAD_SLOUCH,
    P_STYLE_SHARE,
    SAD,
)
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

NECK_SHARE: Final = 0.35
"""Part of the head's pitch that the neck takes; the rest is the head's, so the two bones add up along the chain."""

_AU: Final = {name: index for index, name in enumerate(AUS)}
_SHAPE: Final = {name: index for index, name in enumerate(BLENDSHAPES)}

AU04: Final = _AU["AU04"]
AU06: Final = _AU["AU06"]
AU12: Final = _AU["AU12"]

PAIRS: Final = {
    "AU02": ("browOuterUp", 1.0),
    "AU04": ("browDown", 1.0),
    "AU05": ("eyeWide", 1.0),
    "AU06": ("cheekSquint", 1.0),
    "AU07": ("eyeSquint", 1.0),
    "AU09": ("noseSneer", 1.0),
    "AU10": ("mouthUpperUp", 1.0),
    "AU12": ("mouthSmile", 1.0),
    "AU14": ("mouthDimple", 1.0),
    "AU15": ("mouthFrown", 1.0),
    "AU20": ("mouthStretch", 1.0),
    "AU24": ("mouthPress", 1.0),
    "AU25": ("mouthLowerDown", 1.0),
}
"""AUs that drive a left and a right shape; the measured shapes say how it is shared between the sides."""

SINGLES: Final = (
    ("AU01", "browInnerUp", 1.0),
    ("AU17", "mouthShrugLower", 1.0),
    ("AU18", "mouthPucker", 1.0),
    ("AU23", "mouthRollUpper", 0.5),
    ("AU26", "jawOpen", 1.0),
    ("AU28", "mouthRollLower", 1.0),
)
"""AUs that drive one shape."""

MEASURED: Final = (
    "cheekPuff",
    "jawForward",
    "jawLeft",
    "jawRight",
    "mouthClose",
    "mouthFunnel",
    "mouthLeft",
    "mouthRight",
    "mouthShrugUpper",
    "tongueOut",
)
"""Shapes that no AU of ours stands for: taken as the face engine measured them."""

EXPRESSIVE_STEMS: Final = (
    "brow", "cheek", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthSmile", "mouthStretch", "noseSneer",
)  # fmt: skip
"""Shapes that show emotion: ``emotion_style`` takes them from the emotions instead of the AUs."""

STYLE: Final = (
    ("sad", "browInnerUp", 0.4),
    ("sad", "mouthFrownLeft", 0.4),
    ("sad", "mouthFrownRight", 0.4),
    ("sad", "eyeLookDownLeft", 0.2),
    ("sad", "eyeLookDownRight", 0.2),
    ("angry", "browDownLeft", 0.6),
    ("angry", "browDownRight", 0.6),
    ("angry", "eyeSquintLeft", 0.3),
    ("angry", "eyeSquintRight", 0.3),
    ("angry", "mouthPressLeft", 0.3),
    ("angry", "mouthPressRight", 0.3),
    ("surprise", "browInnerUp", 0.6),
    ("surprise", "browOuterUpLeft", 0.5),
    ("surprise", "browOuterUpRight", 0.5),
    ("surprise", "eyeWideLeft", 0.4),
    ("surprise", "eyeWideRight", 0.4),
    ("surprise", "jawOpen", 0.2),
    ("fear", "browInnerUp", 0.5),
    ("fear", "eyeWideLeft", 0.4),
    ("fear", "eyeWideRight", 0.4),
    ("fear", "mouthStretchLeft", 0.4),
    ("fear", "mouthStretchRight", 0.4),
    ("disgust", "noseSneerLeft", 0.6),
    ("disgust", "noseSneerRight", 0.6),
    ("disgust", "mouthUpperUpLeft", 0.3),
    ("disgust", "mouthUpperUpRight", 0.3),
)
"""Emotion, shape, weight at a score of 1; happy and arousal have parameters of their own."""

MOUTH_BY_VISEME: Final = {
    "sil": {},
    "PP": {"mouthPress": 0.5, "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "FF": {"mouthRollLower": 0.6, "mouthUpperUp": 0.2, "jawOpen": 0.05},
    "TH": {"jawOpen": 0.15, "tongueOut": 0.4, "mouthLowerDown": 0.2},
    "DD": {"jawOpen": 0.15, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15},
    "kk": {"jawOpen": 0.2, "mouthLowerDown": 0.2, "mouthStretch": 0.1},
    "CH": {"jawOpen": 0.1, "mouthFunnel": 0.5, "mouthPucker": 0.2},
    "SS": {"jawOpen": 0.05, "mouthStretch": 0.35, "mouthLowerDown": 0.2},
    "nn": {"jawOpen": 0.12, "mouthLowerDown": 0.2},
    "RR": {"jawOpen": 0.15, "mouthFunnel": 0.35, "mouthPucker": 0.3},
    "aa": {"jawOpen": 0.7, "mouthLowerDown": 0.3, "mouthUpperUp": 0.15},
    "E": {"jawOpen": 0.35, "mouthStretch": 0.35, "mouthLowerDown": 0.25},
    "ih": {"jawOpen": 0.25, "mouthStretch": 0.3, "mouthLowerDown": 0.2},
    "oh": {"jawOpen": 0.45, "mouthFunnel": 0.55},
    "ou": {"jawOpen": 0.2, "mouthFunnel": 0.2, "mouthPucker": 0.75},
}
"""Mouth shapes of each viseme at weight 1; a stem stands for both of its sides."""


def _sides(stem: str) -> tuple[str, ...]:
    return (stem,) if stem in _SHAPE else (stem + "Left", stem + "Right")


def _mask(*stems: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([1.0 if name.startswith(stems) else 0.0 for name in BLENDSHAPES])


PAIR_AU: Final = np.array([_AU[au] for au in PAIRS])
PAIR_LEFT: Final = np.array([_SHAPE[stem + "Left"] for stem, _ in PAIRS.values()])
PAIR_RIGHT: Final = np.array([_SHAPE[stem + "Right"] for stem, _ in PAIRS.values()])
PAIR_GAIN: Final = np.array([gain for _, gain in PAIRS.values()])
SINGLE_AU: Final = np.array([_AU[au] for au, _, _ in SINGLES])
SINGLE_SHAPE: Final = np.array([_SHAPE[shape] for _, shape, _ in SINGLES])
SINGLE_GAIN: Final = np.array([gain for _, _, gain in SINGLES])
MEASURED_SHAPE: Final = np.array([_SHAPE[shape] for shape in MEASURED])
STYLE_EMOTION: Final = np.array([EMOTIONS.index(emotion) for emotion, _, _ in STYLE])
STYLE_SHAPE: Final = np.array([_SHAPE[shape] for _, shape, _ in STYLE])
STYLE_WEIGHT: Final = np.array([weight for _, _, weight in STYLE])
_VISEME_TABLE: Final = [
    (VISEMES.index(viseme), _SHAPE[shape], weight)
    for viseme, shapes in MOUTH_BY_VISEME.items()
    for stem, weight in shapes.items()
    for shape in _sides(stem)
]
VISEME_INDEX: Final = np.array([viseme for viseme, _, _ in _VISEME_TABLE])
VISEME_SHAPE: Final = np.array([shape for _, shape, _ in _VISEME_TABLE])
VISEME_WEIGHT: Final = np.array([weight for _, _, weight in _VISEME_TABLE])
EXPRESSIVE: Final = _mask(*EXPRESSIVE_STEMS)
MOUTH: Final = _mask("jaw", "mouth", "tongue")

BLINK_LEFT: Final = _SHAPE["eyeBlinkLeft"]
BLINK_RIGHT: Final = _SHAPE["eyeBlinkRight"]
LOOK_DOWN_LEFT: Final = _SHAPE["eyeLookDownLeft"]
LOOK_DOWN_RIGHT: Final = _SHAPE["eyeLookDownRight"]
LOOK_IN_LEFT: Final = _SHAPE["eyeLookInLeft"]
LOOK_IN_RIGHT: Final = _SHAPE["eyeLookInRight"]
LOOK_OUT_LEFT: Final = _SHAPE["eyeLookOutLeft"]
LOOK_OUT_RIGHT: Final = _SHAPE["eyeLookOutRight"]
LOOK_UP_LEFT: Final = _SHAPE["eyeLookUpLeft"]
LOOK_UP_RIGHT: Final = _SHAPE["eyeLookUpRight"]
CHEEK_LEFT: Final = _SHAPE["cheekSquintLeft"]
CHEEK_RIGHT: Final = _SHAPE["cheekSquintRight"]
SMILE_LEFT: Final = _SHAPE["mouthSmileLeft"]
SMILE_RIGHT: Final = _SHAPE["mouthSmileRight"]
WIDE_LEFT: Final = _SHAPE["eyeWideLeft"]
WIDE_RIGHT: Final = _SHAPE["eyeWideRight"]


@compiled
def onset(intensity: float, slope: float, midpoint: float) -> float:
    """A sigmoid of slope·(x - midpoint), shifted and scaled to go from 0 at 0 to 1 at 1."""
    low = 1.0 / (1.0 + math.exp(slope * midpoint))
    high = 1.0 / (1.0 + math.exp(-slope * (1.0 - midpoint)))
    here = 1.0 / (1.0 + math.exp(-slope * (intensity - midpoint)))
    return (here - low) / (high - low)


@compiled
def shapes_of_aus(aus: Any, face: Any, config: Any, presence: float, out: Any) -> None:
    """The 52 shapes by ``direct_au``, to ``out``.

    ``aus`` are calibrated; ``face`` is the face sample's columns, for what no AU says: the balance of the sides,
    blinks, gaze and the measured shapes, which count by ``presence``.
    """
    for j in range(N_BLENDSHAPES):
        out[j] = 0.0
    for p in range(len(PAIR_AU)):
        au = PAIR_AU[p]
        weight = aus[au]
        if au == AU12:
            weight = clamp(config[P_AU12_GAIN] * weight, 0.0, 1.0)
        elif au == AU06:
            weight = config[P_AU06_DAMPING] * weight
        elif au == AU04:
            weight = onset(weight, config[P_AU04_SLOPE], config[P_AU04_MIDPOINT])
        weight = weight * PAIR_GAIN[p]
        left = face[F_BLENDSHAPES + PAIR_LEFT[p]]
        right = face[F_BLENDSHAPES + PAIR_RIGHT[p]]
        # An AU has no side: what the engine saw on either side shares it out.
        balance = (left - right) / (left + right + 0.1)
        out[PAIR_LEFT[p]] = clamp(weight * (1.0 + balance), 0.0, 1.0)
        out[PAIR_RIGHT[p]] = clamp(weight * (1.0 - balance), 0.0, 1.0)
    for p in range(len(SINGLE_AU)):
        out[SINGLE_SHAPE[p]] = clamp(aus[SINGLE_AU[p]] * SINGLE_GAIN[p], 0.0, 1.0)
    for p in range(len(MEASURED_SHAPE)):
        shape = MEASURED_SHAPE[p]
        out[shape] = clamp(presence * face[F_BLENDSHAPES + shape], 0.0, 1.0)
    out[BLINK_LEFT] = clamp(presence * face[F_BLINK], 0.0, 1.0)
    out[BLINK_RIGHT] = clamp(presence * face[F_BLINK + 1], 0.0, 1.0)
    x = presence * face[F_GAZE]  # positive: to the subject's left
    y = presence * face[F_GAZE + 1]  # positive: down
    out[LOOK_OUT_LEFT] = clamp(x, 0.0, 1.0)
    out[LOOK_IN_RIGHT] = clamp(x, 0.0, 1.0)
    out[LOOK_IN_LEFT] = clamp(-x, 0.0, 1.0)
    out[LOOK_OUT_RIGHT] = clamp(-x, 0.0, 1.0)
    out[LOOK_DOWN_LEFT] = clamp(y, 0.0, 1.0)
    out[LOOK_DOWN_RIGHT] = clamp(y, 0.0, 1.0)
    out[LOOK_UP_LEFT] = clamp(-y, 0.0, 1.0)
    out[LOOK_UP_RIGHT] = clamp(-y, 0.0, 1.0)


@compiled
def style_share(mapping: int, config: Any) -> float:
    """How much of the avatar the emotions drive: 0 for direct_au, 1 for emotion_style, a parameter for blend."""
    if mapping == EMOTION_STYLE:
        return 1.0
    if mapping == BLEND:
        return float(config[P_STYLE_SHARE])
    return 0.0


@compiled
def add_style(emotions: Any, arousal: float, config: Any, share: float, shapes: Any) -> None:
    """Add what the emotions and a high arousal (0..1) do to the 52 shapes, times ``share``."""
    for p in range(len(STYLE_EMOTION)):
        shapes[STYLE_SHAPE[p]] = shapes[STYLE_SHAPE[p]] + share * STYLE_WEIGHT[p] * emotions[STYLE_EMOTION[p]]
    smile = share * config[P_HAPPY_SMILE] * emotions[HAPPY]
    cheek = share * config[P_HAPPY_AU06] * emotions[HAPPY]
    wide = share * config[P_AROUSAL_EYE_WIDE] * max(0.0, arousal)
    shapes[SMILE_LEFT] = shapes[SMILE_LEFT] + smile
    shapes[SMILE_RIGHT] = shapes[SMILE_RIGHT] + smile
    shapes[CHEEK_LEFT] = shapes[CHEEK_LEFT] + cheek
    shapes[CHEEK_RIGHT] = shapes[CHEEK_RIGHT] + cheek
    shapes[WIDE_LEFT] = shapes[WIDE_LEFT] + wide
    shapes[WIDE_RIGHT] = shapes[WIDE_RIGHT] + wide


@compiled
def shapes_of_visemes(visemes: Any, share: float, shapes: Any) -> None:
    """Add the mouth that the 15 viseme weights make, times ``share``, to the 52 shapes."""
    for p in range(len(VISEME_INDEX)):
        shapes[VISEME_SHAPE[p]] = shapes[VISEME_SHAPE[p]] + share * VISEME_WEIGHT[p] * visemes[VISEME_INDEX[p]]


@compiled
def shape_targets(
    mapping: int,
    aus: Any,
    face: Any,
    presence: float,
    emotions: Any,
    arousal: float,
    visemes: Any,
    mouth: float,
    config: Any,
    out: Any,
) -> None:
    """The 52 shapes that the strategy asks for, 0..1, to ``out``.

    ``mouth`` is the visemes' share of the mouth: it takes the mouth's shapes from the AUs and gives them to the
    visemes. What the emotions add stays: a smile is heard, too.
    """
    share = style_share(mapping, config)
    shapes_of_aus(aus, face, config, presence, out)
    for j in range(N_BLENDSHAPES):
        out[j] = out[j] * (1.0 - share * EXPRESSIVE[j]) * (1.0 - mouth * MOUTH[j])
    if share > 0.0:
        add_style(emotions, arousal, config, share, out)
    if mouth > 0.0:
        shapes_of_visemes(visemes, mouth, out)
    for j in range(N_BLENDSHAPES):
        out[j] = clamp(out[j], 0.0, 1.0)


@compiled
def posture_targets(
    mapping: int, face: Any, presence: float, emotions: Any, arousal: float, config: Any, out: Any
) -> None:
    """Bones in degrees, glow and slouch (0..1), to their channels of ``out``, of shape (CHANNELS,).

    Head pose is exaggerated a little; sadness lowers the head and the shoulders; arousal leans forward.
    """
    share = style_share(mapping, config)
    gain = presence * config[P_HEAD_EXAGGERATION]
    sad = share * emotions[SAD]
    pitch = gain * face[F_PITCH]
    out[C_BONES] = gain * face[F_YAW]
    out[C_BONES + 1] = (1.0 - NECK_SHARE) * pitch + sad * config[P_SAD_HEAD_PITCH_DEG]
    out[C_BONES + 2] = gain * face[F_ROLL]
    out[C_BONES + 3] = NECK_SHARE * pitch
    out[C_BONES + 4] = share * config[P_AROUSAL_LEAN_DEG] * max(0.0, arousal)
    out[C_GLOW] = clamp(share * config[P_HAPPY_GLOW] * emotions[HAPPY], 0.0, 1.0)
    out[C_SLOUCH] = clamp(sad * config[P_SAD_SLOUCH], 0.0, 1.0)
