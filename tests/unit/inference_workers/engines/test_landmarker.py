import zipfile
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from inference_workers import face_engines
from inference_workers.engines.face_geometry import Box, Pose
from inference_workers.engines.landmarker import NO_FACE, Following, Landmarker, confidence_of
from inference_workers.engines.protocols import FaceInput, Told
from runtime.errors import ModelError
from runtime.settings import Settings
from schemas.records import FaceSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS
from tests.support.engines import landmarker
from tests.support.faces import astronaut, blank, mirrored, moved, rolled
from tests.support.prerequisites import cache_dir, shared_data

MS = 1_000


@pytest.fixture(scope="module")
def engine() -> Landmarker:
    return landmarker()


def see(engine: Landmarker, picture, state=None, at_ms: int = 0):
    (output,) = engine.infer([FaceInput(picture, at_ms * MS, state)])
    return output


def shape(signal: FaceSignal, name: str) -> float:
    return signal.blendshapes[BLENDSHAPES.index(name)]


def test_a_smiling_face(engine):
    signal = see(engine, astronaut()).signal
    assert signal.face_detected
    assert signal.confidence > 0.7
    assert EMOTIONS[int(np.argmax(signal.emotion_scores))] == "happy"
    assert signal.valence > 0.3
    assert signal.au_intensities[AUS.index("AU12")] > 0.6
    assert signal.au_intensities[AUS.index("AU06")] > 0.15
    assert signal.blink_left < 0.3
    assert signal.blink_right < 0.3
    assert (signal.face_count, signal.track_id) == (1, 0)
    assert abs(signal.yaw_deg) < 10
    x, y, width, height = signal.box
    assert 0.3 < x < 0.4 < x + width < 0.6
    assert 0.1 < y < 0.2 < y + height < 0.4
    assert shape(signal, "tongueOut") == 0.0


@pytest.mark.parametrize("turn", [-30, -15, 15, 30])
def test_roll_is_positive_towards_the_left_shoulder(engine, turn):
    level = see(engine, astronaut()).signal.roll_deg
    # Clockwise on the screen, for a subject who faces it, is towards the subject's left shoulder.
    assert see(engine, rolled(astronaut(), turn)).signal.roll_deg - level == pytest.approx(turn, abs=4.0)


def test_mirroring_exchanges_the_sides(engine):
    plain, mirror = see(engine, astronaut()).signal, see(engine, mirrored(astronaut())).signal
    assert mirror.roll_deg == pytest.approx(-plain.roll_deg, abs=2.0)
    assert mirror.yaw_deg == pytest.approx(-plain.yaw_deg, abs=4.0)
    assert mirror.pitch_deg == pytest.approx(plain.pitch_deg, abs=3.0)


def test_left_and_right_are_the_subjects_own(engine):
    output = see(engine, astronaut())
    landmarks, _ = engine._landmarks_in(astronaut(), output.state.roi)
    # Put the upper lid of the eye at the picture's left, the subject's right one, onto the lower lid.
    for upper, lower in ((159, 145), (158, 153), (157, 154), (160, 144), (161, 163)):
        landmarks[upper, :2] = landmarks[lower, :2]
    weights = dict(zip(BLENDSHAPES, engine._weights(landmarks, engine._face.fit(landmarks)), strict=True))
    assert weights["eyeBlinkRight"] > 0.5
    assert weights["eyeBlinkLeft"] < 0.2


def test_a_blank_picture_is_no_face_at_once(engine):
    followed = see(engine, astronaut())
    assert followed.state.roi is not None
    signal = see(engine, blank(), followed.state, at_ms=33).signal
    assert signal == NO_FACE
    assert signal.confidence == 0.0


def test_a_face_is_followed_without_the_detector(engine, monkeypatch):
    state = see(engine, astronaut()).state
    monkeypatch.setattr(engine._detector, "find", lambda _: pytest.fail("the detector was asked"))
    for step in range(1, 10):
        output = see(engine, moved(astronaut(), 6 * step, 3 * step), state, at_ms=33 * step)
        state = output.state
        assert output.signal.face_detected
        assert output.signal.track_id == 0
    assert output.signal.box[0] == pytest.approx(0.35 + 54 / 512, abs=0.02)


def test_the_faces_are_counted_again_in_half_a_second(engine):
    state = see(engine, astronaut()).state
    assert see(engine, astronaut(), state, at_ms=499).state.looked_at_us == 0
    assert see(engine, astronaut(), state, at_ms=500).state.looked_at_us == 500 * MS


def test_a_face_that_comes_back_at_once_keeps_its_number(engine):
    state = see(engine, astronaut()).state
    state = see(engine, blank(), state, at_ms=33).state
    back = see(engine, astronaut(), state, at_ms=500)
    assert back.signal.track_id == 0


