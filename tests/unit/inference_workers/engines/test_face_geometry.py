import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.engines.face_geometry import (
    BLENDSHAPE_LANDMARKS,
    CROP_SIDE,
    LANDMARKS,
    Box,
    CanonicalFace,
    Pose,
    Roi,
    box_of,
    gaze_of,
    roi_of,
    sigmoid,
)
from tests.support.engines import landmarker

ANGLES = st.floats(-70.0, 70.0)


@pytest.fixture(scope="module")
def canonical() -> CanonicalFace:
    return landmarker()._face


def test_there_are_146_blendshape_landmarks():
    assert len(set(BLENDSHAPE_LANDMARKS.tolist())) == 146
    assert BLENDSHAPE_LANDMARKS.max() == LANDMARKS - 1


@given(ANGLES, ANGLES, st.floats(-170.0, 170.0))
def test_a_pose_is_found_again_in_its_matrix(yaw, pitch, roll):
    pose = Pose.of_matrix(Pose(yaw, pitch, roll).matrix())
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((yaw, pitch, roll), abs=1e-6)


@pytest.mark.parametrize(
    "pose, axis",
    [
        (Pose(40.0, 0.0, 0.0), 0),  # to the subject's left: the picture's right
        (Pose(0.0, 40.0, 0.0), 1),  # down
    ],
)
def test_the_signs_of_yaw_and_pitch(pose, axis):
    normal = pose.matrix() @ np.array([0.0, 0.0, -1.0])
    assert normal[axis] == pytest.approx(np.sin(np.radians(40.0)))


def test_roll_takes_the_top_of_the_head_towards_the_left_shoulder():
    top = Pose(0.0, 0.0, 40.0).matrix() @ np.array([0.0, -1.0, 0.0])
    assert top[0] == pytest.approx(np.sin(np.radians(40.0)))


@pytest.mark.parametrize("pose", [Pose(0, 0, 0), Pose(25, 0, 0), Pose(0, -20, 0), Pose(0, 0, 30), Pose(-35, 15, -10)])
def test_the_pose_of_turned_landmarks(canonical, pose):
    seen = np.zeros((LANDMARKS, 3), np.float32)
    seen[:468] = 7.5 * canonical.vertices @ pose.matrix().T + (320.0, 200.0, 12.0)
    found = canonical.fit(seen).pose
    expected = (pose.yaw_deg, pose.pitch_deg, pose.roll_deg)
    assert (found.yaw_deg, found.pitch_deg, found.roll_deg) == pytest.approx(expected, abs=1e-3)


def test_the_canonical_face_stands_upright_and_looks_into_the_camera(canonical):
    right_eye, left_eye, forehead, chin, nose = canonical.vertices[[33, 263, 10, 152, 1]]
    assert left_eye[0] > right_eye[0]
    assert chin[1] > forehead[1]
    assert nose[2] < right_eye[2]


def test_bytes_that_are_no_canonical_face_are_refused():
    with pytest.raises(ValueError, match=r"canonical face|protocol buffer"):
        CanonicalFace.parse(b"\x0a\x03abc")


@given(st.floats(0, 640), st.floats(0, 480), st.floats(20, 600), st.floats(-3.1, 3.1))
def test_a_region_maps_there_and_back(x, y, side, angle):
    roi = Roi(x, y, side, angle)
    crop = np.array([[0.0, 0.0, 0.0], [CROP_SIDE, 30.0, 5.0], [77.0, CROP_SIDE, -9.0]], np.float32)
    there = roi.from_crop(crop)
    back = there[:, :2] @ roi.to_crop()[:, :2].T + roi.to_crop()[:, 2]
    assert np.allclose(back, crop[:, :2], atol=0.05)


def test_the_middle_of_a_region_is_its_centre():
    middle = Roi(100.0, 50.0, 64.0, 0.7).from_crop(np.array([[128.0, 128.0, 0.0]], np.float32))
    assert middle[0, :2] == pytest.approx((100.0, 50.0))


def test_the_next_region_follows_the_roll_and_holds_all_landmarks(canonical):
    pose = Pose(0.0, 0.0, 25.0)
    seen = np.zeros((LANDMARKS, 3), np.float32)
    seen[:468] = 10.0 * canonical.vertices @ pose.matrix().T + (300.0, 200.0, 0.0)
    seen[468:] = seen[1]
    roi = roi_of(seen)
    assert np.degrees(roi.angle_rad) == pytest.approx(25.0, abs=2.0)
    inside = seen[:, :2] @ roi.to_crop()[:, :2].T + roi.to_crop()[:, 2]
    assert inside.min() > 0
    assert inside.max() < CROP_SIDE
    box = box_of(seen)
    assert box.x < 300.0 < box.x + box.width


def test_overlap_of_boxes():
    box = Box(0.0, 0.0, 10.0, 10.0)
    assert box.overlap(box) == 1.0
    assert box.overlap(Box(20.0, 0.0, 5.0, 5.0)) == 0.0
    assert box.overlap(Box(5.0, 0.0, 10.0, 10.0)) == pytest.approx(1 / 3)


def test_gaze_is_zero_into_the_camera_and_follows_head_and_eyes():
    assert gaze_of(Pose(0, 0, 0), 0.0, 0.0) == pytest.approx((0.0, 0.0))
    assert gaze_of(Pose(0, 0, 0), 1.0, 0.0)[0] == pytest.approx(0.5)  # sin 30
    assert gaze_of(Pose(0, 0, 0), 0.0, 1.0)[1] == pytest.approx(np.sin(np.radians(25)))
    assert gaze_of(Pose(20, 0, 0), 0.0, 0.0)[0] == pytest.approx(np.sin(np.radians(20)))
    # Eyes that hold the camera while the head turns.
    assert gaze_of(Pose(15, 0, 0), -0.5, 0.0)[0] == pytest.approx(0.0, abs=1e-9)


def test_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1e4, 0.0, 1e4], np.float32)).tolist() == [0.0, 0.5, 1.0]
