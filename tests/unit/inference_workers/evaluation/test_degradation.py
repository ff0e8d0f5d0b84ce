import numpy as np
import pytest

from inference_workers.evaluation.degradation import PICTURES, SOUNDS
from tests.support.voices import FORMANTS_HZ, vowel

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
SOUND = vowel(1.0, FORMANTS_HZ["aa"], amplitude=0.1)


def test_what_is_clean_is_untouched():
    np.testing.assert_array_equal(PICTURES["clean"](PICTURE), PICTURE)
    np.testing.assert_array_equal(SOUNDS["clean"](SOUND), SOUND)


@pytest.mark.parametrize("name", list(PICTURES))
def test_pictures_keep_their_form_and_are_the_same_again(name):
    before = PICTURE.copy()
    found = PICTURES[name](PICTURE)
    assert (found.shape, found.dtype) == (PICTURE.shape, np.uint8)
    np.testing.assert_array_equal(PICTURES[name](PICTURE), found)
    np.testing.assert_array_equal(PICTURE, before)


def test_each_kind_gets_worse():
    sharpness = [np.abs(np.diff(PICTURES[name](PICTURE).astype(int), axis=1)).mean() for name in PICTURES][:3]
    assert sharpness[0] > sharpness[1] > sharpness[2]
    light = [PICTURES[name](PICTURE).mean() for name in ("clean", "a quarter of the light", "a twentieth of the light")]
    assert light[1] == pytest.approx(light[0] / 4, rel=0.1)
    assert light[2] < light[1]
    assert (PICTURES["lower half hidden"](PICTURE)[48:] == 110).all()
    assert (PICTURES["lower half hidden"](PICTURE)[:48] == PICTURE[:48]).all()


@pytest.mark.parametrize("snr_db", [20, 0, -5])
def test_noise_has_the_ratio_it_says(snr_db):
    found = SOUNDS[f"noise {snr_db} dB"](SOUND)
    assert found.dtype == np.float32
    noise = found - SOUND
    assert 10 * np.log10((SOUND**2).mean() / (noise**2).mean()) == pytest.approx(snr_db, abs=0.5)
