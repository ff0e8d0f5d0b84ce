import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.engines.gains import NONE, REST_AT_MOST, STEEPEST, Gains, curve_of
from runtime.errors import ModelError
from schemas.vocabulary import BLENDSHAPES

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
BLINK = BLENDSHAPES.index("eyeBlinkLeft")


def scores(**named: float) -> np.ndarray:
    return np.array([named.get(name, 0.0) for name in BLENDSHAPES], np.float32)


def test_scores_become_weights_along_the_curve():
    gains = Gains({"eyeBlinkLeft": [(0.0, 0.0), (0.1, 0.0), (0.5, 0.8), (0.7, 1.0)]})
    for score, weight in ((0.0, 0.0), (0.1, 0.0), (0.3, 0.4), (0.5, 0.8), (0.7, 1.0), (1.0, 1.0)):
        assert gains.apply(scores(eyeBlinkLeft=score))[BLINK] == pytest.approx(weight, abs=0.01)


def test_channels_without_a_curve_are_left_as_they_are():
    given_ = np.linspace(0.0, 1.0, len(BLENDSHAPES)).astype(np.float32)
    assert NONE.apply(given_) == pytest.approx(given_, abs=1e-6)


def test_what_is_outside_is_brought_in():
    assert NONE.apply(scores(jawOpen=1.7)).max() == 1.0
    assert NONE.apply(scores(jawOpen=-0.3)).min() == 0.0


def test_a_curve_goes_through_what_was_read():
    curve = curve_of(LEVELS, (0.05, 0.2, 0.4, 0.55, 0.7))
    assert curve == [(0.0, 0.0), (0.05, 0.0), (0.2, 0.25), (0.4, 0.5), (0.55, 0.75), (0.7, 1.0), (1.0, 1.0)]


def test_a_channel_that_does_not_answer_has_no_curve():
    assert curve_of(LEVELS, (0.1, 0.1, 0.12, 0.13, 0.15)) is None
    assert curve_of(LEVELS, (0.9, 0.9, 0.9, 0.9, 0.9)) is None


def test_little_is_not_blown_up():
    curve = curve_of(LEVELS, (0.0, 0.01, 0.03, 0.06, 0.1))
    assert Gains({"browInnerUp": curve}).apply(scores(browInnerUp=0.1)).max() == pytest.approx(0.1 * STEEPEST, abs=0.02)


@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
def test_every_curve_is_monotone_and_not_too_steep(read):
    curve = curve_of(LEVELS, read)
    if curve is None:
        return
    gains = Gains({"jawOpen": curve})
    answers = [gains.apply(scores(jawOpen=x / 50)).max() for x in range(51)]
    assert all(0.0 <= b - a <= STEEPEST / 50 + 0.02 for a, b in pairwise(answers))
    assert answers[0] == 0.0
    assert gains.apply(scores(jawOpen=min(read[0], REST_AT_MOST))).max() <= 0.02


def test_a_file_of_curves(tmp_path):
    gains = Gains({"jawOpen": [(0.0, 0.0), (0.7, 1.0)]})
    gains.save(tmp_path / "gains.json", {"head": "somebody"})
    assert Gains.load(tmp_path / "gains.json").curves == gains.curves
    assert json.loads((tmp_path / "gains.json").read_text())["fitted"] == {"head": "somebody"}


@pytest.mark.parametrize(
    "text, why",
    [
        ("{}", "holds no gain curves"),
        ("[1]", "holds no gain curves"),
        ('{"curves": {"nose": [[0, 0], [1, 1]]}}', "nose, which is no blendshape"),
        ('{"curves": {"jawOpen": [[0, 0], [0.5, 0.7], [1, 0.6]]}}', "jawOpen is not monotone"),
        ('{"curves": {"jawOpen": [[0, 0], [1, 2]]}}', "jawOpen is not monotone within 0..1"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, why):
    (tmp_path / "gains.json").write_text(text)
    with pytest.raises(ModelError, match=why):
        Gains.load(tmp_path / "gains.json")


def test_the_shipped_curves_are_those_of_both_sides():
    curves = Gains.load().curves
    assert {"eyeBlinkLeft", "jawOpen", "browInnerUp", "mouthFrownLeft", "mouthSmileLeft"} <= set(curves)
    for name, curve in curves.items():
        if name.endswith("Left") and name not in {"jawLeft", "mouthLeft"}:
            assert curves[name.removesuffix("Left") + "Right"] == curve
