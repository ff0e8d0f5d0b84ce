import json
import sys
import types

import pytest
import yaml

from inference_workers import sensevoice_model
from runtime.errors import ModelError, PrerequisiteError
from runtime.settings import Settings


def lay_out(path, model="SenseVoiceSmall"):
    path.mkdir(parents=True, exist_ok=True)
    for name in ("configuration.json", "am.mvn", "model.pt", "bpe.model"):
        (path / name).write_text(name)
    (path / "tokens.json").write_text(json.dumps(["<unk>"]))
    (path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    return path


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache")


def test_a_whole_directory_passes(tmp_path):
    sensevoice_model.check(lay_out(tmp_path), "torch")


@pytest.mark.parametrize("missing", ["config.yaml", "configuration.json", "am.mvn", "tokens.json", "model.pt"])
def test_what_a_directory_lacks_is_named(tmp_path, missing):
    (lay_out(tmp_path) / missing).unlink()
    with pytest.raises(ModelError, match=f"it lacks {missing}"):
        sensevoice_model.check(tmp_path, "torch")


def test_another_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds Paraformer, not SenseVoiceSmall"):
        sensevoice_model.check(lay_out(tmp_path, "Paraformer"), "torch")
    (tmp_path / "config.yaml").write_text("- no mapping")
    with pytest.raises(ModelError, match="does not say which model"):
        sensevoice_model.check(tmp_path, "torch")
    with pytest.raises(ModelError, match="no directory"):
        sensevoice_model.check(tmp_path / "config.yaml", "torch")


def test_without_its_onnx_form_the_way_to_it_is_said(tmp_path):
    with pytest.raises(ModelError, match="affectstream models export sensevoice --from"):
        sensevoice_model.check(lay_out(tmp_path), "onnx")


def test_what_was_altered_since_it_was_pulled_is_refused(tmp_path):
    sensevoice_model.write_sums(lay_out(tmp_path))
    sensevoice_model.check(tmp_path, "torch")
    (tmp_path / "model.onnx").write_text("exported afterwards: no sum, no fault")
    sensevoice_model.check(tmp_path, "onnx")
    (tmp_path / "model.pt").write_text("other")
    (tmp_path / "bpe.model").unlink()
    with pytest.raises(ModelError, match=r"altered since it was pulled: bpe.model, model.pt"):
        sensevoice_model.check(tmp_path, "torch")


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]"])
def test_a_list_of_tokens_is_one(tmp_path, text):
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(ModelError, match="no list of tokens"):
        sensevoice_model.token_list(tmp_path)


def test_without_a_model_the_way_to_one_is_said(settings, tmp_path):
    sensevoice_model.folder(settings).mkdir(parents=True)  # a fetch that was broken off
    assert sensevoice_model.state(settings) == "missing"
    with pytest.raises(PrerequisiteError, match="affectstream models pull sensevoice"):
        sensevoice_model.locate(settings, "torch")
    named = settings.model_copy(update={"sensevoice_model": str(tmp_path / "nowhere")})
    with pytest.raises(ModelError, match="nowhere is no directory"):
        sensevoice_model.locate(named, "torch")
    lay_out(tmp_path / "here")
    named = settings.model_copy(update={"sensevoice_model": str(tmp_path / "here")})
    assert sensevoice_model.locate(named, "torch") == tmp_path / "here"


class Hub:
    """Stands for a hub's client, which no test can reach: what it is asked, and what it does."""

    def __init__(self, monkeypatch, module, gives):
        self.asked = []
        self.gives = gives
        fake = types.ModuleType(module)
        fake.snapshot_download = self.fetch
        monkeypatch.setitem(sys.modules, module, fake)

    def fetch(self, name, local_dir=None):
        self.asked.append((name, local_dir))
        return str(self.gives(local_dir))


def test_pulling_says_what_it_is_and_under_which_licence_and_keeps_sums(settings, monkeypatch):
    hub = Hub(monkeypatch, "modelscope", lambda _target: lay_out(settings.cache_dir / "models" / "sensevoice"))
    said = []
    path = sensevoice_model.pull(settings, said.append)
    assert "SenseVoiceSmall" in said[0]
    assert "FunASR Model Open Source License 1.0" in said[1]
    assert hub.asked == [("iic/SenseVoiceSmall", str(path))]
    assert sensevoice_model.state(settings) == "present"
    assert "  model.pt\n" in (path / "SHA256SUMS").read_text()
    assert sensevoice_model.locate(settings, "torch") == path
    sensevoice_model.pull(settings, said.append)
    assert len(hub.asked) == 1, "it was there already"
    (path / "model.pt").write_text("other")
    assert sensevoice_model.state(settings) == "altered"
    sensevoice_model.pull(settings, said.append)
    assert len(hub.asked) == 2


def test_a_hub_that_gives_something_else_is_told(settings, monkeypatch):
    Hub(monkeypatch, "modelscope", lambda _target: lay_out(settings.cache_dir / "models" / "sensevoice", "Other"))
    with pytest.raises(ModelError, match="holds Other"):
        sensevoice_model.pull(settings, str)
    assert not (sensevoice_model.folder(settings) / "SHA256SUMS").exists()


def test_a_hub_that_cannot_be_reached_is_told_with_the_way_around(settings, monkeypatch):
    def away(_target):
        raise OSError("Name or service not known\nand a long trace")

    Hub(monkeypatch, "huggingface_hub", away)
    named = settings.model_copy(update={"sensevoice_model": "hf:FunAudioLLM/SenseVoiceSmall"})
    with pytest.raises(
        ModelError, match="Hugging Face does not give FunAudioLLM/SenseVoiceSmall: OSError: Name"
    ) as error:
        sensevoice_model.locate(named, "torch")
    assert "name it in AFFECTSTREAM_SENSEVOICE_MODEL" in str(error.value)
    assert "trace" not in str(error.value)


def test_a_hub_without_its_client_names_the_extra(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(PrerequisiteError, match="extra `sensevoice`"):
        sensevoice_model.pull(settings, str)
