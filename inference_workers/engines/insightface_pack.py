"""Faces found by insightface, of a pack that its user supplies, and heads' poses where the pack has a network for them.

The pack is a directory of ONNX files as insightface's ``FaceAnalysis`` reads it: a detector that gives five points of a
face (SCRFD, RetinaFace), and perhaps 68 points in three dimensions (``1k3d68.onnx``). insightface opens every file to
see what it is; others, such as those that recognise persons, are dropped. insightface is MIT; its own pretrained packs
are for non-commercial research only.

insightface tells the pose as three angles of the matrix that turns its mean face into the 68 points, in axes whose z
comes towards the camera (x to the right, y down). It is taken back to that matrix, and so to our angles.
"""

import re
from pathlib import Path
from typing import Final

import insightface
import numpy as np
from insightface.app import FaceAnalysis
from insightface.app.common import Face

from inference_workers.engines import onnx_sessions
from inference_workers.engines.face_geometry import Box, Detection, Doubles, Pose
from inference_workers.engines.onnx_sessions import CPU, Execution
from inference_workers.engines.protocols import Picture
from runtime.errors import ModelError

LICENCE: Final = "insightface is MIT; its own pretrained packs are for NON-COMMERCIAL RESEARCH ONLY"
MODULES: Final = ("detection", "landmark_3d_68")
"""insightface's names of what is loaded of a pack."""
SIDE: Final = 640
"""Pictures are looked at in this size, by detectors that take any."""
THRESHOLD: Final = 0.5
TOWARDS: Final = np.diag([1.0, 1.0, -1.0])
"""Between axes whose z comes towards the camera and ours, whose z goes away."""


class InsightFace:
    """A :class:`~inference_workers.engines.protocols.FaceDetector`. To be called from one thread at a time."""

    def __init__(self, pack: Path, execution: Execution = CPU, *, threshold: float = THRESHOLD) -> None:
        """Load the pack, an existing directory; raises ModelError if it holds no detector that can be used."""
        try:
            app = FaceAnalysis(
                name=str(pack),
                allowed_modules=list(MODULES),
                providers=onnx_sessions.providers_of(execution),
                sess_options=onnx_sessions.options_of(execution),
            )
            # A negative context takes every other provider away.
            app.prepare(
                ctx_id=-1 if execution.providers == ("cpu",) else 0, det_thresh=threshold, det_size=(SIDE, SIDE)
            )
        except Exception as error:  # it asserts, and passes on what ONNX Runtime raises
            why = str(error) or "no detector (SCRFD, RetinaFace) is among its .onnx files"
            raise ModelError(f"{pack} is no pack that insightface {insightface.__version__} loads: {why}") from error
        self._detector = app.det_model
        if not self._detector.use_kps:
            raise ModelError(f"{pack}: its detector gives no points of a face; take one that does (…_bnkps, …_kps)")
        onnx_sessions.check(self._detector.session, execution)
        name = re.sub(r"[^a-z0-9_.-]", "_", pack.resolve().name.lower())
        self.named = f"insightface:{name}@{insightface.__version__}"
        points = app.models.get("landmark_3d_68")
        self.poses = None if points is None else InsightFacePose(points)

    def warm_up(self) -> None:
        """Run once, so that the first picture costs no more than the others."""
        self.find(np.zeros((SIDE, SIDE, 3), np.uint8))

    def find(self, picture: Picture) -> list[Detection]:
        """Every face, the largest first."""
        boxes, points = self._detector.detect(picture)
        found = [
            Detection(Box(float(left), float(top), float(right - left), float(bottom - top)), five, float(score))
            for (left, top, right, bottom, score), five in zip(boxes, points, strict=True)
        ]
        return sorted(found, key=lambda face: face.box.area, reverse=True)


class InsightFacePose:
    """A :class:`~inference_workers.engines.protocols.FacePose` of 68 points."""

    def __init__(self, points: object) -> None:
        """``points``: insightface's own model of them."""
        self._points = points

    def warm_up(self) -> None:
        """Run once."""
        self.pose(np.zeros((SIDE, SIDE, 3), np.uint8), Box(160.0, 160.0, 320.0, 320.0))

    def pose(self, picture: Picture, box: Box) -> Pose:
        """The pose of the head whose landmarks fill this box."""
        face = Face(bbox=np.array([box.x, box.y, box.x + box.width, box.y + box.height], np.float32))
        self._points.get(picture, face)  # type: ignore[attr-defined]
        return pose_of(*(float(angle) for angle in face.pose))


def pose_of(x_deg: float, y_deg: float, z_deg: float) -> Pose:
    """Our angles from insightface's: rotations about x, then y, then z (its ``matrix2angle``), z towards the camera."""
    x, y, z = np.radians([x_deg, y_deg, z_deg])
    about_x: Doubles = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y: Doubles = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z: Doubles = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return Pose.of_matrix(TOWARDS @ about_z @ about_y @ about_x @ TOWARDS)
