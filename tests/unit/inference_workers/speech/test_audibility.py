"""Noise in a voice is heard whatever its level, in speech that pauses and in a vowel that does not."""

import numpy as np
import pytest

from inference_workers.speech.audibility import MOST_DB, audibility_db
from inference_workers.speech.features import analysed
from inference_workers.training.augment import with_noise
from tests.support.voices import FORMANTS_HZ, noise, sample_speech, silence, vowel

SNRS_DB = (40.0, 20.0, 10.0, 5.0, 0.0, -5.0)


def syllables() -> np.ndarray:
    """One second of vowels one after the other, each rising and falling within a fifth of it."""
    pitches = zip(FORMANTS_HZ.values(), range(110, 160, 10), strict=True)
    parts = [vowel(0.2, formants, pitch_hz=hz) for formants, hz in pitches]
    return np.concatenate([part * np.hanning(len(part)) for part in parts]).astype(np.float64)


VOICES = {"syllables": syllables(), "one vowel": vowel(1.0, FORMANTS_HZ["aa"]).astype(np.float64)}


def heard(voice, snr_db, seed=0) -> float:
    noisy = with_noise(voice, snr_db, np.random.default_rng(seed))
    return analysed((0.1 * noisy).astype(np.float32)).audibility_db


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("seed", range(3))
def test_more_noise_is_less_audible(voice, seed):
    found = [heard(VOICES[voice], snr, seed) for snr in SNRS_DB]
    assert found == sorted(found, reverse=True)
    assert found[0] > 18.0
    assert found[-1] < 9.0


@pytest.mark.parametrize("gain", [0.01, 0.1, 0.5])
def test_the_level_does_not_matter(gain):
    for snr in (40.0, 5.0, -5.0):
        noisy = with_noise(VOICES["syllables"], snr, np.random.default_rng(1))
        quiet, loud = (analysed((level * noisy).astype(np.float32)).audibility_db for level in (gain, 1.0))
        assert quiet == pytest.approx(loud, abs=0.2)


def test_noise_alone_is_not_audible_and_a_pure_voice_is():
    hiss = noise(1.0, 100, 7_000, 0.1)
    assert analysed(hiss).audibility_db < 6.0
    assert all(analysed(voice.astype(np.float32)).audibility_db > 25.0 for voice in VOICES.values())


def test_it_is_bounded_even_where_there_is_no_noise_or_nothing_at_all():
    half = silence(1.0)
    half[:8_000] = VOICES["syllables"][:8_000]
    assert analysed(half).audibility_db <= MOST_DB
    assert np.isfinite(analysed(silence(1.0)).audibility_db)
    assert audibility_db(np.zeros((10, 4)), np.zeros(8)) <= 0.0


def test_real_sentences_are_audible_and_less_so_in_noise():
    sound, truth = sample_speech()
    starts = [at for at in np.arange(0, truth.duration_s - 1, 0.5) if truth.speaks(at + 0.5, margin_s=0.4)]
    windows = [sound[int(at * 16_000) : int(at * 16_000) + 16_000].astype(np.float64) for at in starts]
    assert len(windows) >= 5
    clean = [analysed(window.astype(np.float32)).audibility_db for window in windows]
    noisy = [heard(window, -5.0) for window in windows]
    assert min(clean) > 15.0
    assert np.median(noisy) < 10.0
