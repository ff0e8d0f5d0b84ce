import sys

import pytest

from inference_workers import models
from inference_workers.engines.choice import bare_speech_engine, speech_engine
from runtime.clock import ManualClock
from runtime.errors import ModelError, PrerequisiteError, SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required


def settings(**values):
    return Settings.from_env({f"AFFECTSTREAM_{name.upper()}": value for name, value in values.items()})


@pytest.fixture(autouse=True)
def _model():
    with required():
        models.locate(Settings(cache_dir=cache_dir()), "speech_emotion_noise")


def chosen(**values):
    return speech_engine(settings(cache_dir=str(cache_dir()), **values), ManualClock(), Metrics("speech-worker"))


def test_the_embedded_engine_is_the_default_and_stands_alone():
    assert type(chosen()).__name__ == "EmbeddedSpeech"


def test_an_engine_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(SettingsError, match=r"AFFECTSTREAM_SPEECH_ENGINE.*'embedded', 'sensevoice'.*'kserve'"):
        settings(speech_engine="whisper")


@pytest.mark.parametrize("engine", ["remote"])
def test_a_server_needs_an_address(engine):
    with pytest.raises(SettingsError, match="needs AFFECTSTREAM_SPEECH_URL"):
        chosen(speech_engine=engine)


def test_a_server_that_is_away_now_is_no_error():
    engine = chosen(speech_engine="remote", speech_url="http://127.0.0.1:9")
    assert engine.source == "remote@1"
    assert engine.degraded


@pytest.mark.parametrize(
    "name, module, extra",
    [
        ("sensevoice", "funasr", "sensevoice"),
        ("sensevoice-onnx", "kaldi_native_fbank", "sensevoice-onnx"),
        ("kserve", "tritonclient", "kserve"),
    ],
)
def test_an_engine_without_its_packages_names_their_extra(name, module, extra, monkeypatch, tmp_path):
    if name != "kserve":
        # What is there to be loaded is looked at first.
        with pytest.raises(PrerequisiteError, match="models pull sensevoice"):
            bare_speech_engine(settings(speech_engine=name, cache_dir=str(tmp_path)))
        monkeypatch.setattr("inference_workers.sensevoice_model.locate", lambda _settings, _form: tmp_path)
    for loaded in [
        each for each in sys.modules if each.split(".")[0] == module or each.startswith("inference_workers.")
    ]:
        if loaded in {"inference_workers.engines.kserve", "inference_workers.engines.sensevoice"} or loaded == module:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PrerequisiteError, match=f"needs affectstream installed with its extra `{extra}`: "):
        bare_speech_engine(settings(speech_engine=name, speech_url="grpc://127.0.0.1:1/m", cache_dir=str(tmp_path)))


def test_a_directory_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no SenseVoice model"):
        bare_speech_engine(settings(speech_engine="sensevoice", sensevoice_model=str(tmp_path)))


@pytest.mark.parametrize("milliseconds", ["0", "451", "x"])
def test_the_time_that_an_engine_has_is_less_than_a_window(milliseconds):
    with pytest.raises(SettingsError, match="AFFECTSTREAM_SPEECH_TIMEOUT_MS"):
        settings(speech_timeout_ms=milliseconds)
