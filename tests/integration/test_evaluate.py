"""``affectstream eval …`` on small folders, with the real models."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.evaluate import app
from inference_workers import models
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required
from tests.support.voices import FORMANTS_HZ, sample_speech, vowel, write_wav

RAVDESS = Path(__file__).resolve().parents[3] / "shared" / "data" / "ravdess"


@pytest.fixture(autouse=True)
def _models(monkeypatch):
    monkeypatch.setenv("AFFECTSTREAM_CACHE_DIR", str(cache_dir()))
    with required():
        for name in ("silero_vad", "speech_emotion"):
            models.locate(Settings(cache_dir=cache_dir()), name)


def answer(*arguments: str) -> tuple[str, dict]:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    *told, last = result.stdout.strip().splitlines()
    return "\n".join(told), json.loads(last)


def test_visemes_of_labelled_recordings(tmp_path):
    sound, truth = sample_speech()
    write_wav(tmp_path / "a.wav", sound)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "start_s", "end_s", "label"])
        silent_s = 0.0
        for start_s, end_s in truth.speech:
            rows.writerow(["a.wav", silent_s, start_s, "sil"])
            silent_s = end_s
    told, found = answer("viseme", "--data", str(tmp_path))
    assert found["recordings"] == 1
    assert found["n"] > 100
    assert found["accuracy"] > 0.9, "only silences are labelled"
    assert "viseme" in told


def test_visemes_of_ravdess_are_timed_by_alignment():
    if not RAVDESS.exists():
        pytest.skip(f"{RAVDESS} is not there")
    told, found = answer("viseme", "--data", str(RAVDESS), "--limit", "12")
    assert found["recordings"] >= 10
    assert abs(found["offset_ms"]) <= 45
    assert "offset" in told


def test_emotions_of_listed_clips(tmp_path):
    for name in ("one", "two"):
        write_wav(tmp_path / f"{name}.wav", vowel(1.5, FORMANTS_HZ["aa"]))
    (tmp_path / "manifest.csv").write_text("path,label,speaker\none.wav,angry,x\ntwo.wav,surprise,y\n")
    told, found = answer("speech", "--data", str(tmp_path))
    assert found["n"] == 2
    assert found["per_class"]["surprise"]["recall"] == 0.0
    assert set(found["parts"]) == {f"{tmp_path.name}, speakers never heard"}
    assert "macro-F1" in told
