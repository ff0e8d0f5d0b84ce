import numpy as np
import pytest

from inference_workers.engines.embedded_speech import EmbeddedSpeech
from inference_workers.speech import emotion
from inference_workers.training import speech_noise
from inference_workers.training.corpus import Clip
from inference_workers.training.speech_noise import SNRS_DB, Noisy
from runtime.errors import SettingsError
from tests.support.voices import FORMANTS_HZ, sine, vowel, write_wav


def test_windows_are_those_with_a_voice_and_have_noise(tmp_path):
    sound = np.concatenate([vowel(1.0, FORMANTS_HZ["aa"]), np.zeros(16_000, np.float32)])
    write_wav(tmp_path / "a.wav", sound)
    write_wav(tmp_path / "b.wav", sound)
    clips = [Clip(tmp_path / "a.wav", "happy", "1"), Clip(tmp_path / "b.wav", "surprise", "1")]
    clean, noisy = (speech_noise.windows_in_noise(clips, snr, 0) for snr in (None, 0.0))
    assert clean.labels.tolist() == noisy.labels.tolist() == [emotion.CLASSES.index("happy")] * len(clean.labels)
    assert 1 < len(clean.labels) < 5
    assert (noisy.audibility_db < clean.audibility_db).all()


def test_audibility_decides_between_the_two():
    audible = np.array([5.0, 16.0, 19.0, 22.0, 40.0])
    noisy = Noisy(np.zeros((5, 1)), np.ones(5), audible, np.zeros(5, np.int64), np.array(["1"] * 5))
    quiet, in_noise = np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 1.0], (5, 1))
    found = emotion.blended(quiet, in_noise, speech_noise.quietness(noisy))
    np.testing.assert_allclose(found, [[0, 1], [0, 1], [0.5, 0.5], [1, 0], [1, 0]])


def test_the_whole_run_is_reproducible_and_says_what_noise_costs(tmp_path, capsys):
    pytest.importorskip("onnx", reason="OPTIONAL: the extra `train` is not installed")
    lines = ["path,label,speaker"]
    for speaker in range(2):
        for label, pitch_hz in (("angry", 260), ("sad", 95)):
            name = f"{speaker}{label}.wav"
            write_wav(tmp_path / name, vowel(1.3, FORMANTS_HZ["aa"], pitch_hz=pitch_hz + 5 * speaker, amplitude=0.2))
            lines.append(f"{name},{label},{speaker}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for file in files:
        assert speech_noise.main(["--data", str(tmp_path), "--out", str(file), "--variations", "1"]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    printed = capsys.readouterr().out
    assert all(f"| {speech_noise._named(snr)} | " in printed for snr in SNRS_DB)
    assert EmbeddedSpeech(files[0], files[1]).infer([vowel(1.0, FORMANTS_HZ["aa"])])


def test_a_shipped_model_is_not_trained_on_ravdess(tmp_path):
    write_wav(tmp_path / "03-01-08-02-01-02-12.wav", sine(0.1, 300))
    with pytest.raises(SettingsError, match="RAVDESS"):
        speech_noise.main(["--data", str(tmp_path)])
