from itertools import pairwise

import numpy as np
import pytest

from inference_workers.speech.articulation import CONTEXT
from inference_workers.speech.features import MELS
from inference_workers.speech.phones import UNLABELLED, Segment
from inference_workers.training.spoken import Utterance
from inference_workers.training.viseme import examples_of, seen_and_labelled, varied
from schemas.vocabulary import VISEMES
from tests.support.voices import FORMANTS_HZ, silence, vowel

SOUND = np.concatenate((silence(0.2), vowel(0.6, FORMANTS_HZ["aa"]), vowel(0.6, FORMANTS_HZ["ih"]))).astype(np.float64)
PHONES = (Segment(0.0, 0.2, ""), Segment(0.2, 0.8, "a"), Segment(0.8, 1.4, "i"))


def test_labels_lie_where_the_sound_is():
    seen, labels = seen_and_labelled(SOUND, PHONES, (0, 40), np.random.default_rng(0))
    assert seen.shape == (CONTEXT + 140, MELS)
    assert (labels[:, :CONTEXT] == UNLABELLED).all()
    now, later = labels[:, CONTEXT:]
    names = [VISEMES[i] for i in now[[10, 50, 100]].tolist()]
    assert names == ["sil", "aa", "ih"]
    # A look-ahead of 40 ms: the same labels 4 frames later.
    assert (later[4:] == now[:-4]).mean() > 0.97, "but for rounding at the edges"
    # The frame at whose end the vowel begins is labelled with it, and hears it grow louder from there.
    first = int(np.flatnonzero(now == VISEMES.index("aa"))[0])
    assert first == 19
    heard = seen[CONTEXT:].astype(np.float32).mean(axis=1)
    assert heard[first + 4] > heard[first - 1] + 1.0


def test_a_variation_moves_labels_with_its_sound():
    utterance = Utterance(SOUND, PHONES, "de+f3")
    for seed in range(6):
        sound, phones = varied(utterance, np.random.default_rng(seed))
        loud = np.convolve(np.abs(sound), np.ones(800) / 800, "same")
        spoken = [segment for segment in phones if segment.name]
        begin, end = (round(at * 16_000) for at in (spoken[0].start_s, spoken[-1].end_s))
        assert loud[begin + 800 : end - 1_600].mean() > 1.2 * loud[: begin - 800].mean()
        assert phones[0].start_s == 0.0
        assert phones[-1].end_s == pytest.approx(len(sound) / 16_000, abs=0.01)
        assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(phones))


def test_examples_are_the_same_again_and_say_which_languages_are_held_out():
    utterances = [Utterance(SOUND, PHONES, voice) for voice in ("de+f3", "fi")]
    one, two = (examples_of(utterances, (0, 20), 2, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.labels.shape == (2, len(one.frames))
    assert 0.3 < one.held_out.mean() < 0.7
    assert not one.held_out[0]
    assert one.held_out[-1]
