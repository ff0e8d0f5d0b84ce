import hashlib
from pathlib import Path

import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.embedded_speech import EmbeddedSpeech
from inference_workers.training import corpus
from inference_workers.training.augment import with_noise
from runtime.errors import ModelError
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS
from tests.support.prerequisites import cache_dir, required, shared_data
from tests.support.voices import FORMANTS_HZ, noise, sample_speech, silence, vowel

WEIGHTS = models.MANIFEST.parent / "weights" / "speech_emotion.onnx"
IN_NOISE = WEIGHTS.with_name("speech_emotion_noise.onnx")


@pytest.fixture(scope="module")
def engine():
    found = EmbeddedSpeech(WEIGHTS, IN_NOISE)
    found.warm_up()
    return found


@pytest.mark.parametrize("weights", [WEIGHTS, IN_NOISE])
def test_the_shipped_files_are_small_and_those_in_the_manifest(tmp_path, weights):
    data, name = weights.read_bytes(), weights.stem
    asset = models.manifest()[name]
    assert len(data) == asset.bytes < 1_000_000
    assert hashlib.sha256(data).hexdigest() == asset.expected_digest()
    pulled = models.pull(Settings(cache_dir=tmp_path), [name])[name]
    assert pulled.read_bytes() == data
    assert (WEIGHTS.parent / "speech_emotion.md").exists()


def test_answers_are_distributions_without_surprise(engine):
    windows = [silence(1.0), noise(1.0, 100, 7_000, 0.1), vowel(1.0, FORMANTS_HZ["aa"])]
    for answer in engine.infer(windows):
        assert sum(answer.scores) + answer.unknown == pytest.approx(1.0, abs=1e-5)
        assert min(answer.scores) >= 0.0
        assert answer.scores[EMOTIONS.index("surprise")] == 0.0
        assert all(-1.0 <= value <= 1.0 for value in (answer.valence, answer.arousal, answer.dominance))


def test_what_is_no_voice_has_no_confidence(engine):
    quiet, hiss, voiced = engine.infer([silence(1.0), noise(1.0, 100, 7_000, 0.1), vowel(1.0, FORMANTS_HZ["aa"])])
    assert quiet.confidence == 0.0
    assert hiss.confidence < 0.2
    assert voiced.confidence == pytest.approx(max(voiced.scores))


def in_noise(window, snr_db):
    return with_noise(window.astype(np.float64), snr_db, np.random.default_rng(0)).astype(np.float32)


def test_a_batch_answers_as_each_alone(engine):
    sound, truth = sample_speech()
    start = int(truth.speech[0][0] * 16_000)
    windows = [sound[start + n * 4_000 : start + n * 4_000 + 16_000] for n in range(5)]
    windows += [in_noise(window, snr) for window in windows for snr in (15.0, 0.0)]
    for together, alone in zip(engine.infer(windows), [engine.infer([w])[0] for w in windows], strict=True):
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-6)


def test_a_synthesiser_without_emotion_is_mostly_neutral(engine):
    sound, truth = sample_speech()
    windows = [
        sound[int(start * 16_000) : int(start * 16_000) + 16_000]
        for start in np.arange(0, truth.duration_s - 1, 0.5)
        if all(truth.speaks(start + at, margin_s=0.0) for at in (0.0, 0.5, 1.0))
    ]
    answers = engine.infer(windows)
    tops = [EMOTIONS[int(np.argmax(answer.scores))] for answer in answers]
    assert tops.count("neutral") > len(tops) / 2


def test_each_network_answers_where_it_was_trained_for(engine):
    """In quiet surroundings what the first says to the bit, in noise what the second says."""
    voice = vowel(1.0, FORMANTS_HZ["aa"])
    noisy = in_noise(voice, -5.0)
    quiet_alone, noise_alone = EmbeddedSpeech(WEIGHTS), EmbeddedSpeech(IN_NOISE)
    assert engine.infer([voice]) == quiet_alone.infer([voice])
    assert engine.infer([noisy])[0].scores == noise_alone.infer([noisy])[0].scores
    assert engine.infer([noisy])[0].scores != quiet_alone.infer([noisy])[0].scores


def test_noise_is_not_taken_for_certainty(engine):
    """Of EMO-DB's own sentences, which the networks know, with noise 5 dB over the voice."""
    clips = [clip for clip in corpus.read(shared_data("emodb")) if clip.label in EMOTIONS][::10]
    windows = [corpus.load(clip.path)[4_000:20_000] for clip in clips]
    clean, noisy = engine.infer(windows), engine.infer([in_noise(window, -5.0) for window in windows])
    sure = [float(np.mean([answer.confidence for answer in answers])) for answers in (clean, noisy)]
    right = np.mean([EMOTIONS[int(np.argmax(a.scores))] == clip.label for a, clip in zip(noisy, clips, strict=True)])
    assert sure[1] < sure[0] - 0.1
    assert sure[1] < right + 0.1


def test_loud_anger_is_aroused_and_sadness_is_not(engine):
    clips = corpus.read(shared_data("emodb"))
    mean = {
        label: np.mean([engine.infer([corpus.load(c.path)[4_000:20_000]])[0].arousal for c in found])
        for label in ("angry", "sad")
        if (found := [clip for clip in clips if clip.label == label][:10])
    }
    assert mean["angry"] > 0.3
    assert mean["sad"] < 0.0


def test_another_model_is_refused(tmp_path):
    with required():
        other: Path = models.locate(Settings(cache_dir=cache_dir()), "silero_vad")
    with pytest.raises(ModelError, match="features"):
        EmbeddedSpeech(other)
