"""Engines that need torch: loaded once, from a tiny model that FunASR takes for the real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("funasr", reason="run these tests by `make test-models`, which has an environment for them")

from inference_workers.engines.sensevoice import SenseVoice
from inference_workers.engines.sensevoice_onnx import SenseVoiceOnnx
from tests.models.model_server import ModelServer
from tests.models.tiny_sensevoice import build


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a SenseVoiceSmall of random weights."""
    return build(tmp_path_factory.mktemp("sensevoice") / "tiny")


@pytest.fixture(scope="session")
def sensevoice(tiny: Path) -> SenseVoice:
    return SenseVoice(tiny)


@pytest.fixture(scope="session")
def exported(tiny: Path, sensevoice: SenseVoice) -> Path:
    """The same directory with its ONNX form."""
    sensevoice.export_onnx(tiny)
    return tiny


@pytest.fixture(scope="session")
def sensevoice_onnx(exported: Path) -> SenseVoiceOnnx:
    return SenseVoiceOnnx(exported)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """An MLServer with the models of ``served/``."""
    server = ModelServer(tmp_path_factory.mktemp("mlserver"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["grpc", "http"])
def scheme(request: pytest.FixtureRequest) -> str:
    """A way to it."""
    return str(request.param)
