import pytest

from inference_workers.facial_affect import EVIDENCE, MEANINGS, infer, of_scores
from schemas.vocabulary import AUS, EMOTIONS


def face(*aus: str, intensity: float = 0.7):
    return infer(tuple(intensity if au in aus else 0.0 for au in AUS))


def top(affect) -> str:
    return EMOTIONS[max(range(7), key=lambda i: affect.scores[i])]


@pytest.mark.parametrize(
    "emotion, aus",
    [
        ("neutral", ()),
        ("happy", ("AU06", "AU12")),
        ("happy", ("AU06", "AU07", "AU10", "AU12", "AU25")),
        ("sad", ("AU01", "AU04", "AU15")),
        ("sad", ("AU01", "AU04", "AU15", "AU17")),
        ("angry", ("AU04", "AU05", "AU07", "AU23")),
        ("surprise", ("AU01", "AU02", "AU05", "AU26")),
        ("fear", ("AU01", "AU02", "AU04", "AU05", "AU07", "AU20", "AU26")),
        ("disgust", ("AU09", "AU15")),
        ("disgust", ("AU09", "AU10", "AU17")),
    ],
)
def test_the_prototypes_are_recognised(emotion, aus):
    assert top(face(*aus)) == emotion


def test_a_faint_movement_is_neutral_still():
    assert top(face("AU12", intensity=0.2)) == "neutral"


@pytest.mark.parametrize("intensity", [0.0, 0.3, 1.0])
def test_scores_are_probabilities(intensity):
    affect = face(*AUS, intensity=intensity)
    assert sum(affect.scores) == pytest.approx(1.0)
    assert all(0.0 <= p <= 1.0 for p in affect.scores)


def test_a_smile_is_pleasant_and_a_frown_is_not():
    assert face("AU06", "AU12").valence > 0.5
    assert face("AU01", "AU04", "AU15").valence < -0.2


def test_affect_of_a_certain_emotion_is_its_meaning():
    certain = of_scores(tuple(float(name == "fear") for name in EMOTIONS))
    assert (certain.valence, certain.arousal, certain.dominance) == MEANINGS["fear"]


def test_the_rules_speak_of_known_things_only():
    assert set(EVIDENCE) | {"neutral"} == set(EMOTIONS) == set(MEANINGS)
    assert {au for weights in EVIDENCE.values() for au in weights} <= set(AUS)
