"""``affectstream eval …`` on small folders, with the real models."""

import csv
import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from cli.evaluate import app
from inference_workers import models
from runtime.errors import PrerequisiteError
from runtime.settings import Settings
from tests.support.faces import astronaut
from tests.support.prerequisites import cache_dir, required
from tests.support.voices import FORMANTS_HZ, sample_speech, vowel, write_wav

RAVDESS = Path(__file__).resolve().parents[3] / "shared" / "data" / "ravdess"


@pytest.fixture(autouse=True)
def _models(monkeypatch):
    monkeypatch.setenv("AFFECTSTREAM_CACHE_DIR", str(cache_dir()))
    with required():
        for name in (
            "silero_vad",
            "speech_emotion",
            "speech_emotion_noise",
            "viseme",
            "face_landmarker",
            "face_emotion",
        ):
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


def test_pairs_of_faces_and_voices_are_fused(tmp_path):
    picture = astronaut()[:300, 80:380]
    for label in ("happy", "angry"):
        (tmp_path / "faces" / label).mkdir(parents=True)
        (tmp_path / "clips").mkdir(exist_ok=True)
        for n in range(2):
            cv2.imwrite(str(tmp_path / "faces" / label / f"{n}.png"), cv2.resize(picture, (200, 200)))
            write_wav(tmp_path / "clips" / f"{label}{n}.wav", sample_speech()[0][32_000:64_000])
    rows = "".join(f"{label}{n}.wav,{label},{n}\n" for label in ("happy", "angry") for n in range(2))
    (tmp_path / "clips" / "manifest.csv").write_text(f"path,label,speaker\n{rows}")
    told, found = answer("fusion", "--faces", str(tmp_path / "faces"), "--speech", str(tmp_path / "clips"))
    assert found["n"] == 12  # each utterance with three pictures
    assert found["classes"] == ["happy", "angry"]
    assert {"uar_fused", "uar_face", "uar_speech", "worst_gap"} < set(found)
    clean = next(cell for cell in found["grid"] if (cell["face"], cell["speech"]) == ("clean", "clean"))
    assert clean["face_weight"] + clean["speech_weight"] == pytest.approx(1.0, abs=0.01)
    assert "12 pairs across people" in told


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PrerequisiteError, match="nowhere is not there: say with --faces"):
        CliRunner().invoke(app, ["fusion", "--faces", str(tmp_path / "nowhere")], catch_exceptions=False)