def test_a_face_that_comes_back_later_or_elsewhere_is_a_new_one(engine):
    state = see(engine, blank(), see(engine, astronaut()).state, at_ms=33).state
    assert see(engine, astronaut(), state, at_ms=2_000).signal.track_id == 1
    assert see(engine, moved(astronaut(), 150, 100), state, at_ms=500).signal.track_id == 1


def test_following_gives_the_same_as_finding(engine):
    found = see(engine, astronaut())
    followed = see(engine, astronaut(), found.state, at_ms=33).signal
    assert followed.emotion_scores == pytest.approx(found.signal.emotion_scores, abs=0.05)
    assert followed.yaw_deg == pytest.approx(found.signal.yaw_deg, abs=3.0)
    assert followed.box == pytest.approx(found.signal.box, abs=0.02)


def test_sessions_do_not_mix(engine):
    upright, tilted = astronaut(), rolled(astronaut(), 25)
    alone = [see(engine, upright), see(engine, tilted)]
    states = [None, None]
    for step in range(3):
        together = engine.infer(
            [FaceInput(p, 33 * MS * step, s) for p, s in zip((upright, tilted), states, strict=True)]
        )
        states = [output.state for output in together]
    for one, other in zip(alone, together, strict=True):
        assert other.signal.roll_deg == pytest.approx(one.signal.roll_deg, abs=2.0)


def test_a_foreign_state_is_taken_for_none(engine):
    assert see(engine, astronaut(), state="of another engine").signal.face_detected


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (480, 2), (37, 91)])
def test_odd_pictures_have_no_face(engine, size):
    assert see(engine, blank(*size)).signal == NO_FACE


def test_every_number_fits_the_contract(engine):
    for value in asdict(see(engine, astronaut()).signal).values():
        assert np.all(np.isfinite(value))


def test_a_small_face_is_trusted_less():
    level = Pose(0.0, 0.0, 0.0)
    wide, middling, tiny = (confidence_of(0.9, Box(0, 0, w, w), level) for w in (200.0, 60.0, 20.0))
    assert wide == pytest.approx(0.9)
    assert tiny == 0.0
    assert 0.0 < middling < wide


def test_a_face_in_profile_is_trusted_less():
    box = Box(0, 0, 200, 200)
    assert confidence_of(1.0, box, Pose(29.0, 0.0, 0.0)) == 1.0
    assert confidence_of(1.0, box, Pose(60.0, 0.0, 0.0)) == pytest.approx(0.5774, abs=1e-3)
    assert confidence_of(1.0, box, Pose(120.0, 0.0, 0.0)) == 0.0


def test_a_file_that_is_no_bundle_is_refused(engine, tmp_path):
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(b"not a zip")
    with pytest.raises(ModelError, match="is not a Face Landmarker bundle"):
        Landmarker(path, engine._detector)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.tflite", b"x")
    with pytest.raises(ModelError, match="is not a Face Landmarker bundle"):
        Landmarker(path, engine._detector)


def test_yaw_and_pitch_follow_the_nose_in_a_moving_head(engine):
    """Independent of the pose's own arithmetic: the nose leads where the head turns."""
    capture = cv2.VideoCapture(str(shared_data("faces/WolfgangLanger_Pexels.mp4")))
    poses, noses, state = [], [], None
    for number in range(300):
        there, picture = capture.read()
        if not there:
            break
        if number % 5:
            continue
        output = see(engine, cv2.resize(picture, None, fx=0.5, fy=0.5), state, at_ms=33 * number)
        state = output.state
        if not output.signal.face_detected:
            continue
        landmarks, _ = engine._landmarks_in(cv2.resize(picture, None, fx=0.5, fy=0.5), state.roi)
        eyes = (landmarks[33, :2] + landmarks[263, :2]) / 2
        noses.append((landmarks[1, :2] - eyes) / np.linalg.norm(landmarks[263, :2] - landmarks[33, :2]))
        poses.append((output.signal.yaw_deg, output.signal.pitch_deg))
    assert len(poses) > 40
    for axis in (0, 1):
        assert np.corrcoef(np.array(poses)[:, axis], np.array(noses)[:, axis])[0, 1] > 0.7


def test_people_in_a_group_picture_are_counted(engine):
    signal = see(engine, cv2.imread(str(shared_data("faces/multi_face.jpg")))).signal
    assert signal.face_detected
    assert signal.face_count == 5


