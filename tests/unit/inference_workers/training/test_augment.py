import numpy as np
import pytest

from inference_workers.speech.features import pitch
from inference_workers.training import augment
from tests.support.voices import FORMANTS_HZ, vowel

SOUND = vowel(1.0, FORMANTS_HZ["aa"]).astype(np.float64)


def random():
    return np.random.default_rng(1)


def test_a_variation_is_the_same_for_the_same_seed_and_another_for_another():
    first, again = (augment.vary(SOUND.astype(np.float32), random()) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != augment.vary(SOUND.astype(np.float32), np.random.default_rng(2)).tobytes()
    assert np.abs(first).max() <= 1.0


def test_some_variations_are_noisy_and_the_voice_in_them_is_given_too():
    ratios = []
    for seed in range(40):
        heard, voice = augment.vary_in_noise(0.1 * SOUND.astype(np.float32), np.random.default_rng(seed))
        assert heard.shape == voice.shape
        ratios.append(10 * np.log10(np.mean(voice**2) / np.mean((heard - voice) ** 2)))
    assert -6.0 < min(ratios) < 2.0
    assert 0.2 < np.mean(np.array(ratios) < 12.0) < 0.6
    assert max(ratios) > 30.0


@pytest.mark.parametrize("snr_db", [10.0, 30.0])
def test_noise_has_the_wanted_level(snr_db):
    noise = augment.with_noise(SOUND, snr_db, random()) - SOUND
    assert 10 * np.log10(np.mean(SOUND**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.01)


def test_a_tilt_moves_treble_only():
    before, after = np.abs(np.fft.rfft(SOUND)), np.abs(np.fft.rfft(augment.tilted(SOUND, 6.0)))
    high = np.flatnonzero(before[7_000:] > 1e-6) + 7_000
    assert after[140] == pytest.approx(before[140], rel=0.02)
    assert 20 * np.log10(np.median(after[high] / before[high])) == pytest.approx(5.6, abs=0.4)


def test_a_room_keeps_the_length_and_rings_on():
    click = np.zeros(8_000)
    click[0] = 1.0
    wet = augment.in_a_room(click, 0.2, random())
    assert len(wet) == 8_000
    early, late = np.mean(wet[1:800] ** 2), np.mean(wet[2_400:3_200] ** 2)
    assert 10 * np.log10(early / late) == pytest.approx(45, abs=6)  # 60 dB in 200 ms, 150 ms apart
    assert not wet[3_300:].any() or np.abs(wet[3_300:]).max() < 1e-6


def test_speed_changes_the_pitch():
    pitches = {
        round(float(np.median(pitch(augment.vary(SOUND.astype(np.float32), np.random.default_rng(seed)))[0])))
        for seed in range(8)
    }
    assert max(pitches) / min(pitches) > 1.05
