import numpy as np
import pytest

from inference_workers.training import corpus
from runtime.errors import PrerequisiteError
from tests.support.voices import sine, write_wav


def test_emodb_and_ravdess_names_are_read(tmp_path):
    for name in ("03a01Wa", "16b10Lb", "03-01-08-02-01-02-12", "03-01-02-01-01-01-01", "notes"):
        write_wav(tmp_path / f"{name}.wav", sine(0.1, 300))
    found = [(clip.path.stem, clip.label, clip.speaker) for clip in corpus.read(tmp_path)]
    assert found == [
        ("03-01-02-01-01-01-01", "neutral", "01"),
        ("03-01-08-02-01-02-12", "surprise", "12"),
        ("03a01Wa", "angry", "03"),
        ("16b10Lb", "unknown", "16"),
    ]


def test_a_manifest_goes_before_names(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label,speaker\nx/b.wav,happy,s2\na.wav,unknown,s1\n", encoding="utf-8")
    assert [(clip.label, clip.speaker) for clip in corpus.read(tmp_path)] == [("unknown", "s1"), ("happy", "s2")]
    (tmp_path / "manifest.csv").write_text("path,label,speaker\na.wav,joyful,s1\n", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="joyful"):
        corpus.read(tmp_path)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(PrerequisiteError, match="neither"):
        corpus.read(tmp_path)


def test_sound_is_brought_to_16_khz_mono(tmp_path):
    tone = sine(1.0, 440)
    stereo = np.repeat(np.interp(np.arange(22_050) * 16_000 / 22_050, np.arange(16_000), tone), 2)
    write_wav(tmp_path / "a.wav", stereo.astype(np.float32), rate_hz=22_050, channels=2)
    found = corpus.load(tmp_path / "a.wav")
    assert abs(len(found) - 16_000) < 50
    assert np.abs(np.fft.rfft(found[:8_000])).argmax() * 2 == 440
