"""One session as arrays along its ticks: what the metrics are computed from, wherever the frames come from. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.recordings.frames import CHANNELS
from schemas.vocabulary import AUS, EMOTIONS, VISEMES

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

TICKS_A_SECOND: Final = 30
HOP_US: Final = 40_000
SHAPES: Final = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "noseSneerLeft",
    "noseSneerRight",
    "jawOpen",
)
"""Blendshapes that the metrics look at: those that show expression, and last the jaw."""
EXPRESSION: Final = len(SHAPES) - 1
"""How many of them show expression."""

OPENNESS: Final[Mapping[str, float]] = {
    "sil": 0.0, "PP": 0.0, "FF": 0.1, "TH": 0.2, "DD": 0.2, "kk": 0.3, "CH": 0.15, "SS": 0.1, "nn": 0.2, "RR": 0.2,
    "aa": 1.0, "E": 0.5, "ih": 0.4, "oh": 0.65, "ou": 0.3,
}  # fmt: skip
"""How far the mouth is open in each viseme, 0..1: the order of jaw heights in phonetics, open vowels widest."""

COLUMNS: Final = (
    "sequence",
    *(f"emotion_{name}" for name in EMOTIONS),
    *AUS,
    *SHAPES,
    "speaking_probability",
    "face_weight",
    "speech_weight",
    "face_confidence",
    "speech_confidence",
    "face_live",
    "discontinuity",
)
"""Columns of the view ``frames`` that a track needs, besides ``captured_at``."""


@dataclass(frozen=True, slots=True)
class Track:
    """n ticks in rising order; rows of the matrices are ticks."""

    sequence: Ints
    emotions: Floats
    """(n, 7), in the order of EMOTIONS."""
    aus: Floats
    """(n, 20), calibrated, before mapping and smoothing."""
    shapes: Floats
    """(n, 18), in the order of :data:`SHAPES`."""
    speaking: Floats
    confidence: Floats
    """Of what was shown: the modalities' confidences, each by its weight."""
    face_live: Bools
    joined: Bools
    """Whether a tick follows the one before it without a gap; never the first."""
    heard: Floats
    """How far the visemes that were heard open a mouth, 0..1; NaN where nothing was heard."""

    def __len__(self) -> int:
        return len(self.sequence)


def track_of_columns(columns: Mapping[str, npt.NDArray[Any]], heard: Floats) -> Track:
    """A track from the columns of ``frames`` (:data:`COLUMNS`), in order, and :func:`heard_at` their instants."""
    sequence = columns["sequence"].astype(np.int64)

    def floats(names: Sequence[str]) -> Floats:
        return np.stack([np.asarray(columns[name], np.float64) for name in names], axis=-1)

    joined = np.zeros(len(sequence), np.bool_)
    joined[1:] = (np.diff(sequence) == 1) & ~columns["discontinuity"][1:].astype(np.bool_)
    weights = floats(("face_weight", "speech_weight"))
    sure = floats(("face_confidence", "speech_confidence"))
    return Track(
        sequence=sequence,
        emotions=floats([f"emotion_{name}" for name in EMOTIONS]),
        aus=floats(AUS),
        shapes=floats(SHAPES),
        speaking=np.asarray(columns["speaking_probability"], np.float64),
        confidence=(weights * sure).sum(axis=1),
        face_live=columns["face_live"].astype(np.bool_),
        joined=joined,
        heard=heard,
    )


_OF_CHANNEL: Final = {
    **{f"emotion_{name}": f"emotions.{name}" for name in EMOTIONS},
    **{name: f"aus.{name}" for name in AUS},
    **{name: f"blendshapes.{name}" for name in SHAPES},
    **{name: f"levels.{name}" for name in COLUMNS if name.endswith(("_probability", "_weight", "_confidence"))},
    "face_live": "face_live",
    "discontinuity": "discontinuity",
}


def track_of_channels(sequence: Ints, channels: Floats, hops_us: Ints, openness: Floats) -> Track:
    """A track from frames as :meth:`analytics.recordings.frames.FrameDecoder.channels` reads them.

    ``hops_us`` and ``openness``: of the session's speech signals, rising, as for :func:`heard_at`.
    """
    columns: dict[str, npt.NDArray[Any]] = {
        name: channels[:, CHANNELS.index(channel)] for name, channel in _OF_CHANNEL.items()
    }
    columns["sequence"] = sequence
    return track_of_columns(columns, heard_at(channels[:, 0].astype(np.int64), hops_us, openness))


def openness_of(visemes: Floats) -> Floats:
    """Of weights (m, 15): how far they open a mouth, 0..1."""
    wide = np.array([OPENNESS[name] for name in VISEMES])
    found: Floats = np.asarray(visemes, np.float64) @ wide
    return found


def heard_at(ticks_us: Ints, hops_us: Ints, openness: Floats) -> Floats:
    """Openness at each tick, interpolated between the hops around it; NaN if there is none within 40 ms."""
    if not len(hops_us):
        return np.full(len(ticks_us), np.nan)
    found = np.interp(ticks_us, hops_us, openness)
    after = np.searchsorted(hops_us, ticks_us)
    gap = np.minimum(
        np.abs(hops_us[np.minimum(after, len(hops_us) - 1)] - ticks_us),
        np.abs(ticks_us - hops_us[np.maximum(after - 1, 0)]),
    )
    return np.where(gap <= HOP_US, found, np.nan)
