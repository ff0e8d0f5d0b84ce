import cv2
import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.yunet import SIDE, THRESHOLD, YuNet
from runtime.errors import ModelError
from tests.support.faces import astronaut, blank, moved
from tests.support.prerequisites import shared_data
from tests.support.tiny_networks import with_one_size

WEIGHTS = models.MANIFEST.parent / "weights"


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(WEIGHTS / "yunet.onnx")


def by_opencv(picture) -> np.ndarray:
    """The same network, decoded by OpenCV: boxes and points in pixels of the picture, the largest first."""
    scale = SIDE / max(picture.shape[:2])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    theirs = cv2.FaceDetectorYN.create(str(WEIGHTS / "yunet.onnx"), "", size, THRESHOLD, 0.3)
    _, found = theirs.detect(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    found = found[:, :14] / scale
    return found[np.argsort(-found[:, 2] * found[:, 3])]


def numbers(face) -> list[float]:
    box = face.box
    return [box.x, box.y, box.width, box.height, *face.points.ravel()]


def test_it_gives_what_opencv_decodes(detector):
    (face,) = detector.find(astronaut())
    assert numbers(face) == pytest.approx(by_opencv(astronaut())[0], abs=2.0)
    assert face.score > 0.9


def test_everybody_in_a_group_is_found(detector):
    group = cv2.imread(str(shared_data("faces/multi_face.jpg")))
    found = detector.find(group)
    assert len(found) == 5
    for face, theirs in zip(found, by_opencv(group), strict=True):
        assert numbers(face) == pytest.approx(theirs, abs=2.0)


def test_the_right_eye_is_at_the_pictures_left(detector):
    (face,) = detector.find(astronaut())
    right_eye, left_eye, nose = face.points[:3]
    assert right_eye[0] < nose[0] < left_eye[0]
    assert face.roi.side > max(face.box.width, face.box.height)
    assert abs(face.roi.angle_rad) < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (480, 2), (37, 91), (720, 1280)])
def test_pictures_of_any_size_without_a_face(detector, size):
    assert detector.find(blank(*size)) == []


def test_a_face_at_the_edge_of_a_picture_that_is_padded(detector):
    (face,) = detector.find(moved(astronaut(), 0, 0)[:200])
    assert face.box.centre_x == pytest.approx(225, abs=15)


@pytest.mark.parametrize("shape", [(512, 512), (300, 512), (512, 200), (90, 90)])
def test_a_network_for_pictures_of_one_size(detector, tmp_path, shape):
    """As OpenCV's zoo gives it: pictures of any shape are fitted in."""
    fixed = YuNet(with_one_size(WEIGHTS / "yunet.onnx", tmp_path / "fixed.onnx", SIDE))
    picture = np.ascontiguousarray(astronaut()[: shape[0], 100 : 100 + shape[1]])
    found, expected = fixed.find(picture), detector.find(picture)
    assert len(found) == len(expected)
    for face, other in zip(found, expected, strict=True):
        assert numbers(face) == pytest.approx(numbers(other), abs=1.0)


def test_another_network_is_refused():
    with pytest.raises(ModelError, match="is not a YuNet"):
        YuNet(WEIGHTS / "speech_emotion.onnx")
