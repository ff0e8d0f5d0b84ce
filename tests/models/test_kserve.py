"""Speech by a model on a real KServe v2 server, by gRPC and by REST."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from inference_workers.engines import choice, kserve, kserve_model
from inference_workers.engines.choice import speech_engine
from inference_workers.engines.fallback import FallbackSpeech
from inference_workers.engines.kserve import KServeSpeech
from inference_workers.engines.kserve_model import KServeModel
from inference_workers.failover import FIRST_PAUSE_US
from inference_workers.served import Address
from runtime.clock import ManualClock
from runtime.errors import ModelError, ModelServerError, SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS
from tests.contract.test_speech_engine import (
    WINDOWS,
    test_an_engine_names_itself_and_its_batch,  # noqa: F401 - what every engine promises, of this one
    test_an_engine_remembers_nothing,  # noqa: F401
    test_one_answer_a_window_in_order_and_in_range,  # noqa: F401
)
from tests.models.model_server import SERVED, ModelServer
from tests.support.prerequisites import cache_dir

LABELS = ("neutral", "happy", "sad", "angry", "surprise", "fear", "disgust", "unknown")


@pytest.fixture
def engine(server, scheme):
    return KServeSpeech(server.url(scheme, "band_emotion"), timeout_s=10.0, labels=LABELS)


@pytest.fixture(scope="module")
def expected():
    """The served model's arithmetic, done here."""
    spec = importlib.util.spec_from_file_location("bands", SERVED / "band_emotion" / "bands.py")
    bands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bands)
    return bands.probabilities


@pytest.mark.parametrize("count", [1, 4, 32])
def test_a_micro_batch_is_what_the_model_says(engine, expected, count):
    windows = (WINDOWS * 8)[:count]
    for answer, row in zip(engine.infer(windows), expected(np.stack(windows)), strict=True):
        np.testing.assert_allclose([*answer.scores, answer.unknown], row, atol=1e-5)
    assert engine.source == "kserve:band_emotion@1"


def test_labels_of_others_are_unknown_mass(server, scheme, expected):
    labels = ("joy", "sad", "x", "happy", "boredom", "calm", "y", "z")
    engine = KServeSpeech(server.url(scheme, "band_emotion"), timeout_s=10.0, labels=labels)
    (answer,) = engine.infer(WINDOWS[:1])
    (row,) = expected(np.stack(WINDOWS[:1]))
    assert answer.scores[EMOTIONS.index("sad")] == pytest.approx(row[1], abs=1e-5)
    assert answer.scores[EMOTIONS.index("happy")] == pytest.approx(row[3], abs=1e-5)
    assert answer.unknown == pytest.approx(1.0 - row[1] - row[3], abs=1e-5)


def test_what_the_model_takes_and_gives_is_read_from_the_server(server, scheme):
    model = KServeModel(Address.of(server.url(scheme, "band_emotion")), timeout_s=10.0)
    assert (model.input().name, model.input().shape) == ("windows", (-1, 16_000))
    assert [each.name for each in model.outputs()] == ["probabilities"]


def test_the_other_number_of_labels_is_told(server, scheme):
    engine = KServeSpeech(server.url(scheme, "band_emotion"), timeout_s=10.0, labels=LABELS[:-1])
    with pytest.raises(ModelServerError, match=r"gives probabilities \[1, 8\], nothing of \[1, 7\]"):
        engine.warm_up()


def test_a_model_that_is_not_there_is_told(server, scheme):
    with pytest.raises(ModelError, match="nowhere: the server has no such model"):
        KServeSpeech(server.url(scheme, "nowhere"), timeout_s=10.0, labels=LABELS).warm_up()


def test_a_server_that_is_not_there_is_told(scheme):
    engine = KServeSpeech(f"{scheme}://127.0.0.1:9/m", timeout_s=1.0, labels=LABELS)
    with pytest.raises(ModelServerError, match=r"://127.0.0.1:9/m: "):
        engine.warm_up()


