"""The face worker's process: pictures from ``media.video`` in, FaceSignals on ``signals`` out."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from inference_workers import models
from inference_workers.face import FaceProcessor
from inference_workers.worker import Worker
from runtime.errors import PrerequisiteError
from runtime.lifecycle import Role
from runtime.settings import Settings
from schemas.records import VideoFrame
from schemas.topics import MEDIA_VIDEO
from schemas.vocabulary import Modality, Stage

if TYPE_CHECKING:
    from inference_workers.engines.landmarker import Landmarker

log = logging.getLogger(__name__)


def run(role: Role) -> None:
    """Work until ``role.stop`` is set. Raises PrerequisiteError or ModelError if the model cannot be used.

    One process uses one core: more workers are more instances (``AFFECTSTREAM_INSTANCE``), which share the partitions.
    """
    cv2.setNumThreads(1)
    engine = face_engine(role.settings)
    engine.warm_up()
    worker = Worker(
        role,
        FaceProcessor(engine, role.metrics),
        topic=MEDIA_VIDEO,
        record_type=VideoFrame,
        stage=Stage.FACE_WORKER,
        modality=Modality.FACE,
        source=engine.source,
    )
    worker.run()


def face_engine(settings: Settings) -> "Landmarker":
    """The engine as the settings want it; without the emotion network's file, the rule answers, and that is said."""
    # These load LiteRT and ONNX Runtime: this role's only.
    from inference_workers.engines.face_emotion import FaceEmotion  # noqa: PLC0415
    from inference_workers.engines.landmarker import Landmarker  # noqa: PLC0415

    emotion = None
    if settings.face_emotion == "network":
        own = settings.face_emotion_weights
        try:
            emotion = FaceEmotion(Path(own) if own else models.locate(settings, "face_emotion"), own=bool(own))
        except PrerequisiteError as error:
            log.warning("emotions of faces come from the rule over Action Units, which knows less: %s", error)
    return Landmarker(models.locate(settings, "face_landmarker"), emotion)
