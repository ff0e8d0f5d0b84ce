"""Real engines for tests, loaded once."""

from functools import cache

from inference_workers import models
from inference_workers.engines.landmarker import Landmarker
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required


@cache
def landmarker() -> Landmarker:
    """The default face engine; the test is skipped if its model was not pulled."""
    with required():
        engine = Landmarker(models.locate(Settings(cache_dir=cache_dir()), "face_landmarker"))
    engine.warm_up()
    return engine
