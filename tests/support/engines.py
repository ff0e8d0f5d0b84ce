"""Real engines for tests, loaded once."""

from functools import cache

from inference_workers import face_engines, models
from inference_workers.engines.face_emotion import FaceEmotion
from inference_workers.engines.landmarker import Landmarker
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required


@cache
def face_emotion() -> FaceEmotion:
    """The face emotion network; the test is skipped if it was not pulled."""
    with required():
        engine = FaceEmotion(models.locate(Settings(cache_dir=cache_dir()), "face_emotion"))
    engine.warm_up()
    return engine


@cache
def landmarker() -> Landmarker:
    """The default face engine; the test is skipped if its models were not pulled."""
    emotion = face_emotion()
    with required():
        engine = face_engines.landmarker(Settings(cache_dir=cache_dir()), emotion)
    engine.warm_up()
    return engine
