import pytest

from inference_workers import models
from runtime.errors import ModelError, PrerequisiteError
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path)


def test_every_model_of_the_manifest_names_its_licence_and_a_pinned_source():
    assert {"face_landmarker", "silero_vad"} <= set(models.manifest())
    assert all(asset.licence and asset.sources for asset in models.manifest().values())


def test_listing_shows_what_is_missing(settings):
    listed = {entry.asset.name: entry for entry in models.listing(settings)}
    assert listed["face_landmarker"].state == "missing"
    assert listed["face_landmarker"].path == settings.cache_dir / "models" / "face_landmarker.task"


def test_an_altered_file_is_listed_as_such(settings):
    path = models.folder(settings) / "silero_vad.onnx"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    assert {e.asset.name: e.state for e in models.listing(settings)}["silero_vad"] == "altered"


def test_a_missing_model_says_which_command_fetches_it(settings):
    with pytest.raises(PrerequisiteError, match="run `affectstream models pull face_landmarker`"):
        models.locate(settings, "face_landmarker")


def test_an_unknown_name_lists_the_known_ones(settings):
    with pytest.raises(ModelError, match=r"no model is called 'gpt'; known: .*face_landmarker"):
        models.pull(settings, ["gpt"])
