"""The speech worker's process: sound from ``media.audio`` in, a SpeechSignal every 40 ms on ``signals`` out."""

from inference_workers import models
from inference_workers.engines.choice import speech_engine
from inference_workers.speech.processor import SpeechProcessor
from inference_workers.worker import Worker
from runtime.guardian import Watch
from runtime.lifecycle import Role
from schemas.records import AudioChunk
from schemas.topics import MEDIA_AUDIO
from schemas.vocabulary import Modality, Stage


def run(role: Role, watch: Watch | None = None) -> None:
    """Work until ``role.stop`` is set. Raises SettingsError, PrerequisiteError or ModelError for a bad engine.

    One process uses one core: more workers are more instances (``AFFECTSTREAM_INSTANCE``), which share the partitions.
    """
    # These load ONNX Runtime, which no other role needs.
    from inference_workers.engines.silero_vad import SileroVad  # noqa: PLC0415
    from inference_workers.engines.viseme_network import VisemeNetwork  # noqa: PLC0415

    detector = SileroVad(models.locate(role.settings, "silero_vad"))
    visemes = VisemeNetwork(models.locate(role.settings, "viseme"))
    detector.warm_up()
    visemes.warm_up()
    engine = speech_engine(role.settings, role.clock, role.metrics)
    role.metrics.count("engine_replaced_total", watch.replaced if watch else 0, engine=engine.source)
    Worker(
        role,
        SpeechProcessor(engine, detector, visemes, role.metrics, watch),
        topic=MEDIA_AUDIO,
        record_type=AudioChunk,
        stage=Stage.SPEECH_WORKER,
        modality=Modality.SPEECH,
        source=engine.source,
    ).run()
