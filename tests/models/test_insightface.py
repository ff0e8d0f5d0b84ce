"""insightface's own FaceAnalysis, on tiny packs made here, and on a real detector where there is one."""

import logging
import shutil
from importlib.metadata import distributions

import cv2
import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.face_geometry import Pose
from inference_workers.engines.insightface_pack import InsightFace, pose_of
from inference_workers.engines.protocols import FaceInput
from inference_workers.engines.yunet import YuNet
from inference_workers.face_engines import backed_face_engine
from runtime.clock import ManualClock
from runtime.errors import ModelError
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS
from tests.models.tiny_insightface import BOX, POINTS, detector, points_in_space
from tests.support.engines import landmarker
from tests.support.faces import astronaut, blank
from tests.support.prerequisites import cache_dir, shared_data

SEEN = Pose(20.0, -8.0, 11.0)


@pytest.fixture
def pack(tmp_path):
    """A pack with a detector and points in space."""
    folder = tmp_path / "My Pack"
    folder.mkdir()
    detector(folder / "det.onnx")
    points_in_space(folder / "1k3d68.onnx", SEEN)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A directory with a SCRFD of insightface's: non-commercial, so only where somebody put it."""
    folder = tmp_path_factory.mktemp("pack") / "scrfd"
    folder.mkdir()
    shutil.copy(shared_data("detector_noncommercial/scrfd_500m_bnkps.onnx"), folder)
    return folder


def engine_of(pack):
    return backed_face_engine(
        Settings(cache_dir=cache_dir(), face_engine="insightface", insightface_model=str(pack)),
        ManualClock(),
        Metrics("face-worker"),
    )


def seen(engine, picture, state=None):
    (output,) = engine.infer([FaceInput(picture, 0, state)])
    assert output.source == ""
    return output.signal


def test_there_is_one_opencv():
    """Every variant owns the same files: with two, it depends on their order what is imported."""
    names = {each.metadata["Name"].lower() for each in distributions()}
    assert [name for name in names if name.startswith("opencv")] == ["opencv-contrib-python-headless"]


def test_its_detector_finds_the_face_and_its_points(pack):
    found = InsightFace(pack)
    found.warm_up()
    (face,) = found.find(astronaut())
    assert (face.box.x, face.box.y, face.box.width, face.box.height) == pytest.approx(
        (BOX.x, BOX.y, BOX.width, BOX.height), abs=0.5
    )
    assert face.points == pytest.approx(POINTS, abs=0.5)
    assert face.score == pytest.approx(0.9)
    assert found.find(blank()) == []
    assert found.named == "insightface:my_pack@2.1"


@pytest.mark.parametrize("pose", [Pose(0, 0, 0), Pose(30, 0, 0), Pose(0, 20, 0), Pose(0, 0, 15), Pose(-25, 10, -20)])
def test_its_pose_in_our_angles(tmp_path, pose):
    """Through insightface's own way from points to angles: its mean face, turned by known ones, is told as these."""
    detector(tmp_path / "det.onnx")
    points_in_space(tmp_path / "1k3d68.onnx", pose)
    told = InsightFace(tmp_path).poses.pose(astronaut(), BOX)
    assert (told.yaw_deg, told.pitch_deg, told.roll_deg) == pytest.approx(
        (pose.yaw_deg, pose.pitch_deg, pose.roll_deg), abs=0.1
    )


def test_angles_that_are_none_are_no_turn():
    assert pose_of(0.0, 0.0, 0.0) == Pose(0.0, 0.0, 0.0)


def test_the_engine_says_whose_it_is_and_keeps_the_rest_ours(pack, caplog):
    with caplog.at_level(logging.WARNING):
        engine = engine_of(pack)
    assert "NON-COMMERCIAL RESEARCH ONLY" in caplog.text
    assert engine.source == "insightface:my_pack@2.1+landmarker@4"
    told, ours = seen(engine, astronaut()), seen(landmarker(), astronaut())
    assert EMOTIONS[int(np.argmax(told.emotion_scores))] == "happy"
    assert (told.yaw_deg, told.pitch_deg, told.roll_deg) == pytest.approx((20.0, -8.0, 11.0), abs=0.2)
    assert told.box == pytest.approx(ours.box, abs=0.02)
    assert told.blendshapes == pytest.approx(ours.blendshapes, abs=0.15)
    assert not seen(engine, blank()).face_detected


def test_a_pack_without_points_in_space_leaves_the_pose_to_ours(pack):
    (pack / "1k3d68.onnx").unlink()
    assert InsightFace(pack).poses is None
    told, ours = seen(engine_of(pack), astronaut()), seen(landmarker(), astronaut())
    assert told.yaw_deg == pytest.approx(ours.yaw_deg, abs=2.0)


def test_a_real_detector_finds_a_group(real):
    found = InsightFace(real)
    assert found.poses is None
    group = cv2.imread(str(shared_data("faces/multi_face.jpg")))
    theirs = found.find(group)
    ours = YuNet(models.MANIFEST.parent / "weights" / "yunet.onnx").find(group)
    assert len(theirs) == len(ours) == 5
    for face in theirs:
        other = max(ours, key=lambda each: each.box.overlap(face.box))
        assert other.box.overlap(face.box) > 0.5
        assert np.abs(other.points - face.points).max() < 0.25 * face.box.width


def test_a_real_detector_in_the_engine(real):
    engine = engine_of(real)
    assert engine.source == "insightface:scrfd@2.1+landmarker@4"
    told = seen(engine, astronaut())
    assert EMOTIONS[int(np.argmax(told.emotion_scores))] == "happy"
    assert told.face_count == 1
    assert seen(engine, cv2.imread(str(shared_data("faces/multi_face.jpg")))).face_count == 5


class TestRefused:
    def test_a_directory_without_a_detector(self, tmp_path):
        with pytest.raises(ModelError, match=r"is no pack that insightface 2\.1 loads: no detector \(SCRFD"):
            InsightFace(tmp_path)

    def test_a_detector_without_points(self, tmp_path):
        detector(tmp_path / "det.onnx", points=False)
        with pytest.raises(ModelError, match="gives no points of a face; take one that does"):
            InsightFace(tmp_path)

    def test_a_file_that_is_no_network(self, pack):
        (pack / "det.onnx").write_bytes(b"nothing")
        with pytest.raises(ModelError, match="is no pack that insightface"):
            InsightFace(pack)
