import logging
import sys
from types import ModuleType

import numpy as np
import pytest
import yaml

from inference_workers import face_engines, models
from inference_workers.engines.protocols import FaceInput
from runtime.clock import ManualClock
from runtime.errors import ModelError, PrerequisiteError, SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.vocabulary import AUS, EMOTIONS
from tests.support.engines import landmarker
from tests.support.faces import astronaut, blank
from tests.support.prerequisites import cache_dir, required
from tests.support.tiny_networks import head, with_one_size


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


WEIGHTS = models.MANIFEST.parent / "weights"
SAD = {"says": "emotions", "labels": ["sadness", "happiness"], "activation": "softmax"}


def chain_of(settings, folder, *outputs, bias, **more) -> Settings:
    """Settings for a chain with one head, or none, whose numbers are ``bias`` whatever it sees."""
    raw = {"name": "mine", "version": "3", "licence": "CC0-1.0", **more}
    if outputs:
        head(folder / "head.onnx", {"out": [[0.0] * len(bias)] * 3}, bias=bias)
        raw["heads"] = [{"file": "head.onnx", "input": {"size": 32}, "outputs": list(outputs)}]
    (folder / "chain.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return settings.model_copy(update={"face_engine": "onnx", "face_chain": str(folder / "chain.yaml")})


def seen(engine, picture=None):
    (output,) = engine.infer([FaceInput(astronaut() if picture is None else picture, 0)])
    return output


def test_a_chain_says_what_it_says_and_the_rest_stays_ours(settings, tmp_path, caplog):
    units = {"says": "action_units", "labels": ["AU12", "AU04"], "activation": "none", "first": 2}
    with caplog.at_level(logging.INFO):
        engine = face_engines.backed_face_engine(
            chain_of(settings, tmp_path, SAD, units, bias=[9.0, 0.0, 0.25, 0.75]), ManualClock(), Metrics("face-worker")
        )
    assert engine.source == "chain:mine@3+landmarker@4"
    assert "licence: CC0-1.0" in caplog.text
    said, ours = seen(engine).signal, seen(landmarker()).signal
    assert EMOTIONS[int(np.argmax(said.emotion_scores))] == "sad"
    assert said.valence == pytest.approx(-0.63, abs=0.01)
    aus, own_aus = dict(zip(AUS, said.au_intensities, strict=True)), dict(zip(AUS, ours.au_intensities, strict=True))
    assert (aus["AU12"], aus["AU04"]) == (0.25, 0.75)
    assert {name: value for name, value in aus.items() if name not in {"AU12", "AU04"}} == {
        name: value for name, value in own_aus.items() if name not in {"AU12", "AU04"}
    }
    assert said.blendshapes == ours.blendshapes
    assert (said.yaw_deg, said.box, said.confidence) == (ours.yaw_deg, ours.box, ours.confidence)


def test_affect_alone_leaves_the_emotions_to_ours(settings, tmp_path):
    affect = {"says": "affect", "labels": ["valence", "arousal"], "activation": "none"}
    chosen = chain_of(settings, tmp_path, affect, bias=[-0.5, 0.9])
    assert face_engines.face_engine(chosen).source == "chain:mine@3+landmarker@4"
    said, ours = seen(face_engines.face_engine(chosen)).signal, seen(landmarker()).signal
    assert said.emotion_scores == ours.emotion_scores
    assert (said.valence, said.arousal) == (pytest.approx(-0.5), pytest.approx(0.9))
    assert said.dominance == ours.dominance
    by_rule = chosen.model_copy(update={"face_emotion": "rule"})
    assert face_engines.face_engine(by_rule).source == "chain:mine@3+landmarker_rule@4"


def test_the_rule_reads_the_units_of_a_head(settings, tmp_path):
    unit = {"says": "action_units", "labels": ["AU09", "AU10", "AU12"], "activation": "none"}
    chosen = chain_of(settings, tmp_path, unit, bias=[1.0, 1.0, 0.0]).model_copy(update={"face_emotion": "rule"})
    scores = seen(face_engines.face_engine(chosen)).signal.emotion_scores
    assert EMOTIONS[int(np.argmax(scores))] == "disgust"


def test_a_detector_of_ones_own_finds_the_face(settings, tmp_path):
    with_one_size(WEIGHTS / "yunet.onnx", tmp_path / "fixed.onnx", 160)
    chosen = chain_of(settings, tmp_path, bias=[], detector={"file": "fixed.onnx", "threshold": 0.5})
    engine = face_engines.face_engine(chosen)
    assert engine.source == "chain:mine@3+landmarker@4"
    said, ours = seen(engine).signal, seen(landmarker()).signal
    assert said.box == pytest.approx(ours.box, abs=0.02)
    assert not seen(engine, blank()).signal.face_detected


def test_a_picture_that_a_head_fails_on_is_answered_by_the_embedded_engine(settings, tmp_path):
    """A head whose numbers are no probabilities once it sees something bright."""
    probabilities = {"says": "emotions", "labels": ["sad", "happy"], "activation": "none"}
    chosen = chain_of(settings, tmp_path, probabilities, bias=[1.0, 0.0])
    head(tmp_path / "head.onnx", {"out": [[5.0, 0.0]] * 3}, bias=[1.0, 0.0])
    metrics = Metrics("face-worker")
    output = seen(face_engines.backed_face_engine(chosen, ManualClock(), metrics))
    assert output.source == "landmarker@4"
    assert output.signal.emotion_scores == seen(landmarker()).signal.emotion_scores
    assert output.signal.track_id == 0


def test_a_chain_needs_its_description_and_its_files(settings, tmp_path):
    chosen = settings.model_copy(update={"face_engine": "onnx"})
    with pytest.raises(SettingsError, match=r"needs AFFECTSTREAM_FACE_CHAIN, .* docs/face-chain\.yaml"):
        face_engines.face_engine(chosen)
    made = chain_of(settings, tmp_path, SAD, bias=[1.0, 0.0])
    (tmp_path / "head.onnx").unlink()
    with pytest.raises(ModelError, match=r"head\.onnx does not load"):
        face_engines.face_engine(made)


def test_an_engine_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(SettingsError, match=r"AFFECTSTREAM_FACE_ENGINE: .*'embedded'.*'onnx'"):
        Settings.from_env({"AFFECTSTREAM_FACE_ENGINE": "deepface"})


class TestInsightface:
    """What can be told without the package; the rest stands in tests/models."""

    def test_it_needs_a_directory(self, settings, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "inference_workers.engines.insightface_pack", ModuleType("there"))
        monkeypatch.setattr(face_engines, "PACKS", tmp_path)
        chosen = settings.model_copy(update={"face_engine": "insightface"})
        with pytest.raises(SettingsError, match="needs AFFECTSTREAM_INSIGHTFACE_MODEL: a directory"):
            face_engines.face_engine(chosen)
        away = chosen.model_copy(update={"insightface_model": "buffalo_l"})
        with pytest.raises(
            PrerequisiteError, match=r"neither a directory buffalo_l nor a pack .*workers download none"
        ):
            face_engines.face_engine(away)
        (tmp_path / "buffalo_l").mkdir()
        assert face_engines._pack(away) == tmp_path / "buffalo_l"

    def test_without_its_package_the_extra_is_named(self, settings, monkeypatch):
        monkeypatch.delitem(sys.modules, "inference_workers.engines.insightface_pack", raising=False)
        monkeypatch.setitem(sys.modules, "insightface", None)
        chosen = settings.model_copy(update={"face_engine": "insightface"})
        with pytest.raises(PrerequisiteError, match="needs affectstream installed with its extra `insightface`: "):
            face_engines.face_engine(chosen)
