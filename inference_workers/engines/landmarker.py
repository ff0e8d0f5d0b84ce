"""The default face engine: MediaPipe's Face Landmarker bundle, run by LiteRT in this process.

The bundle (``models.yaml``: face_landmarker) is a zip of three networks and a face geometry. We run the networks
ourselves because MediaPipe's own package reports usage to its maker and keeps the tracking of one session inside.

A session without a tracked face is searched by the detector (128 x 128). A found face is then followed by its landmarks
alone: the region of interest of the next picture is the box of the last landmarks. When the landmark network says that
no face is there, the same picture goes to the detector, so a blank picture is reported as one at once. While following,
the detector looks once in half a second for how many faces there are.

Confidence is presence x size x frontality:

* presence: the landmark network's own probability that a face is in its region;
* size: 1 for faces at least 96 pixels wide, falling linearly to 0 at 24, where landmarks are guesses;
* frontality: 1 up to 30 degrees off the line of sight, falling with the cosine to 0 at a right angle.

Emotions are a network's of our own (:mod:`inference_workers.engines.face_emotion`), or without one a rule over the
Action Units (:mod:`inference_workers.facial_affect`); ``source`` says which.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    DETECTOR_SIDE,
    LANDMARKS,
    Box,
    CanonicalFace,
    Detection,
    Floats,
    Pose,
    Roi,
    box_of,
    decode_detections,
    gaze_of,
    roi_of,
    sigmoid,
)
from inference_workers.engines.protocols import FaceInput, FaceOutput, Picture
from runtime.errors import ModelError
from schemas.records import FaceSignal, Vector
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS

DETECTION_THRESHOLD: Final = 0.5
PRESENCE_THRESHOLD: Final = 0.5
CANDIDATES: Final = 3
RECOUNT_US: Final = 500_000
REACQUIRE_US: Final = 1_000_000
REACQUIRE_OVERLAP: Final = 0.3
FULL_SIZE_PX: Final = 96.0
LEAST_SIZE_PX: Final = 24.0
FULL_FRONTALITY: Final = float(np.cos(np.radians(30.0)))

# The network answers with a neutral score first, then the ARKit names in our order, all but tongueOut.
BLENDSHAPE_OUTPUTS: Final = 1 + len(BLENDSHAPES) - 1

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
class Track:
    """What is remembered of a session: the face followed, and which number the next new face gets."""

    roi: Roi | None = None
    box: Box | None = None
    track_id: int = -1
    next_id: int = 0
    seen_at_us: int = 0
    face_count: int = 0
    counted_at_us: int = 0


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

    max_batch = 1  # the networks take one picture each: a batch would only make the first one wait

    def __init__(self, bundle: Path, emotion: FaceEmotion | None = None) -> None:
        """Load the bundle; raises ModelError if it is not the one that this engine knows. No ``emotion``: the rule."""
        self._emotion = emotion
        self.source = f"landmarker{'_rule' if emotion is None else '_own' if emotion.own else ''}@2"
        try:
            with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            self._face = CanonicalFace.parse(parts["geometry_pipeline_metadata_landmarks.binarypb"])
            self._detector = _Network(
                "face_detector", parts["face_detector.tflite"], (1, DETECTOR_SIDE, DETECTOR_SIDE, 3), (896 * 16, 896)
            )
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

    def warm_up(self) -> None:
        blank = np.zeros((DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
        self._detect(blank)
        landmarks, _ = self._landmarks_in(blank, Roi(64.0, 64.0, 96.0, 0.0))
        self._weights(landmarks)
        if self._emotion is not None:
            self._emotion.warm_up()

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        return [self._one(each) for each in batch]

    def _one(self, given: FaceInput) -> FaceOutput:
        track = given.state if isinstance(given.state, Track) else Track()
        picture, now_us = given.picture, given.captured_at_us
        landmarks, presence = self._follow(picture, track)
        detections: list[Detection] | None = None
        if landmarks is None or now_us - track.counted_at_us >= RECOUNT_US:
            detections = self._detect(picture)
            track = replace(track, face_count=len(detections), counted_at_us=now_us)
        if landmarks is None and detections:
            landmarks, presence = self._acquire(picture, detections)
            if landmarks is not None:
                track = _acquired(track, box_of(landmarks), now_us)
        if landmarks is None:
            return FaceOutput(replace(NO_FACE, face_count=track.face_count), replace(track, roi=None))
        track = replace(
            track,
            roi=roi_of(landmarks),
            box=box_of(landmarks),
            seen_at_us=now_us,
            face_count=max(track.face_count, 1),
        )
        return FaceOutput(self._describe(picture, landmarks, presence, track), track)

    def _follow(self, picture: Picture, track: Track) -> tuple[Floats | None, float]:
        if track.roi is None:
            return None, 0.0
        landmarks, presence = self._landmarks_in(picture, track.roi)
        return (landmarks, presence) if presence >= PRESENCE_THRESHOLD else (None, 0.0)

    def _acquire(self, picture: Picture, detections: Sequence[Detection]) -> tuple[Floats | None, float]:
        """Landmarks of the largest face that the landmark network confirms.

        The detector's region is rough, and the network may doubt it: it decides when it looks again where it saw the
        landmarks, as it does for a face being followed.
        """
        by_size = sorted(detections, key=lambda d: d.box.width * d.box.height, reverse=True)
        for detection in by_size[:CANDIDATES]:
            rough, _ = self._landmarks_in(picture, detection.roi)
            landmarks, presence = self._landmarks_in(picture, roi_of(rough))
            if presence >= PRESENCE_THRESHOLD:
                return landmarks, presence
        return None, 0.0

    def _detect(self, picture: Picture) -> list[Detection]:
        height, width = picture.shape[:2]
        scale = DETECTOR_SIDE / max(width, height)
        w, h = max(round(width * scale), 1), max(round(height * scale), 1)
        canvas = np.zeros((DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
        left, top = (DETECTOR_SIDE - w) // 2, (DETECTOR_SIDE - h) // 2
        canvas[top : top + h, left : left + w] = cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA)
        tensor = np.divide(cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB)[None], np.float32(127.5), dtype=np.float32)
        tensor -= 1.0
        regressors, logits = self._detector(tensor)
        return decode_detections(
            regressors.reshape(-1, 16), logits, width=width, height=height, threshold=DETECTION_THRESHOLD
        )

    def _landmarks_in(self, picture: Picture, roi: Roi) -> tuple[Floats, float]:
        """Landmarks in picture pixels (478 x 3) and the probability that a face is there."""
        crop = cv2.warpAffine(picture, roi.to_crop(), (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        points, logit = self._landmarks(np.divide(rgb[None], np.float32(255.0), dtype=np.float32))
        return roi.from_crop(points.reshape(LANDMARKS, 3)), float(sigmoid(logit)[0])

    def _weights(self, landmarks: Floats) -> Vector:
        """The 52 blendshape weights in our order."""
        points = np.ascontiguousarray(landmarks[BLENDSHAPE_LANDMARKS, :2], np.float32)[None]
        (scores,) = self._blendshapes(points)
        return (*(float(s) for s in np.clip(scores[1:], 0.0, 1.0)), 0.0)

    def _affect(self, picture: Picture, landmarks: Floats, aus: Vector) -> facial_affect.Affect:
        if self._emotion is None:
            return facial_affect.infer(aus)
        (scores,) = self._emotion.scores([crop(picture, roi_of(landmarks))])
        return facial_affect.of_scores(scores)

    def _describe(self, picture: Picture, landmarks: Floats, presence: float, track: Track) -> FaceSignal:
        height, width = picture.shape[:2]
        box = box_of(landmarks)
        pose = self._face.pose(landmarks)
        weights = self._weights(landmarks)
        named = dict(zip(BLENDSHAPES, weights, strict=True))
        aus = intensities(weights)
        affect = self._affect(picture, landmarks, aus)
        left = named["eyeLookOutLeft"] - named["eyeLookInLeft"] + named["eyeLookInRight"] - named["eyeLookOutRight"]
        down = named["eyeLookDownLeft"] + named["eyeLookDownRight"] - named["eyeLookUpLeft"] - named["eyeLookUpRight"]
        gaze_x, gaze_y = gaze_of(pose, 0.5 * left, 0.5 * down)
        return FaceSignal(
            face_detected=True,
            confidence=confidence_of(presence, box, pose),
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
            face_count=track.face_count,
            track_id=track.track_id,
        )


def confidence_of(presence: float, box: Box, pose: Pose) -> float:
    """Confidence of a face as this module's docstring says, 0..1."""
    size = (min(box.width, box.height) - LEAST_SIZE_PX) / (FULL_SIZE_PX - LEAST_SIZE_PX)
    frontality = pose.frontality() / FULL_FRONTALITY
    return presence * min(max(size, 0.0), 1.0) * min(frontality, 1.0)


def _acquired(track: Track, box: Box, now_us: int) -> Track:
    """The track of a face just found: the old one if it was lost a moment ago about here, else a new one."""
    lost_here = track.box is not None and track.box.overlap(box) >= REACQUIRE_OVERLAP
    if lost_here and now_us - track.seen_at_us <= REACQUIRE_US:
        return track
    return replace(track, track_id=track.next_id, next_id=track.next_id + 1)
