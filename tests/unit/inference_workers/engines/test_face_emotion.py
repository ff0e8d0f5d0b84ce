import cv2
import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.face_emotion import FRAMING, SIDE, FaceEmotion, crop
from inference_workers.engines.face_geometry import ROI_SCALE, Roi, roi_of
from runtime.errors import ModelError
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS
from tests.support.engines import face_emotion, landmarker
from tests.support.faces import astronaut, rolled
from tests.support.prerequisites import cache_dir, required


def face_of(picture):
    """The crop of the largest face of a picture."""
    landmarks = landmarker().landmarks_of(picture)
    return crop(picture, roi_of(landmarks))


def test_scores_are_a_distribution_and_do_not_depend_on_the_batch():
    faces = [face_of(astronaut()), np.zeros((SIDE, SIDE), np.uint8), face_of(astronaut())[:, ::-1]]
    together = face_emotion().scores(faces)
    for face, scores in zip(faces, together, strict=True):
        assert len(scores) == len(EMOTIONS)
        assert sum(scores) == pytest.approx(1.0, abs=1e-5)
        assert face_emotion().scores([face])[0] == pytest.approx(scores, abs=1e-5)
    assert face_emotion().scores([]) == []
    # A face and its mirror image show the same.
    assert together[0] == pytest.approx(together[2], abs=1e-5)


def test_a_smile_is_happy_dark_or_light_and_in_any_roll():
    for picture in (
        astronaut(),
        rolled(astronaut(), 25),
        (astronaut() * 0.35).astype(np.uint8),
        cv2.GaussianBlur(astronaut(), (0, 0), 2.0),
    ):
        (scores,) = face_emotion().scores([face_of(picture)])
        assert EMOTIONS[int(np.argmax(scores))] == "happy"


@pytest.mark.parametrize("size", [60.0, 400.0])
def test_a_crop_frames_the_landmarks_as_fer2013_does(size):
    """The box of the landmarks fills the crop but for the margin, a little below its middle, at any size and roll."""
    picture = np.zeros((900, 900, 3), np.uint8)
    angle = 0.3
    roi = Roi(450.0, 450.0, size * ROI_SCALE, angle)
    corners = cv2.boxPoints(((450.0, 450.0), (size, size), np.degrees(angle)))
    cv2.fillPoly(picture, [corners.astype(np.int32)], (255, 255, 255))
    rows, columns = np.nonzero(crop(picture, roi) > 127)
    edge = SIDE / FRAMING.scale
    assert np.ptp(columns) + 1 == pytest.approx(edge, abs=2)
    assert columns.mean() == pytest.approx((SIDE - 1) / 2, abs=0.7)
    # Two pixels of the box's lower edge lie below the crop's.
    assert rows.min() == pytest.approx((SIDE - edge) / 2 + 2.4, abs=1.5)
    assert rows.max() == SIDE - 1


def test_a_face_that_reaches_out_of_the_picture_has_a_crop():
    assert crop(astronaut(), Roi(0.0, 0.0, 200.0, 0.0)).shape == (SIDE, SIDE)


def test_another_network_is_refused(tmp_path):
    with required():
        other = models.locate(Settings(cache_dir=cache_dir()), "speech_emotion")
    with pytest.raises(ModelError, match="not pictures of 48 x 48"):
        FaceEmotion(other)
    with pytest.raises(ModelError, match="does not load"):
        FaceEmotion(tmp_path / "missing.onnx")
