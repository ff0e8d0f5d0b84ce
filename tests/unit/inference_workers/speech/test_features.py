import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.speech import features
from tests.support.voices import FORMANTS_HZ, noise, silence, sine, vowel

A = vowel(1.0, FORMANTS_HZ["aa"])


@pytest.mark.parametrize("hz", [80, 120, 220, 333, 450])
def test_pitch_of_a_vowel_is_that_of_its_pulses(hz):
    found, strength = features.pitch(vowel(0.5, FORMANTS_HZ["aa"], pitch_hz=hz))
    # The pulses are a whole number of samples apart.
    assert np.median(found) == pytest.approx(16_000 / int(16_000 / hz), rel=0.01)
    assert (strength > features.VOICED_STRENGTH).mean() > 0.95


def test_noise_and_silence_have_no_pitch():
    assert features.voiced_fraction(noise(1.0, 100, 7_000, 0.1)) < 0.1
    assert features.voiced_fraction(silence(1.0)) == 0.0
    assert features.voiced_fraction(silence(0.01)) == 0.0


def test_a_full_scale_sine_has_3_db_less_than_full_scale():
    assert features.energy_dbfs(sine(1.0, 440, 1.0)) == pytest.approx(-3.01, abs=0.01)
    assert features.energy_dbfs(silence(1.0)) == features.SILENCE_DBFS
    assert features.energy_dbfs(np.zeros(0, np.float32)) == features.SILENCE_DBFS


def test_power_spectrum_peaks_at_the_sine_with_a_quarter_of_its_square():
    power = features.power_spectrum(features.frames(sine(0.1, 1_000, 1.0)))
    assert power.shape == (8, features.BINS)
    assert features.FREQUENCIES_HZ[power.mean(axis=0).argmax()] == 1_000
    assert power.max() == pytest.approx(0.25, rel=0.01)


def test_mel_bands_follow_the_frequency():
    bands = [
        features.log_mel(features.power_spectrum(features.frames(sine(0.1, hz))))[0].argmax()
        for hz in (200, 1_000, 5_000)
    ]
    assert bands == sorted(set(bands))


def test_the_mel_scale_is_1000_at_1000_hz():
    assert float(features.hz_to_mel(np.array([1_000.0]))[0]) == pytest.approx(1_000, abs=0.1)


def test_band_levels_add_up():
    power = features.power_spectrum(features.frames(A))
    parts = [
        10 ** (features.band_db(power, low, high) / 10) for low, high in ((0, 1_000), (1_000, 4_000), (4_000, 9_000))
    ]
    np.testing.assert_allclose(sum(parts), power.sum(axis=-1), rtol=1e-6)


def test_features_do_not_depend_on_the_microphone_gain():
    np.testing.assert_allclose(features.emotion_features(A), features.emotion_features(A * 0.2), rtol=0.05, atol=0.05)


def test_features_are_the_same_bits_every_time():
    assert features.emotion_features(A).tobytes() == features.emotion_features(A.copy()).tobytes()


def test_features_tell_high_voices_from_low_ones_and_report_voicing():
    low, high = (features.emotion_features(vowel(1.0, FORMANTS_HZ["aa"], pitch_hz=hz)) for hz in (100, 250))
    pitch_mean = 3 * (features.CEPSTRA - 1)
    assert high[pitch_mean] - low[pitch_mean] == pytest.approx(np.log2(2.5), abs=0.05)
    assert low[features.VOICED_SHARE] > 0.95
    assert features.emotion_features(noise(1.0, 100, 7_000, 0.1))[features.VOICED_SHARE] < 0.1


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-6, 1e-3, 1.0]), st.integers(4_000, 16_000))
def test_features_of_anything_are_finite(seed, amplitude, length):
    random = np.random.default_rng(seed)
    sound = (amplitude * random.uniform(-1, 1, length)).astype(np.float32)
    sound[: random.integers(length)] = 0.0
    found = features.emotion_features(sound)
    assert found.shape == (features.FEATURES,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
