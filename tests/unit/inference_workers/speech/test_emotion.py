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


@pytest.mark.parametrize("voiced, wanted", [(0.0, 0.0), (0.2, 0.3), (0.4, 0.6), (1.0, 0.6)])
def test_confidence_falls_with_the_voice(voiced, wanted):
    assert emotion.confidence_of((0.6, 0.1, 0, 0, 0, 0, 0), voiced) == pytest.approx(wanted)
