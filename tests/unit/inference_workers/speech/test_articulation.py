from itertools import pairwise

import numpy as np
import pytest

from inference_workers.speech.articulation import CONTEXT, FRAMES, HIGHEST, LOWEST, SPAN, Mouth, hear, weigh
from inference_workers.speech.features import MELS
from schemas.vocabulary import VISEMES
from tests.support.voices import FORMANTS_HZ, noise, vowel

SOUND = np.concatenate([vowel(1.0, formants) for formants in FORMANTS_HZ.values()])


def listen(sound, speaking=1.0):
    mouth = Mouth()
    seen = [hear(sound[None, end - SPAN : end], [mouth], [speaking])[0] for end in range(SPAN, len(sound), 640)]
    return mouth, seen


def test_the_newest_frames_come_last_and_move_on():
    _, seen = listen(SOUND)
    assert seen[0].shape == (MELS, CONTEXT)
    assert seen[0].dtype == np.float32
    np.testing.assert_array_equal(seen[0][:, :-FRAMES], LOWEST)
    for before, after in pairwise(seen):
        np.testing.assert_array_equal(after[:, :-FRAMES], before[:, FRAMES:])


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_a_gain_does_not_matter_once_the_voice_is_known(gain):
    _, plain = listen(0.3 * SOUND)
    _, louder = listen(0.3 * gain * SOUND)
    # Bands that are empty but for the floor under the logarithm do not count.
    audible = plain[-1] > -5.0
    assert audible.mean() > 0.5
    assert np.median(np.abs(louder[-1] - plain[-1])[audible]) < 0.5


def test_only_speech_teaches_the_average():
    mouth, _ = listen(noise(2.0, 100, 7_000, 0.3), speaking=0.2)
    np.testing.assert_array_equal(mouth.average, Mouth().average)
    mouth, _ = listen(SOUND)
    assert np.abs(mouth.average - Mouth().average).max() > 1.0


def test_whatever_is_heard_stays_within_bounds():
    for sound in (1e9 * SOUND, np.zeros(6_400, np.float32), noise(1.0, 20, 7_900, 1e-6)):
        for seen in listen(sound.astype(np.float32))[1]:
            assert LOWEST <= seen.min() <= seen.max() <= HIGHEST


def test_a_break_forgets_the_sound_but_not_the_voice():
    mouth, _ = listen(SOUND)
    average = mouth.average.copy()
    mouth.fall_silent()
    np.testing.assert_array_equal(mouth.recent, LOWEST)
    np.testing.assert_array_equal(mouth.average, average)


def test_silence_takes_what_the_speaking_probability_leaves():
    found = np.full((3, len(VISEMES)), 1.0 / len(VISEMES), np.float32)
    silent, half, spoken = weigh(found, [0.2, 0.5, 0.9])
    assert silent == ((1.0, *[0.0] * 14), 1.0)
    assert half[0][0] == pytest.approx(0.5 + 0.5 / 15)
    assert spoken[1] == pytest.approx(1 / 15)
    assert all(sum(weights) == pytest.approx(1.0) for weights, _ in (silent, half, spoken))