def portrait(size: int = 90) -> np.ndarray:
    """The face alone, ``size`` pixels wide, and a little around it."""
    face = astronaut()[20:220, 140:310]
    return cv2.resize(face, (size * 170 // 100, size * 2), interpolation=cv2.INTER_AREA)


def stage(*at: tuple[float, np.ndarray]) -> np.ndarray:
    """A 640 x 400 picture with faces whose centres are at these columns; later ones stand before earlier ones."""
    picture = np.full((400, 640, 3), 90, np.uint8)
    for x, face in at:
        height, width = face.shape[:2]
        left, top = round(x - width / 2), 200 - height // 2
        inside = slice(max(left, 0), min(left + width, 640))
        picture[top : top + height, inside] = face[:, inside.start - left : inside.stop - left]
    return picture


def test_the_largest_face_is_described_and_the_others_are_counted(engine):
    small, large = portrait(50), portrait(90)
    signal = see(engine, stage((120, small), (330, large), (540, small))).signal
    assert signal.face_count == 3
    assert signal.box[0] + signal.box[2] / 2 == pytest.approx(330 / 640, abs=0.03)


def test_small_faces_are_seen(engine):
    signal = see(engine, stage((320, portrait(24)))).signal
    assert (signal.face_detected, signal.face_count) == (True, 1)


def test_no_more_than_the_most_are_counted(engine):
    few = Landmarker.__new__(Landmarker)
    few.__dict__.update(engine.__dict__, _most_faces=2)
    assert see(few, stage((120, portrait(50)), (330, portrait(90)), (540, portrait(50)))).signal.face_count == 2


def test_a_face_that_leaves_is_no_longer_counted(engine):
    state = see(engine, stage((200, portrait()), (450, portrait(70)))).state
    output = see(engine, stage((200, portrait())), state, at_ms=120)
    assert output.signal.face_count == 1
    assert output.signal.track_id == state.track_id


@pytest.mark.parametrize(
    "in_front", [False, True], ids=["the other passes in front", "the primary one passes in front"]
)
def test_the_primary_face_keeps_its_number_when_another_crosses(engine, in_front):
    """Which face is described is told by where it is: the larger begins at the left and goes right."""
    large, small, state, seen = portrait(90), mirrored(portrait(80)), None, []
    for step in range(60):
        mine, other = 130 + 6.4 * step, 510 - 6.4 * step
        order = [(other, small), (mine, large)] if in_front else [(mine, large), (other, small)]
        output = see(engine, stage(*order), state, at_ms=33 * step)
        state = output.state
        x = (output.signal.box[0] + output.signal.box[2] / 2) * 640
        seen.append((output.signal.track_id, mine, other, x))
    assert {number for number, *_ in seen} <= {0, -1}
    for number, mine, other, x in (seen[0], seen[-1]):
        assert number == 0
        assert abs(x - mine) < 25 < abs(x - other)
    described = [each for each in seen if each[0] == 0]
    assert len(described) > 40
    astray = [each for each in described if abs(each[3] - each[1]) > 60]
    assert len(astray) <= 4
    assert state.tracks.next_id == 2


def test_while_it_is_hidden_nobody_who_was_there_takes_its_place(engine):
    both, alone = stage((200, portrait(90)), (450, portrait(70))), stage((450, portrait(70)))
    state = see(engine, both).state
    for at_ms in range(100, 900, 100):
        output = see(engine, alone, state, at_ms=at_ms)
        state = output.state
        assert (output.signal.face_detected, output.signal.face_count) == (False, 1)
    back = see(engine, both, state, at_ms=900)
    assert (back.signal.track_id, back.signal.face_count) == (0, 2)
    gone = see(engine, alone, see(engine, alone, back.state, at_ms=1_000).state, at_ms=1_500)
    assert not gone.signal.face_detected
    taken_over = see(engine, alone, gone.state, at_ms=2_000).signal
    assert (taken_over.face_detected, taken_over.track_id) == (True, 1)


def test_a_track_begins_with_nothing():
    assert Following().roi is None
    assert Following().track_id == -1


class Together:
    """Heads that are worth asking for several faces, and say of each how many were asked for."""

    tells_emotions = False
    max_batch = 6

    def __init__(self):
        self.asked = []

    def warm_up(self):
        pass

    def read(self, faces):
        self.asked.append([picture.shape for picture, _ in faces])
        return [Told(valence=len(self.asked[-1]) / 10) for _ in faces]


def test_the_faces_of_a_batch_are_read_together(engine):
    heads = Together()
    settings = Settings(cache_dir=cache_dir())
    several = face_engines.landmarker(settings, heads=heads)
    assert (engine.max_batch, several.max_batch) == (1, 6)
    pictures = [astronaut(), blank(), mirrored(astronaut())]
    found = several.infer([FaceInput(picture, 0) for picture in pictures])
    assert heads.asked == [[pictures[0].shape, pictures[2].shape]]
    assert [each.signal.face_detected for each in found] == [True, False, True]
    assert [each.signal.valence for each in found] == [0.2, 0.0, 0.2]
    alone = [see(engine, picture).signal for picture in pictures]
    assert [each.signal.blendshapes for each in found] == [each.blendshapes for each in alone]
    assert [each.signal.box for each in found] == [each.box for each in alone]
    several.infer([FaceInput(blank(), 0)])
    assert len(heads.asked) == 1, "without a face nobody is asked"