@pytest.mark.parametrize("url", ["", "grpc://x/m", "grpc://x:1", "tcp://x:1/m", "http://x:1/a/b", "http://x:y/m"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match=r"AFFECTSTREAM_SPEECH_URL: .*scheme://host:port/model"):
        KServeSpeech(url, timeout_s=1.0, labels=LABELS)


def test_labels_that_are_none_of_ours_are_refused():
    with pytest.raises(SettingsError, match="names none of neutral"):
        KServeSpeech("grpc://x:1/m", timeout_s=1.0, labels=("joy", "rage"))


def test_shared_memory_is_used_only_where_the_server_offers_it(server, scheme, monkeypatch):
    """MLServer does not: what Triton would do is shown as far as it goes here."""
    made = []

    class Region:
        def __init__(self, _client, size):
            made.append(size)
            raise RuntimeError("MLServer takes none")

    monkeypatch.setattr(kserve_model, "_SharedRegion", Region)
    batch = np.stack(WINDOWS)
    model = KServeModel(Address.of(server.url(scheme, "band_emotion")), timeout_s=10.0)
    wanted = model.infer(batch)["probabilities"]
    assert made == []
    # A server that says it does, and then refuses, is served over the connection all the same.
    monkeypatch.setattr(kserve_model, "SHARED_MEMORY", "")
    offered = KServeModel(Address.of(server.url(scheme, "band_emotion")), timeout_s=10.0)
    client = offered._client(kserve_model.WARM_UP_S)
    said = {"name": "mlserver", "extensions": [""]}
    monkeypatch.setattr(
        client, "get_server_metadata", lambda **_: SimpleNamespace(**said) if scheme == "grpc" else said
    )
    np.testing.assert_allclose(offered.infer(batch)["probabilities"], wanted, atol=1e-6)
    offered.infer(batch)
    assert made == [batch.nbytes], "it asks once"
    elsewhere = KServeModel(Address("grpc", "10.0.0.1", 1, "m"), timeout_s=1.0)
    assert elsewhere._shared_region(4) is None


def test_the_shared_memory_holds_the_batch():
    from multiprocessing.shared_memory import SharedMemory

    class Client:
        def __init__(self):
            self.registered = []

        def register_system_shared_memory(self, name, key, size):
            self.registered.append((name, key, size))

        def unregister_system_shared_memory(self, name):
            self.registered.remove((name, f"/{name}", 12))

    client = Client()
    region = kserve_model._SharedRegion(client, 12)
    try:
        region.fill(np.array([1.0, 2.0, 3.0], np.float32))
        seen = SharedMemory(region.name)
        try:
            assert np.frombuffer(bytes(seen.buf[:12]), np.float32).tolist() == [1.0, 2.0, 3.0]
        finally:
            seen.close()
    finally:
        region.close(client)
    assert client.registered == []
    with pytest.raises(FileNotFoundError):
        SharedMemory(region.name)


def test_the_embedded_engine_answers_while_the_server_is_frozen(tmp_path, scheme):
    server = ModelServer(tmp_path)
    clock = ManualClock()
    embedded = choice.embedded(Settings(cache_dir=cache_dir()))
    try:
        server.start()
        primary = KServeSpeech(server.url(scheme, "band_emotion"), timeout_s=3.0, labels=LABELS)
        engine = FallbackSpeech(primary, embedded, clock, Metrics("speech-worker"), budget_s=3.0)
        engine.warm_up()
        assert {(each.source, each.degraded) for each in engine.infer(WINDOWS)} == {("kserve:band_emotion@1", False)}
        server.freeze()
        assert {(each.source, each.degraded) for each in engine.infer(WINDOWS)} == {("embedded-speech@2", True)}
        # Thawed before it gives up, the server might still answer in time.
        assert engine._call.answers.exception(timeout=30)
        server.thaw()
        clock.advance(us=FIRST_PAUSE_US)
        engine.infer(WINDOWS)
        engine._call.answers.result(timeout=30)
        assert {(each.source, each.degraded) for each in engine.infer(WINDOWS)} == {("kserve:band_emotion@1", False)}
    finally:
        server.kill()


def test_a_model_of_another_kind_ends_the_start(server, scheme, monkeypatch):
    settings = Settings(
        cache_dir=cache_dir(), speech_engine="kserve", speech_url=server.url(scheme, "band_emotion")
    )  # fmt: skip
    monkeypatch.setattr(kserve, "SAMPLE_RATE_HZ", 8_000)
    with pytest.raises(ModelError, match=r"takes \[-1, 16000\], not \[-1, 8000\]"):
        speech_engine(settings, ManualClock(), Metrics("speech-worker"))
