import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.speech import viseme
from inference_workers.speech.viseme import SPAN, Voice, visemes
from schemas.vocabulary import VISEMES
from tests.support.voices import FORMANTS_HZ, noise, sample_speech, vowel

SECONDS = SPAN / 16_000
GROUPS = {
    "open": {"aa"},
    "rounded": {"oh", "ou"},
    "spread": {"ih", "E"},
    "fricative": {"SS", "CH", "FF", "TH"},
    "nasal or closed": {"nn", "PP"},
}


def accustomed(pitch_hz: float) -> Voice:
    """A voice that has been heard speaking all vowels."""
    voice = Voice()
    for _ in range(60):
        for formants in FORMANTS_HZ.values():
            visemes(vowel(SECONDS, formants, pitch_hz=pitch_hz)[None], [voice], [1.0])
    return voice


def told(sound, voice, speaking=1.0) -> dict[str, float]:
    ((weights, confidence),) = visemes(sound[None], [voice], [speaking])
    assert sum(weights) == pytest.approx(1.0)
    assert confidence == max(weights)
    return dict(zip(VISEMES, weights, strict=True))


def group(weights: dict[str, float]) -> str:
    return max(GROUPS, key=lambda name: sum(weights[v] for v in GROUPS[name]))


@pytest.mark.parametrize("pitch_hz", [110, 210])
@pytest.mark.parametrize(
    "name, wanted", [("aa", {"aa", "oh"}), ("E", {"E"}), ("ih", {"ih"}), ("oh", {"oh"}), ("ou", {"ou"})]
)
def test_a_vowel_is_told_by_its_formants(name, wanted, pitch_hz):
    weights = told(vowel(SECONDS, FORMANTS_HZ[name], pitch_hz=pitch_hz), accustomed(pitch_hz))
    assert max(weights, key=weights.__getitem__) in wanted


@pytest.mark.parametrize("low, high, wanted", [(5_000, 7_800, "SS"), (2_200, 6_000, "CH")])
def test_fricatives_are_told_by_their_band(low, high, wanted):
    voice = Voice()
    voice.loud_db = -16.0
    weights = told(noise(SECONDS, low, high, 0.06), voice)
    assert max(weights, key=weights.__getitem__) == wanted
    assert group(weights) == "fricative"


def test_a_hum_through_closed_lips_is_nasal_or_closed():
    voice = accustomed(120.0)
    weights = told(vowel(SECONDS, (250, 1_000, 2_200), pitch_hz=120, amplitude=0.15), voice)
    assert group(weights) == "nasal or closed"


def test_who_does_not_speak_is_silent():
    voice = accustomed(120.0)
    sound = vowel(SECONDS, FORMANTS_HZ["aa"])
    assert told(sound, voice, speaking=0.2)["sil"] == 1.0
    assert told(sound, voice, speaking=0.5)["sil"] == pytest.approx(0.5)
    assert told(np.zeros(SPAN, np.float32), voice, speaking=1.0)["sil"] == 1.0


def test_a_batch_answers_as_each_alone():
    sounds = np.stack([vowel(SECONDS, formants) for formants in FORMANTS_HZ.values()])
    together = visemes(sounds, [Voice() for _ in sounds], [1.0] * len(sounds))
    alone = [visemes(sound[None], [Voice()], [1.0])[0] for sound in sounds]
    np.testing.assert_allclose([w for w, _ in together], [w for w, _ in alone], atol=1e-9)


def test_a_voice_learns_from_speech_only():
    voice = Voice()
    visemes(noise(SECONDS, 100, 7_000, 0.3)[None], [voice], [0.1])
    assert voice.loud_db == viseme.QUIETEST_LOUD_DB
    np.testing.assert_array_equal(voice.bands_db, Voice().bands_db)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-5, 0.01, 1.0]), st.floats(0, 1))
def test_weights_are_a_distribution_whatever_is_heard(seed, amplitude, speaking):
    sound = (amplitude * np.random.default_rng(seed).uniform(-1, 1, SPAN)).astype(np.float32)
    weights = told(sound, Voice(), speaking)
    assert min(weights.values()) >= 0.0


def test_real_speech_moves_the_mouth_through_many_shapes():
    sound, truth = sample_speech()
    voice = Voice()
    spoken = []
    for start in range(SPAN, len(sound) - 640, 640):
        if truth.speaks(start / 16_000, margin_s=0.1):
            weights = told(sound[start - SPAN : start], voice)
            spoken.append(max(weights, key=weights.__getitem__))
    assert len(set(spoken)) >= 10
    changes = sum(a != b for a, b in itertools.pairwise(spoken))
    assert 0.2 < changes / len(spoken) < 0.9
