"""Geometry of the Face Landmarker bundle: boxes, regions of interest, head pose, gaze. Pure numpy.

Picture axes: x to the right, y down, both in pixels; z away from the camera, in the same unit. The subject faces the
camera, so the subject's left is the picture's right.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

CROP_SIDE: Final = 256
LANDMARKS: Final = 478
ROI_SCALE: Final = 1.5
"""The landmark network sees the face's box enlarged by this factor (MediaPipe, face_landmarks_detector_graph)."""

RIGHT_EYE_OUTER: Final = 33
LEFT_EYE_OUTER: Final = 263
RIGHT_MOUTH_CORNER: Final = 61
LEFT_MOUTH_CORNER: Final = 291
INNER_LIPS: Final = (13, 14)

# fmt: off
BLENDSHAPE_LANDMARKS: Final = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78,
    80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152,
    153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246,
    249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312,
    314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381,
    382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
], dtype=np.intp)
# fmt: on
"""Which landmarks the blendshape network reads (MediaPipe, face_blendshapes_graph.cc, kLandmarksSubsetIdxs)."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre_x(self) -> float:
        """Of its middle."""
        return self.x + self.width / 2

    @property
    def centre_y(self) -> float:
        """Of its middle."""
        return self.y + self.height / 2

    @property
    def area(self) -> float:
        """Pixels."""
        return self.width * self.height

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0..1."""
        w = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        h = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if w <= 0 or h <= 0:
            return 0.0
        both = w * h
        return both / (self.width * self.height + other.width * other.height - both)


@dataclass(frozen=True, slots=True)
class Roi:
    """A square, turned clockwise by ``angle_rad`` as seen on the screen, that the landmark network looks at."""

    centre_x: float
    centre_y: float
    side: float
    angle_rad: float

    def to_crop(self) -> Doubles:
        """The 2 x 3 affine map from picture to crop pixels."""
        scale = CROP_SIDE / self.side
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        linear = np.array([[cos, sin], [-sin, cos]])
        offset = CROP_SIDE / 2 - linear @ np.array([self.centre_x, self.centre_y])
        return np.column_stack([linear, offset])

    def from_crop(self, points: Floats) -> Floats:
        """Landmarks in crop pixels (n x 3) as picture pixels; z is scaled along."""
        scale = self.side / CROP_SIDE
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        x, y = points[:, 0] - CROP_SIDE / 2, points[:, 1] - CROP_SIDE / 2
        result = np.empty_like(points)
        result[:, 0] = self.centre_x + cos * x - sin * y
        result[:, 1] = self.centre_y + sin * x + cos * y
        result[:, 2] = points[:, 2] * scale
        return result


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found.

    ``points`` (5 x 2) in pixels of the picture: right and left eye, nose, right and left corner of the mouth.
    """

    box: Box
    points: Floats
    score: float

    @property
    def roi(self) -> Roi:
        """Where the landmark network should look first: the box made larger, its eyes level."""
        across = self.points[1] - self.points[0]
        angle = float(np.arctan2(across[1], across[0]))
        side = max(self.box.width, self.box.height) * ROI_SCALE
        return Roi(self.box.centre_x, self.box.centre_y, side, angle)


def roi_of(landmarks: Floats) -> Roi:
    """Where to look for the same face in the next picture: the landmarks' box in the head's own upright, enlarged."""
    across = landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]
    angle = float(np.arctan2(across[1], across[0]))
    cos, sin = np.cos(angle), np.sin(angle)
    upright = landmarks[:, :2] @ np.array([[cos, -sin], [sin, cos]], np.float32)
    low, high = upright.min(axis=0), upright.max(axis=0)
    middle, side = (low + high) / 2, float((high - low).max())
    return Roi(
        float(cos * middle[0] - sin * middle[1]), float(sin * middle[0] + cos * middle[1]), side * ROI_SCALE, angle
    )


def box_of(landmarks: Floats) -> Box:
    """The upright box around the landmarks."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of the head relative to the line of sight, degrees, signs as in :data:`schemas.vocabulary.ANGLES`."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float

    def matrix(self) -> Doubles:
        """The rotation in picture axes: first roll about the face's normal, then pitch, then yaw."""
        yaw, pitch, roll = np.radians([self.yaw_deg, self.pitch_deg, self.roll_deg])
        # The face's normal is (0, 0, -1): towards the camera. Yaw takes it to +x, pitch to +y.
        turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(turn @ nod @ tilt)

    @classmethod
    def of_matrix(cls, rotation: Doubles) -> "Pose":
        """The inverse of :meth:`matrix`."""
        normal = rotation @ np.array([0.0, 0.0, -1.0])
        yaw, pitch = np.arctan2(normal[0], -normal[2]), np.arcsin(np.clip(normal[1], -1.0, 1.0))
        level = cls(float(np.degrees(yaw)), float(np.degrees(pitch)), 0.0)
        across = level.matrix().T @ rotation @ np.array([1.0, 0.0, 0.0])
        return cls(level.yaw_deg, level.pitch_deg, float(np.degrees(np.arctan2(across[1], across[0]))))

    def frontality(self) -> float:
        """Cosine between the face's normal and the line of sight, at least 0."""
        return float(max(np.cos(np.radians(self.yaw_deg)) * np.cos(np.radians(self.pitch_deg)), 0.0))


