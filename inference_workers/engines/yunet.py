"""YuNet finds faces, small ones and many, in about 2 ms of one core.

Wu, Peng & Yu, YuNet: A Tiny Millisecond-level Face Detector (Machine Intelligence Research 20, 2023). The network of
``weights/yunet.md``, which is also the one of OpenCV's ``FaceDetectorYN``; OpenCV 5 takes twice the time for it that
ONNX Runtime does. A picture is looked at with its longer side at :data:`SIDE`: faces from about a thirtieth of it on
are found.

Per cell of strides 8, 16 and 32 the network gives how much of a face is there (two numbers), the box's centre and the
logarithm of its size in cells, and five points in cells: right and left eye, nose, right and left corner of the mouth.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from inference_workers.engines.face_geometry import Box, Detection, Floats
from inference_workers.engines.onnx_sessions import CPU, Execution, open_session
from inference_workers.engines.protocols import Picture
from runtime.errors import ModelError

SIDE: Final = 320
STRIDES: Final = (8, 16, 32)
PADDED_TO: Final = 32
THRESHOLD: Final = 0.6
OVERLAP: Final = 0.3
"""Two boxes that overlap more are one face."""
MOST: Final = 200
"""Boxes that are looked at; the best ones."""
OUTPUTS: Final = tuple(f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES)


class YuNet:
    """The detector. Stateless."""

    def __init__(
        self, path: Path, execution: Execution = CPU, *, threshold: float = THRESHOLD, side: int = SIDE
    ) -> None:
        """Load the network; raises ModelError if it is not one that gives YuNet's outputs.

        One that takes pictures of one size only looks at them in that.
        """
        self._session = open_session(path, execution)
        given = {output.name for output in self._session.get_outputs()}
        missing = [name for name in OUTPUTS if name not in given]
        if missing or len(self._session.get_inputs()) != 1:
            raise ModelError(
                f"{path} is not a YuNet: it takes one picture and gives {', '.join(OUTPUTS)}; not {missing}"
            )
        self._input = self._session.get_inputs()[0].name
        fixed = self._session.get_inputs()[0].shape[2:]
        self._fixed: tuple[int, int] | None = tuple(fixed) if all(isinstance(edge, int) for edge in fixed) else None
        self._threshold = threshold
        self._side = min(self._fixed) if self._fixed else side

    def warm_up(self) -> None:
        """Run once, so that the first picture costs no more than the others."""
        self.find(np.zeros((self._side, self._side, 3), np.uint8))

    def find(self, picture: Picture) -> list[Detection]:
        """Every face, the largest first."""
        height, width = picture.shape[:2]
        scale = min(1.0, self._side / max(width, height))
        w, h = max(round(width * scale), 1), max(round(height * scale), 1)
        small = picture if scale == 1.0 else cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA)
        padded = np.zeros((1, 3, *(self._fixed or (_up(h), _up(w)))), np.float32)
        padded[0, :, :h, :w] = small.transpose(2, 0, 1)
        given = dict(zip(OUTPUTS, self._session.run(OUTPUTS, {self._input: padded}), strict=True))
        boxes, points, scores = _decoded(given, padded.shape[3], self._threshold)
        grow = np.array([width / w, height / h], np.float32)
        boxes, points = boxes * np.tile(grow, 2), points * grow
        kept = (
            cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self._threshold, OVERLAP, top_k=MOST)
            if len(scores)
            else ()
        )
        found = [
            Detection(Box(*(float(value) for value in boxes[i])), points[i], float(scores[i]))
            for i in np.asarray(kept, int)
        ]
        return sorted(found, key=lambda face: face.box.area, reverse=True)


def _decoded(given: dict[str, Floats], width: int, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Boxes (n x 4: left, top, width, height), points (n x 5 x 2) and scores of the cells above the threshold."""
    boxes, points, scores = [], [], []
    for stride in STRIDES:
        sure = np.sqrt(
            np.clip(given[f"cls_{stride}"][0, :, 0], 0.0, 1.0) * np.clip(given[f"obj_{stride}"][0, :, 0], 0.0, 1.0)
        )
        cells = np.flatnonzero(sure > threshold)
        corner = np.stack([cells % (width // stride), cells // (width // stride)], axis=1).astype(np.float32)
        raw = given[f"bbox_{stride}"][0, cells]
        size = np.exp(raw[:, 2:]) * stride
        boxes.append(np.concatenate([(corner + raw[:, :2]) * stride - size / 2, size], axis=1))
        points.append((given[f"kps_{stride}"][0, cells].reshape(-1, 5, 2) + corner[:, None]) * stride)
        scores.append(sure[cells])
    return np.concatenate(boxes), np.concatenate(points), np.concatenate(scores)


def _up(pixels: int) -> int:
    return -(-pixels // PADDED_TO) * PADDED_TO
