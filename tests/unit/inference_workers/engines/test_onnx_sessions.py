import logging

import numpy as np
import onnxruntime
import pytest

from inference_workers import models
from inference_workers.engines import onnx_sessions
from inference_workers.engines.onnx_sessions import CPU, Execution, open_session, runs_on
from runtime.errors import ModelError, PrerequisiteError, SettingsError
from runtime.settings import Settings

WEIGHTS = models.MANIFEST.parent / "weights" / "speech_emotion.onnx"
CUDA = Execution(("cuda", "cpu"))


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    onnx_sessions._say_once.cache_clear()


@pytest.fixture
def built_with_cuda(monkeypatch):
    """As onnxruntime-gpu on a machine without a GPU: the provider is listed, and sessions do without it."""
    monkeypatch.setattr(onnx_sessions, "_offered", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_session_uses_one_thread_that_never_spins():
    session = open_session(WEIGHTS)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert runs_on(session) == "cpu"
    width = session.get_inputs()[0].shape[1]
    assert session.run(None, {"features": np.zeros((2, width), np.float32)})[0].shape[0] == 2


def test_threads_can_be_asked_for():
    assert open_session(WEIGHTS, Execution(threads=3)).get_session_options().intra_op_num_threads == 3


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"a\.onnx does not load"):
        open_session(tmp_path / "a.onnx")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is CUDA here")
class TestWithoutCuda:
    def test_it_is_said_once_and_the_cpu_does_it(self, caplog):
        with caplog.at_level(logging.WARNING):
            assert runs_on(open_session(WEIGHTS, CUDA)) == "cpu"
            open_session(WEIGHTS, CUDA)
        (record,) = caplog.records
        assert "cuda was asked for and cannot be had: this ONNX Runtime has no such provider" in record.message
        assert "affectstream[gpu]" in record.message

    @pytest.mark.usefixtures("built_with_cuda")
    def test_missing_libraries_are_told_apart(self, caplog):
        with caplog.at_level(logging.WARNING):
            assert runs_on(open_session(WEIGHTS, CUDA)) == "cpu"
        assert "its driver or its libraries are missing" in caplog.text

    def test_strict_refuses(self):
        with pytest.raises(PrerequisiteError, match=r"cuda was asked for .*\(install affectstream\[gpu\]"):
            open_session(WEIGHTS, Execution(("cuda", "cpu"), strict=True))

    @pytest.mark.usefixtures("built_with_cuda")
    def test_strict_refuses_what_only_seems_to_be_there(self):
        with pytest.raises(PrerequisiteError, match="driver or its libraries"):
            open_session(WEIGHTS, Execution(("cuda",), strict=True))


def test_strict_does_not_mind_the_cpu():
    assert runs_on(open_session(WEIGHTS, Execution(strict=True))) == "cpu"


def test_from_settings():
    assert Execution.from_settings(Settings()) == CPU
    asked = Settings(onnx_providers="cpu, cuda,tensorrt", onnx_threads=2, onnx_strict=True)
    assert Execution.from_settings(asked) == Execution(("tensorrt", "cuda", "cpu"), 2, strict=True)
    with pytest.raises(SettingsError, match="unknown rocm; known: cpu, cuda, tensorrt"):
        Execution.from_settings(Settings(onnx_providers="rocm,cpu"))
