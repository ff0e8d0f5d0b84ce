import pytest

from inference_workers import face_engines, models
from runtime.errors import ModelError, PrerequisiteError
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required


@pytest.fixture
def settings() -> Settings:
    with required():
        for name in ("face_landmarker", "face_emotion", "yunet"):
            models.locate(Settings(cache_dir=cache_dir()), name)
    return Settings(cache_dir=cache_dir())


def test_the_network_answers_unless_the_rule_is_wanted(settings):
    assert face_engines.face_engine(settings).source == "landmarker@4"
    by_rule = settings.model_copy(update={"face_emotion": "rule"})
    assert face_engines.face_engine(by_rule).source == "landmarker_rule@4"


def test_a_network_of_ones_own_says_so(settings, tmp_path):
    own = tmp_path / "own.onnx"
    own.write_bytes(models.locate(settings, "face_emotion").read_bytes())
    of_own = settings.model_copy(update={"face_emotion_weights": str(own)})
    assert face_engines.face_engine(of_own).source == "landmarker_own@4"
    own.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="does not load"):
        face_engines.face_engine(of_own)


def test_without_the_networks_file_the_rule_answers_and_that_is_said(settings, tmp_path, caplog):
    (tmp_path / "models").mkdir()
    landmarker = models.locate(settings, "face_landmarker")
    for found in (landmarker, models.locate(settings, "yunet")):
        (tmp_path / "models" / found.name).symlink_to(found)
    bare = Settings(cache_dir=tmp_path)
    assert face_engines.face_engine(bare).source == "landmarker_rule@4"
    assert "models pull face_emotion" in caplog.text
    (tmp_path / "models" / landmarker.name).unlink()
    with pytest.raises(PrerequisiteError):
        face_engines.face_engine(bare)
