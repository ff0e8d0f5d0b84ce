"""Seven emotions of a face by a small network of our own, from a grey crop, on one thread.

How it was trained and how well it answers: ``inference_workers/weights/face_emotion.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_crops import Framing, cut
from inference_workers.engines.face_geometry import Roi
from inference_workers.engines.onnx_sessions import open_session
from inference_workers.engines.protocols import Picture
from runtime.errors import ModelError
from schemas.records import Vector
from schemas.vocabulary import EMOTIONS

Grey = NDArray[np.uint8]

SIDE: Final = 48
"""Pixels of a crop's edge."""

FRAMING: Final = Framing(scale=1.08, rise=0.05)
"""So FER2013 frames its faces: medians over 664 of its training pictures in which our landmarks were found."""


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
    return cut(picture, roi, FRAMING, SIDE, grey=True)
