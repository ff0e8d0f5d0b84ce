import json

import cv2
import numpy as np
from typer.testing import CliRunner

from cli.evaluate import app
from runtime.errors import PrerequisiteError
from tests.support.engines import landmarker
from tests.support.faces import astronaut
from tests.support.tiny_networks import head


def test_faces_are_scored_and_told_as_json(tmp_path):
    landmarker()  # skips without the models
    (tmp_path / "happy").mkdir()
    (tmp_path / "sadness").mkdir()
    cv2.imwrite(str(tmp_path / "happy" / "whole.png"), astronaut())
    cv2.imwrite(str(tmp_path / "happy" / "crop.png"), cv2.resize(astronaut()[40:240, 125:325], (48, 48)))
    cv2.imwrite(str(tmp_path / "sadness" / "nobody.png"), np.zeros((300, 300), np.uint8))
    found = CliRunner().invoke(app, ["face", "--data", str(tmp_path), "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    assert (told["engine"], told["n"], told["crops"], told["undetected"]) == ("landmarker@4", 3, 1, 1)
    assert told["confusion"]["sad"]["no face"] == 1
    assert told["per_class"]["happy"]["recall"] == 1.0
    by_rule = CliRunner().invoke(app, ["face", "--data", str(tmp_path), "--emotion", "rule", "--json"])
    assert json.loads(by_rule.stdout.splitlines()[-1])["engine"] == "landmarker_rule@4"


def test_another_engine_is_scored_as_a_worker_would_run_it(tmp_path, monkeypatch):
    landmarker()
    head(tmp_path / "sad.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[5.0, 0.0])
    (tmp_path / "chain.yaml").write_text(
        "{name: gloomy, version: '1', licence: CC0-1.0, heads: [{file: sad.onnx, input: {size: 32}, outputs: "
        "[{says: emotions, labels: [sad, happy], activation: softmax}]}]}"
    )
    monkeypatch.setenv("AFFECTSTREAM_FACE_ENGINE", "onnx")
    monkeypatch.setenv("AFFECTSTREAM_FACE_CHAIN", str(tmp_path / "chain.yaml"))
    (tmp_path / "faces" / "sad").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "faces" / "sad" / "whole.png"), astronaut())
    arguments = ["face", "--data", str(tmp_path / "faces"), "--json"]
    told = json.loads(CliRunner().invoke(app, arguments).stdout.splitlines()[-1])
    assert (told["engine"], told["accuracy"]) == ("chain:gloomy@1+landmarker@4", 1.0)
    found = CliRunner().invoke(app, [*arguments, "--emotion", "rule"])
    assert "are about the embedded engine" in str(found.exception)


def test_a_folder_without_emotions_is_told(tmp_path):
    landmarker()
    found = CliRunner().invoke(app, ["face", "--data", str(tmp_path)])
    assert isinstance(found.exception, PrerequisiteError)
    assert "no folder of pictures" in str(found.exception)
