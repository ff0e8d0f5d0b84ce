"""What the doctor makes of the machine."""

import socket

import pytest

from cli.doctor.machine import check_models, check_ports, check_settings, judge_engines, judge_opencv
from inference_workers import models
from runtime.settings import Settings


def test_a_key_of_each_role_s_own_is_worth_a_word():
    assert check_settings({"AFFECTSTREAM_TOKEN_KEY": "x" * 32}).status == "ok"
    finding = check_settings({})
    assert finding.status == "warning"
    assert "openssl rand" in finding.remedy


def test_models_that_are_missing_or_altered_are_named(tmp_path):
    settings = Settings.from_env({}, cache_dir=tmp_path)
    finding = check_models(settings)
    assert finding.status == "failure"
    name, asset = next((n, a) for n, a in models.manifest().items() if a.default)
    assert name in finding.found
    assert f"models pull {name}" in finding.remedy
    path = models.folder(settings) / asset.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something else")
    finding = check_models(settings)
    assert "not what they should be" in finding.found
    assert name in finding.found


@pytest.mark.parametrize(
    "packages,providers,gpu,status",
    [
        (["onnxruntime"], ["CPUExecutionProvider"], False, "ok"),
        (["onnxruntime-gpu"], ["CUDAExecutionProvider", "CPUExecutionProvider"], True, "ok"),
        (["onnxruntime-gpu"], ["CUDAExecutionProvider", "CPUExecutionProvider"], False, "ok"),
        (["onnxruntime"], ["CPUExecutionProvider"], True, "warning"),
        (["onnxruntime", "onnxruntime-gpu"], ["CPUExecutionProvider"], False, "failure"),
        ([], [], False, "failure"),
    ],
)
def test_engines(packages, providers, gpu, status):
    finding = judge_engines(packages, providers, gpu=gpu)
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")


def test_two_packages_that_carry_opencv_are_told_apart_from_one():
    assert judge_opencv(["opencv-contrib-python-headless"]).status == "ok"
    finding = judge_opencv(["opencv-contrib-python-headless", "opencv-python"])
    assert finding.status == "warning"
    assert finding.remedy.startswith("pip uninstall opencv-python, then pip install --force-reinstall")


def test_a_port_that_is_taken_is_named_with_who_has_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first, second = check_ports(Settings.from_env({}, port=port))
    assert first.status == "warning"
    assert f"127.0.0.1:{port} is taken by process" in first.found
    assert second.status == "skipped"
