import pytest

from inference_workers.action_units import RULES, intensities
from schemas.vocabulary import AUS, BLENDSHAPES


def aus(**weights: float):
    return dict(zip(AUS, intensities(tuple(weights.get(name, 0.0) for name in BLENDSHAPES)), strict=True))


def test_every_au_has_a_rule_and_no_other():
    assert set(RULES) == set(AUS)


def test_a_face_at_rest_has_no_au():
    assert set(aus().values()) == {0.0}


def test_one_side_is_half_of_the_au():
    assert aus(mouthSmileLeft=0.8)["AU12"] == pytest.approx(0.4)
    assert aus(mouthSmileLeft=0.8, mouthSmileRight=0.8)["AU12"] == pytest.approx(0.8)


def test_narrowed_eyes_raise_the_cheeks_only_in_a_smile():
    squint = {"eyeSquintLeft": 0.6, "eyeSquintRight": 0.6}
    assert aus(**squint)["AU06"] == 0.0
    assert aus(**squint, mouthSmileLeft=0.9, mouthSmileRight=0.9)["AU06"] == pytest.approx(0.6)
    assert aus(cheekSquintLeft=0.7, cheekSquintRight=0.7)["AU06"] == pytest.approx(0.7)


def test_an_open_jaw_with_closed_lips_does_not_part_them():
    assert aus(jawOpen=0.8)["AU25"] == pytest.approx(0.8)
    assert aus(jawOpen=0.3, mouthClose=0.5)["AU25"] == 0.0


def test_intensities_stay_within_their_range():
    assert all(0.0 <= value <= 1.0 for value in intensities((1.0,) * len(BLENDSHAPES)))
