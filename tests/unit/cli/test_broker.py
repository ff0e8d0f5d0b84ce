import os
import subprocess

import pytest

from cli.broker import find_java, java_major, prepare
from runtime.errors import PrerequisiteError


@pytest.mark.parametrize(
    "text,major",
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("command not understood", None),
    ],
)
def test_java_major(text, major):
    assert java_major(text) == major


def stub_java(folder, version):
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)


def test_without_java_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"Java 17 or newer.*openjdk-17.*KAFKA_BOOTSTRAP_SERVERS"):
        prepare(tmp_path)


def test_an_old_java_is_refused_by_name(tmp_path, monkeypatch):
    stub_java(tmp_path, "11.0.2")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(PrerequisiteError, match=rf"{tmp_path}/java is version 11"):
        find_java()


def test_without_maven_the_error_says_what_to_do(tmp_path, monkeypatch):
    stub_java(tmp_path, "21.0.1")
    assert subprocess.run([tmp_path / "java"], capture_output=True, check=True).stderr
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    # The stub is a shell script: its interpreter is named by an absolute path.
    with pytest.raises(PrerequisiteError, match=r"(?s)Maven.*apt install maven.*KAFKA_BOOTSTRAP_SERVERS"):
        prepare(tmp_path / "cache")
