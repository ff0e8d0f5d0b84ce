import pytest

from inference_workers.speech import emotion
from schemas.vocabulary import EMOTIONS


def test_scores_stand_in_the_order_of_the_wire_and_the_rest_is_unknown():
    probabilities = tuple((1 + n) / 28 for n in range(7))
    scores, unknown = emotion.scores_from(probabilities)
    named = dict(zip(EMOTIONS, scores, strict=True))
    for name, probability in zip(emotion.CLASSES, probabilities, strict=True):
        assert (unknown if name == "unknown" else named[name]) == probability
    assert named["surprise"] == 0.0
    assert sum(scores) + unknown == pytest.approx(1.0)


SCORES = (0.6, 0.1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("voiced, wanted", [(0.0, 0.0), (0.2, 0.3), (0.4, 0.6), (1.0, 0.6)])
def test_confidence_falls_with_the_voice(voiced, wanted):
    assert emotion.confidence_of(SCORES, voiced, quiet=1.0) == pytest.approx(wanted)


@pytest.mark.parametrize("voiced, wanted", [(0.0, 0.0), (0.05, 0.3), (0.1, 0.6), (1.0, 0.6)])
def test_noise_hides_the_pitch_of_a_voice(voiced, wanted):
    assert emotion.confidence_of(SCORES, voiced, quiet=0.0) == pytest.approx(wanted)
    assert emotion.confidence_of(SCORES, voiced, quiet=0.5) <= wanted


@pytest.mark.parametrize("audible, wanted", [(-20.0, 0.0), (16.0, 0.0), (19.0, 0.5), (22.0, 1.0), (60.0, 1.0)])
def test_audibility_says_which_network_counts(audible, wanted):
    assert emotion.quietness(audible) == pytest.approx(wanted)
