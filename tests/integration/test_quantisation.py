"""Networks in smaller forms, by onnxruntime's real tools."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from inference_workers.quantisation import Form, items_of, quantise
from runtime.errors import SettingsError
from tests.support.engines import face_emotion
from tests.support.faces import astronaut


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A few crops of one face, labelled two ways."""
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for emotion in ("happy", "sad"):
        (folder / emotion).mkdir()
        for number in range(16):
            x, y = random.integers(0, 12, 2)
            crop = astronaut()[40 + y : 240 + y, 125 + x : 325 + x]
            cv2.imwrite(str(folder / emotion / f"{number}.png"), cv2.resize(crop, (48, 48)))
    return folder


def test_int8_is_smaller_and_answers_alike(faces, tmp_path):
    face_emotion()  # skips without the model
    out = tmp_path / "small.onnx"
    arguments = ["models", "quantize", "face_emotion", "--to", "int8", "--data", str(faces), "--out", str(out)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "agrees with now" in found.stdout
    assert out.stat().st_size < 2_000_000


def test_fp16_is_written_without_data_and_says_that_it_is_not_judged(tmp_path):
    face_emotion()
    found = CliRunner().invoke(
        app, ["models", "quantize", "speech_emotion", "--to", "fp16", "--out", str(tmp_path / "half.onnx")]
    )
    assert found.exit_code == 0, found.output
    assert "unknown" in found.stdout
    assert (tmp_path / "half.onnx").stat().st_size < 120_000


def test_what_does_not_go_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"silero_vad cannot be quantised; these can: face_emotion"):
        items_of("silero_vad", None)
    with pytest.raises(SettingsError, match="int8 needs --data"):
        quantise(tmp_path / "in.onnx", tmp_path / "out.onnx", Form.INT8, items_of("face_emotion", None))
