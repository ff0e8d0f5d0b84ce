import cv2
import numpy as np
import pytest

from inference_workers.evaluation.face import NO_FACE, Answer, FaceScores, Given, answers, enlarged
from inference_workers.training.face.corpora import pictures_of
from schemas.vocabulary import EMOTIONS
from tests.support.engines import face_emotion, landmarker
from tests.support.faces import astronaut
from tests.support.fake_face_engine import FakeFaceEngine

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def answer(label: int, best: int | None) -> Answer:
    scores = None if best is None else tuple(0.7 if i == best else 0.05 for i in range(len(EMOTIONS)))
    return Answer(None, label, scores, crop=True)


def test_a_face_that_is_not_found_counts_as_wrong():
    scored = FaceScores.of([answer(HAPPY, HAPPY), answer(HAPPY, None), answer(SAD, HAPPY), answer(SAD, SAD)], 3)
    found = scored.keys()
    assert (found["n"], found["accuracy"], found["undetected"], found["unreadable"]) == (4, 0.5, 1, 3)
    assert found["per_class"] == {"happy": {"recall": 0.5, "f1": 0.5}, "sad": {"recall": 0.5, "f1": 0.6667}}
    assert found["confusion"]["happy"][NO_FACE] == 1
    # Two of the three that were answered are right, each with 0.7.
    assert found["ece"] == pytest.approx(0.7 - 2 / 3, abs=1e-3)


def test_nothing_found_at_all_is_scored_too():
    assert FaceScores.of([answer(HAPPY, None)]).keys()["accuracy"] == 0.0


def test_pictures_are_crops_by_their_size_or_as_it_is_said(tmp_path):
    (tmp_path / "happy").mkdir()
    for name, side in (("small.png", 48), ("large.png", 300)):
        cv2.imwrite(str(tmp_path / "happy" / name), cv2.resize(astronaut(), (side, side)))
    (tmp_path / "happy" / "broken.jpg").write_bytes(b"nothing")
    found = {}
    for given in Given:
        seen = list(answers(pictures_of(tmp_path), FakeFaceEngine(), face_emotion(), given, print))
        found[given] = {each.path.stem: each.crop for each in seen if isinstance(each, Answer)}
        assert [path.name for path in seen if not isinstance(path, Answer)] == ["broken.jpg"]
    assert found == {
        Given.AUTO: {"small": True, "large": False},
        Given.CROPS: {"small": True, "large": True},
        Given.PICTURES: {"small": False, "large": False},
    }


def test_an_engine_finds_the_face_in_an_enlarged_crop(tmp_path):
    (tmp_path / "happy").mkdir()
    face = astronaut()[40:240, 125:325]
    cv2.imwrite(str(tmp_path / "happy" / "crop.png"), cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA))
    (found,) = answers(pictures_of(tmp_path), landmarker(), None, Given.AUTO, print)
    assert found.scores is not None
    assert found.crop
    assert enlarged(np.zeros((48, 48, 3), np.uint8)).shape == (320, 320, 3)
