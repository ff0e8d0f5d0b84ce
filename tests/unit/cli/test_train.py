import sys

import pytest
from typer.testing import CliRunner

from cli.train import app
from runtime.errors import PrerequisiteError


def test_without_the_extra_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, "inference_workers.training.face.fitting", raising=False)
    found = CliRunner().invoke(app, ["face", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert isinstance(found.exception, PrerequisiteError)
    assert "pip install 'affectstream[train]'" in str(found.exception)


@pytest.mark.parametrize("command", ["face", "speech"])
def test_a_folder_that_is_not_there_is_told(command, tmp_path):
    missing = tmp_path / "missing"
    found = CliRunner().invoke(app, [command, "--data", str(missing), "--out", str(tmp_path)])
    assert found.exit_code == 2
    assert "does not exist" in " ".join(found.output.replace("│", " ").split())  # a long path breaks the line anywhere
