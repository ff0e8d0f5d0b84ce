"""The default face engine: MediaPipe's Face Landmarker bundle, run by LiteRT in this process.

The bundle (``models.yaml``: face_landmarker) is a zip of networks and a face geometry. We run the networks ourselves
because MediaPipe's own package reports usage to its maker and keeps the tracking of one session inside.

One face of a session, its primary one, is described: the largest when it was found. It is followed by its landmarks
alone: the region of interest of the next picture is the box of the last landmarks. All faces are looked for by YuNet,
which sees small and many ones, when nobody is followed, and twice a second to notice who comes and goes; while several
are in sight, ten times a second, so that their numbers hold when they cross (:mod:`inference_workers.tracking`). When
the landmark network says that no face is there, the same picture is looked at, so a blank one is reported at once.

The follower may slip to another face that passes in front. Each look tells: if the landmarks lie on another's box, the
primary face is found again where its own box is. While it is hidden, those that were there before do not take its
place: only after a second is another the primary one. A face that newly appears is taken at once: most likely it is
the same.

Confidence is presence x size x frontality:

* presence: the landmark network's own probability that a face is in its region;
* size: 1 for faces at least 96 pixels wide, falling linearly to 0 at 24, where landmarks are guesses;
* frontality: 1 up to 30 degrees off the line of sight, falling with the cosine to 0 at a right angle.

Emotions are a network's of our own (:mod:`inference_workers.engines.face_emotion`), or without one a rule over the
Action Units (:mod:`inference_workers.facial_affect`); ``source`` says which. Other engines are this one with another
detector, or with heads that say emotions, affect or AUs in place of ours.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from inference_workers import facial_affect
from inference_workers.action_units import intensities
from inference_workers.engines.face_emotion import FaceEmotion, crop
from inference_workers.engines.face_geometry import (
    BLENDSHAPE_LANDMARKS,
    CROP_SIDE,
    LANDMARKS,
    Box,
    CanonicalFace,
    Detection,
    Fit,
    Floats,
    Pose,
    Roi,
    box_of,
    gaze_of,
    roi_of,
    sigmoid,
)
from inference_workers.engines.gains import Gains
from inference_workers.engines.protocols import (
    SAYS_NOTHING,
    Face,
    FaceDetector,
    FaceHeads,
    FaceInput,
    FaceOutput,
    FacePose,
    Picture,
    Told,
)
from inference_workers.tracking import LOST_US, Tracks
from runtime.errors import ModelError
from schemas.records import FaceSignal, Vector
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS

PRESENCE_THRESHOLD: Final = 0.5
CANDIDATES: Final = 3
LOOK_US: Final = 500_000
LOOK_AT_SEVERAL_US: Final = 100_000
MOST_FACES: Final = 8
SAME_FACE: Final = 0.3
"""Overlap of a face's box by its landmarks with that by the detector, at least."""
FULL_SIZE_PX: Final = 96.0
LEAST_SIZE_PX: Final = 24.0
FULL_FRONTALITY: Final = float(np.cos(np.radians(30.0)))

# The network answers with a neutral score first, then the ARKit names in our order, all but tongueOut.
BLENDSHAPE_OUTPUTS: Final = 1 + len(BLENDSHAPES) - 1
FROWNS: Final = [BLENDSHAPES.index("mouthFrownLeft"), BLENDSHAPES.index("mouthFrownRight")]

NO_FACE: Final = FaceSignal(
    face_detected=False,
    confidence=0.0,
    emotion_scores=(0.0,) * len(EMOTIONS),
    valence=0.0,
    arousal=0.0,
    dominance=0.0,
    au_intensities=(0.0,) * len(AUS),
    blendshapes=(0.0,) * len(BLENDSHAPES),
    yaw_deg=0.0,
    pitch_deg=0.0,
    roll_deg=0.0,
    gaze_x=0.0,
    gaze_y=0.0,
    blink_left=0.0,
    blink_right=0.0,
    box=(0.0, 0.0, 0.0, 0.0),
)


