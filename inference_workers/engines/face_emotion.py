"""Seven emotions of a face by a small network of our own, from a grey crop, on one thread.

How it was trained and how well it answers: ``inference_workers/weights/face_emotion.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_geometry import CROP_SIDE, ROI_SCALE, Roi
from inference_workers.engines.onnx_sessions import open_session
from inference_workers.engines.protocols import Picture
from runtime.errors import ModelError
from schemas.records import Vector
from schemas.vocabulary import EMOTIONS

Grey = NDArray[np.uint8]

SIDE: Final = 48
"""Pixels of a crop's edge."""

FRAME_SCALE: Final = 1.08
FRAME_RISE: Final = 0.05
"""A crop's edge over that of the box around the landmarks, and how much higher (over its own edge) its centre lies.

So FER2013 frames its faces: medians over 664 of its training pictures in which this product's landmarks were found.
"""

_SAMPLED_SIDE: Final = 4 * SIDE
"""Faces are sampled at this size and then averaged: one step from a large face to 48 pixels would alias."""


class FaceEmotion:
    """Probabilities of :data:`schemas.vocabulary.EMOTIONS` for crops. To be called from one thread at a time."""

    def __init__(self, weights: Path, *, own: bool = False) -> None:
        """Load the network; raises ModelError if the file is none of this form. ``own``: it is not the shipped one."""
        self.own = own
        self._session = open_session(weights)
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        if [each.name for each in takes] != ["pictures"] or takes[0].shape[1:] != [SIDE, SIDE]:
            raise ModelError(f"{weights} takes {[(t.name, t.shape) for t in takes]}, not pictures of {SIDE} x {SIDE}")
        if gives[0].shape[1:] != [len(EMOTIONS)]:
            raise ModelError(f"{weights} gives {gives[0].shape}, not {len(EMOTIONS)} emotions")

    def warm_up(self) -> None:
        """Run once, so that the first face costs no more than the others."""
        self.scores([np.zeros((SIDE, SIDE), np.uint8)])

    def scores(self, crops: Sequence[Grey]) -> Sequence[Vector]:
        """One distribution a crop (SIDE x SIDE, grey), in order. Blocks for the inference."""
        if not crops:
            return []
        (probabilities,) = self._session.run(None, {"pictures": np.stack(crops)})
        return [tuple(row) for row in probabilities.tolist()]


def crop(picture: Picture, roi: Roi) -> Grey:
    """The face of a landmark region (:func:`~inference_workers.engines.face_geometry.roi_of`), upright, in grey."""
    side = roi.side / ROI_SCALE * FRAME_SCALE
    up_x, up_y = np.sin(roi.angle_rad), -np.cos(roi.angle_rad)
    frame = Roi(roi.centre_x + FRAME_RISE * side * up_x, roi.centre_y + FRAME_RISE * side * up_y, side, roi.angle_rad)
    sampled_side = _SAMPLED_SIDE if side > 2 * SIDE else SIDE
    sampled = cv2.warpAffine(
        picture,
        frame.to_crop() * (sampled_side / CROP_SIDE),
        (sampled_side, sampled_side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    grey = cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
