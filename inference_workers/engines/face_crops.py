"""The picture of one face, as networks that read faces want it: a square around its landmarks, of one size."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_geometry import CROP_SIDE, ROI_SCALE, Roi
from inference_workers.engines.protocols import Picture

OVERSAMPLED: Final = 4
"""Large faces are sampled at so many times the size and then averaged: in one step they would alias."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a crop frames a face.

    ``scale``: its edge over that of the box around the landmarks; ``rise``: how much higher than the box's its centre
    lies, over its own edge; ``upright``: whether it is turned until the eyes are level.
    """

    scale: float
    rise: float = 0.0
    upright: bool = True


def cut(picture: Picture, roi: Roi, framing: Framing, side: int, *, grey: bool = False) -> NDArray[np.uint8]:
    """The face of a landmark region (:func:`~inference_workers.engines.face_geometry.roi_of`), ``side`` pixels square.

    Blue-green-red as the picture is (side x side x 3), or grey (side x side). What lies outside of the picture has the
    colour of its nearest pixel.
    """
    angle = roi.angle_rad if framing.upright else 0.0
    edge = roi.side / ROI_SCALE * framing.scale
    up_x, up_y = np.sin(angle), -np.cos(angle)
    frame = Roi(roi.centre_x + framing.rise * edge * up_x, roi.centre_y + framing.rise * edge * up_y, edge, angle)
    sampled_side = OVERSAMPLED * side if edge > 2 * side else side
    sampled = cv2.warpAffine(
        picture,
        frame.to_crop() * (sampled_side / CROP_SIDE),
        (sampled_side, sampled_side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    seen = cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY) if grey else sampled
    return np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
