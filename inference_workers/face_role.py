"""The face worker's process: pictures from ``media.video`` in, FaceSignals on ``signals`` out."""

import cv2

from inference_workers.face import FaceProcessor
from inference_workers.face_engines import backed_face_engine
from inference_workers.worker import Worker
from runtime.guardian import Watch
from runtime.lifecycle import Role
from schemas.records import VideoFrame
from schemas.topics import MEDIA_VIDEO
from schemas.vocabulary import Modality, Stage


def run(role: Role, watch: Watch | None = None) -> None:
    """Work until ``role.stop`` is set; raises SettingsError, PrerequisiteError or ModelError if there is no engine.

    One process uses one core: more workers are more instances (``AFFECTSTREAM_INSTANCE``), which share the partitions.
    """
    cv2.setNumThreads(1)
    engine = backed_face_engine(role.settings, role.clock, role.metrics)
    role.metrics.count("engine_replaced_total", watch.replaced if watch else 0, engine=engine.source)
    worker = Worker(
        role,
        FaceProcessor(engine, role.metrics, watch),
        topic=MEDIA_VIDEO,
        record_type=VideoFrame,
        stage=Stage.FACE_WORKER,
        modality=Modality.FACE,
        source=engine.source,
    )
    worker.run()
