"""Which face engine a worker runs: made here from the settings, and reported in every record by name and version.

What an engine needs is imported when it is made: nothing else of the product loads a model runtime.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from inference_workers import models
from inference_workers.engines.protocols import FaceEngine
from runtime.errors import PrerequisiteError
from runtime.settings import Settings

if TYPE_CHECKING:
    from inference_workers.engines.face_emotion import FaceEmotion
    from inference_workers.engines.gains import Gains
    from inference_workers.engines.landmarker import Landmarker

log = logging.getLogger(__name__)


def face_engine(settings: Settings) -> FaceEngine:
    """The engine, loaded but not warmed up; raises PrerequisiteError or ModelError if a model cannot be used."""
    return landmarker(settings, emotion_network(settings))


def emotion_network(settings: Settings) -> "FaceEmotion | None":
    """The network that tells emotions; None for the rule: asked for, or, which is said, because the file is missing."""
    from inference_workers.engines.face_emotion import FaceEmotion  # noqa: PLC0415

    if settings.face_emotion != "network":
        return None
    own = settings.face_emotion_weights
    try:
        return FaceEmotion(Path(own) if own else models.locate(settings, "face_emotion"), own=bool(own))
    except PrerequisiteError as error:
        log.warning("emotions of faces come from the rule over Action Units, which knows less: %s", error)
        return None


def landmarker(
    settings: Settings, emotion: "FaceEmotion | None" = None, *, gains: "Gains | None" = None
) -> "Landmarker":
    """The default engine; without an emotion network, the rule answers, without gains, the shipped curves are used."""
    from inference_workers.engines.landmarker import Landmarker  # noqa: PLC0415
    from inference_workers.engines.onnx_sessions import Execution  # noqa: PLC0415
    from inference_workers.engines.yunet import YuNet  # noqa: PLC0415

    detector = YuNet(models.locate(settings, "yunet"), Execution.from_settings(settings))
    bundle = models.locate(settings, "face_landmarker")
    return Landmarker(bundle, detector, emotion, most_faces=settings.most_faces, gains=gains)