@dataclass(frozen=True, slots=True)
class Following:
    """What is remembered of a session: the faces in sight, and the one followed."""

    tracks: Tracks = field(default_factory=Tracks)
    looked_at_us: int = 0
    roi: Roi | None = None
    """Where the primary face is looked for next; None while it is not followed."""
    track_id: int = -1
    """The primary face's number, also while it is hidden."""
    lost_at_us: int = 0

    def look_is_due(self, now_us: int) -> bool:
        """Whether the picture is looked at although the primary face is followed."""
        pause_us = LOOK_US if len(self.tracks.sighted) <= 1 else LOOK_AT_SEVERAL_US
        return now_us - self.looked_at_us >= pause_us


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture in which the primary face was found."""

    picture: Picture
    landmarks: Floats
    presence: float
    roi: Roi
    state: Following


class _Network:
    """One network with one input, on one thread."""

    def __init__(self, name: str, content: bytes, input_shape: tuple[int, ...], outputs: Sequence[int]) -> None:
        """``outputs``: how many numbers each output that we read has. Raises ModelError if the network is another."""
        try:
            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{name} cannot be loaded: {error}") from error
        (feed,) = self._interpreter.get_input_details()
        # The first of the outputs of one size is ours: the landmark network's second single number is not documented.
        by_size = {int(np.prod(d["shape"])): d["index"] for d in reversed(self._interpreter.get_output_details())}
        if tuple(feed["shape"]) != input_shape or any(size not in by_size for size in outputs):
            raise ModelError(f"{name} is not the network that this engine knows: {feed['shape']} -> {list(by_size)}")
        self._input = feed["index"]
        self._outputs = [by_size[size] for size in outputs]

    def __call__(self, data: Floats) -> list[Floats]:
        self._interpreter.set_tensor(self._input, data)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index).reshape(-1) for index in self._outputs]


class Landmarker:
    """A :class:`~inference_workers.engines.protocols.FaceEngine`."""

    def __init__(
        self,
        bundle: Path,
        detector: FaceDetector,
        emotion: FaceEmotion | None = None,
        *,
        most_faces: int = MOST_FACES,
        gains: Gains | None = None,
        heads: FaceHeads | None = None,
        poses: FacePose | None = None,
        named: str = "",
    ) -> None:
        """Load the bundle; raises ModelError if it is not the one that this engine knows.

        No ``emotion``: the rule; no ``gains``: the shipped curves. ``heads`` speak before both. No ``poses``:
        that of the landmarks. ``named``: name and version of what is not ours of all these, for ``source``.
        """
        self._emotion = emotion
        self._heads = heads
        self._poses = poses
        # Our own networks take one picture each: a batch would only make the first one wait.
        self.max_batch: Final = 1 if heads is None else heads.max_batch
        variant = "_rule" if emotion is None else "_own" if emotion.own else ""
        own = f"landmarker{'' if heads is not None and heads.tells_emotions else variant}@4"
        self.source = f"{named}+{own}" if named else own
        try:
            with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            self._face = CanonicalFace.parse(parts["geometry_pipeline_metadata_landmarks.binarypb"])
            self._landmarks = _Network(
                "face_landmarks_detector",
                parts["face_landmarks_detector.tflite"],
                (1, CROP_SIDE, CROP_SIDE, 3),
                (LANDMARKS * 3, 1),
            )
            self._blendshapes = _Network(
                "face_blendshapes",
                parts["face_blendshapes.tflite"],
                (1, len(BLENDSHAPE_LANDMARKS), 2),
                (BLENDSHAPE_OUTPUTS,),
            )
        except (KeyError, zipfile.BadZipFile, ValueError) as error:
            raise ModelError(f"{bundle} is not a Face Landmarker bundle: {error!r}") from error
        self._detector = detector
        self._most_faces = most_faces
        self._gains = Gains.load() if gains is None else gains

    def warm_up(self) -> None:
        blank = np.zeros((128, 128, 3), np.uint8)
        self._detector.warm_up()
        landmarks, _ = self._landmarks_in(blank, Roi(64.0, 64.0, 96.0, 0.0))
        self._weights(landmarks, self._face.fit(landmarks))
        for reader in (self._emotion, self._heads, self._poses):
            if reader is not None:
                reader.warm_up()

    def landmarks_of(self, picture: Picture) -> Floats | None:
        """The 478 landmarks of the largest face of a picture, in its pixels (478 x 3); None if there is none."""
        found = self._detector.find(picture)
        tracks = Tracks().looked([face.box for face in found], 0, self._most_faces)
        return self._acquire(picture, found, Following(tracks), 0)[0]

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        seen = [self._look_at(each) for each in batch]
        faces = [each for each in seen if isinstance(each, _Seen)]
        told = iter(self._told([(each.picture, each.roi) for each in faces]))
        return [
            FaceOutput(self._describe(each, next(told)), each.state) if isinstance(each, _Seen) else each
            for each in seen
        ]

    def _told(self, faces: Sequence[Face]) -> Sequence[Told]:
        return [SAYS_NOTHING] * len(faces) if self._heads is None or not faces else self._heads.read(faces)

    def _look_at(self, given: FaceInput) -> _Seen | FaceOutput:
        """The primary face of the picture, or what is said without one."""
        state = given.state if isinstance(given.state, Following) else Following()
        picture, now_us = given.picture, given.captured_at_us
        landmarks, presence = self._follow(picture, state)
        if landmarks is None and state.roi is not None:
            state = replace(state, roi=None, lost_at_us=now_us)
        if landmarks is None or state.look_is_due(now_us):
            found = self._detector.find(picture)
            followed = None if landmarks is None else box_of(landmarks)
            state = replace(state, tracks=self._looked(state.tracks, found, followed, now_us), looked_at_us=now_us)
            if followed is not None and _slipped(state, followed):
                landmarks, state = None, replace(state, roi=None, lost_at_us=now_us)
            if landmarks is None:
                landmarks, presence, state = self._acquire(picture, found, state, now_us)
        elif len(state.tracks.sighted) <= 1:
            # Several are told apart by the detector's boxes alone, which the follower cannot lead astray.
            state = replace(state, tracks=state.tracks.seen(state.track_id, box_of(landmarks), now_us))
        count = len(state.tracks.sighted)
        if landmarks is None:
            return FaceOutput(replace(NO_FACE, face_count=count), state)
        roi = roi_of(landmarks)
        return _Seen(picture, landmarks, presence, roi, replace(state, roi=roi))

    def _follow(self, picture: Picture, state: Following) -> tuple[Floats | None, float]:
        if state.roi is None:
            return None, 0.0
        landmarks, presence = self._landmarks_in(picture, state.roi)
        return (landmarks, presence) if presence >= PRESENCE_THRESHOLD else (None, 0.0)

    def _looked(self, tracks: Tracks, found: Sequence[Detection], followed: Box | None, now_us: int) -> Tracks:
        """The tracks after a look. A face that is followed counts as seen, should the detector miss it."""
        boxes = [face.box for face in found]
        if followed is not None and not any(followed.overlap(box) >= SAME_FACE for box in boxes):
            boxes.insert(0, followed)
        return tracks.looked(boxes, now_us, self._most_faces)

    def _acquire(
        self, picture: Picture, found: Sequence[Detection], state: Following, now_us: int
    ) -> tuple[Floats | None, float, Following]:
        """Landmarks of the face that is the primary one from now on, if the landmark network confirms one.

        The detector's region is rough, and the network may doubt it: it decides when it looks again where it saw the
        landmarks, as it does for a face being followed.
        """
        for track_id, face in _candidates(found, state, now_us)[:CANDIDATES]:
            rough, _ = self._landmarks_in(picture, face.roi)
            landmarks, presence = self._landmarks_in(picture, roi_of(rough))
            if presence >= PRESENCE_THRESHOLD:
                return landmarks, presence, replace(state, track_id=track_id)
        return None, 0.0, state

    def _landmarks_in(self, picture: Picture, roi: Roi) -> tuple[Floats, float]:
        """Landmarks in picture pixels (478 x 3) and the probability that a face is there."""
        crop = cv2.warpAffine(picture, roi.to_crop(), (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        points, logit = self._landmarks(np.divide(rgb[None], np.float32(255.0), dtype=np.float32))
        return roi.from_crop(points.reshape(LANDMARKS, 3)), float(sigmoid(logit)[0])

    def _weights(self, landmarks: Floats, fit: Fit) -> Vector:
        """The 52 blendshape weights in our order."""
        points = np.ascontiguousarray(landmarks[BLENDSHAPE_LANDMARKS, :2], np.float32)[None]
        (scores,) = self._blendshapes(points)
        read = np.append(scores[1:], np.float32(0.0))
        read[FROWNS] = fit.corner_drops(landmarks)
        return tuple(self._gains.apply(read).tolist())

    def _read(self, picture: Picture, roi: Roi, aus: Vector, told: Told) -> tuple[Vector, facial_affect.Affect]:
        """AUs and affect of the face in this region, whose AUs are these by its blendshapes, and what heads say."""
        aus = told.over_aus(aus)
        if told.scores is not None:
            affect = facial_affect.of_scores(told.scores)
        elif self._emotion is None:
            affect = facial_affect.infer(aus)
        else:
            (scores,) = self._emotion.scores([crop(picture, roi)])
            affect = facial_affect.of_scores(scores)
        return aus, told.over_affect(affect)

    def _describe(self, seen: _Seen, told: Told) -> FaceSignal:
        picture, landmarks = seen.picture, seen.landmarks
        height, width = picture.shape[:2]
        box = box_of(landmarks)
        fit = self._face.fit(landmarks)
        pose = fit.pose if self._poses is None else self._poses.pose(picture, box)
        weights = self._weights(landmarks, fit)
        named = dict(zip(BLENDSHAPES, weights, strict=True))
        aus, affect = self._read(picture, seen.roi, intensities(weights), told)
        left = named["eyeLookOutLeft"] - named["eyeLookInLeft"] + named["eyeLookInRight"] - named["eyeLookOutRight"]
        down = named["eyeLookDownLeft"] + named["eyeLookDownRight"] - named["eyeLookUpLeft"] - named["eyeLookUpRight"]
        gaze_x, gaze_y = gaze_of(pose, 0.5 * left, 0.5 * down)
        return FaceSignal(
            face_detected=True,
            confidence=confidence_of(seen.presence, box, pose),
            emotion_scores=affect.scores,
            valence=affect.valence,
            arousal=affect.arousal,
            dominance=affect.dominance,
            au_intensities=aus,
            blendshapes=weights,
            yaw_deg=pose.yaw_deg,
            pitch_deg=pose.pitch_deg,
            roll_deg=pose.roll_deg,
            gaze_x=gaze_x,
            gaze_y=gaze_y,
            blink_left=named["eyeBlinkLeft"],
            blink_right=named["eyeBlinkRight"],
            box=(box.x / width, box.y / height, box.width / width, box.height / height),
            face_count=len(seen.state.tracks.sighted),
            track_id=seen.state.track_id,
        )


def confidence_of(presence: float, box: Box, pose: Pose) -> float:
    """Confidence of a face as this module's docstring says, 0..1."""
    size = (min(box.width, box.height) - LEAST_SIZE_PX) / (FULL_SIZE_PX - LEAST_SIZE_PX)
    frontality = pose.frontality() / FULL_FRONTALITY
    return presence * min(max(size, 0.0), 1.0) * min(frontality, 1.0)


def _slipped(state: Following, followed: Box) -> bool:
    """Whether the landmarks that were followed lie on another face than the primary one."""
    own = state.tracks.get(state.track_id)
    in_sight = own is not None and own.track_id in state.tracks.sighted
    rival = max((t.box.overlap(followed) for t in state.tracks.in_sight() if t.track_id != state.track_id), default=0.0)
    return rival >= SAME_FACE and rival > (own.box.overlap(followed) if own is not None and in_sight else 0.0)


def _candidates(found: Sequence[Detection], state: Following, now_us: int) -> list[tuple[int, Detection]]:
    """Numbers and detections that may be the primary face now, the likeliest first."""
    seen = [
        (track, max(found, key=lambda face: face.box.overlap(track.box))) for track in state.tracks.in_sight() if found
    ]
    seen.sort(key=lambda pair: -pair[1].box.area)
    own = [(track.track_id, face) for track, face in seen if track.track_id == state.track_id]
    if own:
        return own
    hidden = state.track_id >= 0 and now_us - state.lost_at_us < LOST_US
    return [(track.track_id, face) for track, face in seen if not (hidden and track.since_us < state.lost_at_us)]