@dataclass(frozen=True, slots=True)
class CanonicalFace:
    """The bundle's face in neutral pose: vertices (468 x 3) in picture axes, and how much each counts for the pose."""

    vertices: Doubles
    weights: Doubles

    @classmethod
    def parse(cls, data: bytes) -> "CanonicalFace":
        """Read ``geometry_pipeline_metadata_landmarks.binarypb``.

        Protocol buffers of MediaPipe (face_geometry/protos/geometry_pipeline_metadata.proto, mesh_3d.proto): field 1 is
        the mesh, whose field 3 holds vertices of x, y, z, u, v; field 2 is repeated, a landmark (1) and its weight (2).
        Raises ValueError if the bytes are something else.
        """
        mesh = next((value for number, value in _fields(data) if number == 1), b"")
        numbers = _floats(mesh, field=3)
        if numbers.size != 468 * 5:
            raise ValueError(f"canonical face has {numbers.size} numbers, not 468 vertices of 5")
        # Its own axes are y up and z towards the camera.
        vertices = numbers.reshape(468, 5)[:, :3] * np.array([1.0, -1.0, -1.0])
        weights = np.zeros(468)
        for number, value in _fields(data):
            if number == 2:
                landmark, weight = 0, 0.0
                for inner, content in _fields(value):
                    if inner == 1:
                        landmark = int.from_bytes(content, "little")
                    elif inner == 2:
                        (weight,) = struct.unpack("<f", content)
                weights[landmark] = weight
        if not weights.any():
            raise ValueError("canonical face names no landmarks for the pose")
        return cls(vertices, weights)

    def fit(self, landmarks: Floats) -> "Fit":
        """How the canonical face best becomes ``landmarks``, by weighted least squares (Kabsch 1976, Umeyama 1991)."""
        w = self.weights / self.weights.sum()
        seen = landmarks[:468].astype(np.float64)
        a, b = self.vertices - w @ self.vertices, seen - w @ seen
        u, s, vt = np.linalg.svd(b.T @ (a * w[:, None]))
        signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        return Fit(u @ np.diag(signs) @ vt, float((s * signs).sum() / (w[:, None] * a * a).sum()))


@dataclass(frozen=True, slots=True)
class Fit:
    """A rotation and a scale, pixels a centimetre, that turn the canonical face into landmarks."""

    rotation: Doubles
    scale: float

    @property
    def pose(self) -> Pose:
        """The rotation as angles."""
        return Pose.of_matrix(self.rotation)

    def corner_drops(self, landmarks: Floats) -> tuple[float, float]:
        """How far the mouth's left and right corner lie below the middle of its lips, in the face's own upright, cm."""
        points = landmarks[[LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER, *INNER_LIPS]].astype(np.float64)
        down = points @ self.rotation[:, 1] / max(self.scale, 1e-9)
        middle = down[2:].mean()
        return float(down[0] - middle), float(down[1] - middle)


def gaze_of(pose: Pose, eyes_x: float, eyes_y: float) -> tuple[float, float]:
    """Direction of the gaze: the x and y components of its unit vector, 0 = into the camera.

    ``eyes_x`` and ``eyes_y`` are how far the eyes look to the subject's left and down, as fractions of their reach in
    the head: 30 degrees sideways, 25 degrees up and down (the comfortable range of eye movements without the head).
    """
    ray = pose.matrix() @ Pose(30.0 * eyes_x, 25.0 * eyes_y, 0.0).matrix() @ np.array([0.0, 0.0, -1.0])
    return float(ray[0]), float(ray[1])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protocol buffer message: number, and content (a varint as 8 little-endian bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value.to_bytes(8, "little")
            case 1:
                yield tag >> 3, data[at : at + 8]
                at += 8
            case 2:
                size, at = _varint(data, at)
                yield tag >> 3, data[at : at + size]
                at += size
            case 5:
                yield tag >> 3, data[at : at + 4]
                at += 4
            case kind:
                raise ValueError(f"not a protocol buffer: wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("not a protocol buffer: bad varint")
        value |= (data[at] & 0x7F) << shift
        at, shift, more = at + 1, shift + 7, data[at] & 0x80
        if not more:
            return value & (2**64 - 1), at


def _floats(message: bytes, field: int) -> Doubles:
    """A repeated float field, packed or not."""
    return np.frombuffer(b"".join(value for number, value in _fields(message) if number == field), "<f4").astype(float)
