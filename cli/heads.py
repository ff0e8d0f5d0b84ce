"""A head of a GLB file, rendered with known blendshape weights and a known pose: what the camera of `eval loop` sees.

Plain on purpose: a rasteriser with a depth buffer, smooth shading by three lights, no textures. What matters is that
the geometry is exact, so that what the face engine should have seen is known.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numba
import numpy as np
import numpy.typing as npt

from runtime.errors import PrerequisiteError

Array = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

COMPONENTS: Final = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
READ: Final = frozenset({"KHR_mesh_quantization", "KHR_materials_unlit", "KHR_materials_emissive_strength"})
LEFT_OUT: Final = ("lash",)
"""Materials that are cards with a transparent texture: without it they would be black rings about the eyes."""

FINER: Final = 2
"""Rendered so many times larger, then averaged down: edges are smooth."""
VIEW_DEG: Final = 22.0
"""The camera's angle of view; a webcam's crop of a face half a metre away."""
EYE_REACH_DEG: Final = (30.0, 25.0)
"""How far an eye turns at weight 1, sideways and up or down; heads whose eyeballs are nodes of their own."""


@dataclass(frozen=True)
class Turn:
    """A head's rotation, degrees: yaw to the subject's left, pitch down, roll towards the left shoulder."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def matrix(self) -> Array:
        """In the model's axes: x to the subject's left, y up, z out of the face."""
        yaw, pitch, roll = np.radians([self.yaw_deg, self.pitch_deg, -self.roll_deg])
        about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        return np.asarray(np.array(about_y) @ np.array(about_x) @ np.array(about_z), np.float32)


@dataclass(frozen=True)
class Studio:
    """Light, background and tint of one take, 0..1."""

    light: tuple[float, float, float] = (0.3, 0.5, 1.0)
    """Where the key light comes from, in the camera's axes (x right, y up, z to the camera)."""
    ambient: float = 0.45
    background: tuple[float, float, float] = (0.25, 0.27, 0.3)
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What the skin's and everything's colour is multiplied with, red, green, blue."""
    size_px: int = 480


@dataclass
class _Part:
    """One primitive in the space of its node."""

    points: Array
    triangles: npt.NDArray[np.int32]
    colours: Array
    targets: Mapping[str, tuple[npt.NDArray[np.intp], Array]]
    to_world: Array
    eye: str = ""
    glows: bool = False


class Head:
    """A model that can be rendered; reads glTF 2.0 binaries whose morph targets carry ARKit names."""

    def __init__(self, path: Path) -> None:
        """Load the file; raises PrerequisiteError if it cannot be rendered here, saying why."""
        self.name = path.stem
        try:
            self._parts = _Glb(path.read_bytes()).parts()
        except OSError as error:
            raise PrerequisiteError(f"{path} cannot be read: {error}") from error
        except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
            raise PrerequisiteError(f"{path} is no glTF binary that can be read here: {error}") from error
        self.shapes: frozenset[str] = frozenset(name for part in self._parts for name in part.targets)
        if not self.shapes:
            raise PrerequisiteError(f"{path} has no named morph targets: a head with ARKit's blendshapes is needed")
        face = [part for part in self._parts if part.targets]
        points = np.concatenate([_moved(part, part.points) for part in face])
        low, high = np.percentile(points, [2, 98], axis=0)
        self._centre = ((low + high) / 2).astype(np.float32)
        self._reach = float(high[1] - low[1])

    def render(self, weights: Mapping[str, float], turn: Turn, studio: Studio) -> Picture:
        """The head turned about its own centre, blue-green-red; weights of shapes that it lacks are ignored."""
        side = studio.size_px * FINER
        colour = np.empty((side, side, 3), np.float32)
        colour[:] = np.linspace(1.1, 0.9, side, dtype=np.float32)[:, None, None] * np.array(
            studio.background, np.float32
        )
        depth = np.full((side, side), np.inf, np.float32)
        rotation = turn.matrix()
        light = np.array(studio.light, np.float32)
        light /= np.linalg.norm(light)
        for part in self._parts:
            world = self._posed(part, weights) @ rotation.T
            normals = _normals(world, part.triangles)
            screen = self._projected(world, side)
            shade = _shade(normals, light, studio.ambient)
            lit = part.colours if part.glows else part.colours * np.array(studio.tint, np.float32) * shade[:, None]
            _rasterise(screen, part.triangles, lit.astype(np.float32), colour, depth)
        small = cv2.resize(np.clip(colour, 0.0, 1.0) ** (1 / 2.2), (studio.size_px,) * 2, interpolation=cv2.INTER_AREA)
        return np.asarray(np.rint(small[:, :, ::-1] * 255.0), np.uint8)

    @property
    def plain(self) -> bool:
        """Whether the skin is of one colour: brows and lips are shapes only."""
        face = max((part for part in self._parts if part.targets), key=lambda part: len(part.points))
        return bool(face.colours.std(axis=0).max() < 0.01)

    def paint(self, mask: Picture, colour: tuple[float, float, float], studio: Studio) -> None:
        """Paint what faces the camera in the neutral picture where ``mask`` (of the studio's size) is bright."""
        skin = max((part for part in self._parts if part.targets), key=lambda part: len(part.points)).colours[0]
        for part in self._parts:
            if not part.targets or np.abs(part.colours[0] - skin).max() > 0.01:
                continue
            world = self._posed(part, {})
            screen = self._projected(world, studio.size_px)
            x, y = (np.clip(np.rint(screen[:, axis]).astype(np.intp), 0, studio.size_px - 1) for axis in (0, 1))
            share = 0.8 * (mask[y, x] / np.float32(255.0)) * (_normals(world, part.triangles)[:, 2] > 0.0)
            part.colours = part.colours + share[:, None].astype(np.float32) * (
                np.array(colour, np.float32) - part.colours
            )

    def _projected(self, world: Array, side: int) -> Array:
        """Columns, rows and distances in a picture of this side."""
        half = np.tan(np.radians(VIEW_DEG / 2))
        away = np.float32(self._reach / (2 * half) * 1.5) - world[:, 2]
        scale = side / (2 * half) / away
        return np.stack([side / 2 + scale * world[:, 0], side / 2 - scale * world[:, 1], away], axis=1).astype(
            np.float32
        )

    def _posed(self, part: _Part, weights: Mapping[str, float]) -> Array:
        """The part's points with the shapes in, about the head's centre."""
        points = part.points.copy()
        for name, weight in weights.items():
            if weight and name in part.targets:
                where, moves = part.targets[name]
                points[where] += np.float32(weight) * moves
        if part.eye:
            points = points @ _eye_turn(part.eye, weights).T
        return np.asarray(_moved(part, points) - self._centre, np.float32)


def _moved(part: _Part, points: Array) -> Array:
    return np.asarray(points @ part.to_world[:3, :3].T + part.to_world[:3, 3], np.float32)


def _eye_turn(side: str, weights: Mapping[str, float]) -> Array:
    """An eyeball's rotation: out is to the subject's left for the left eye."""
    out = weights.get(f"eyeLookOut{side}", 0.0) - weights.get(f"eyeLookIn{side}", 0.0)
    down = weights.get(f"eyeLookDown{side}", 0.0) - weights.get(f"eyeLookUp{side}", 0.0)
    return Turn((1 if side == "Left" else -1) * out * EYE_REACH_DEG[0], down * EYE_REACH_DEG[1]).matrix()


def _shade(normals: Array, light: Array, ambient: float) -> Array:
    key = np.maximum(normals @ light, 0.0)
    fill = np.maximum(normals @ np.array([-0.6, 0.1, 0.8], np.float32), 0.0)
    return np.asarray(ambient + (1 - ambient) * (0.8 * key + 0.35 * fill), np.float32)


class _Glb:
    """A glTF binary's accessors, meshes and nodes."""

    def __init__(self, data: bytes) -> None:
        magic, _, _ = struct.unpack("<4sII", data[:12])
        if magic != b"glTF":
            raise ValueError("it does not start with glTF")
        size = struct.unpack("<I", data[12:16])[0]
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        self._binary = data[28 + size :]
        unknown = set(self.json.get("extensionsRequired", ())) - READ
        if unknown:
            raise ValueError(f"it needs {', '.join(sorted(unknown))}")

    def accessor(self, number: int) -> npt.NDArray[Any]:
        """Numbers, normalised integers as fractions."""
        spec = self.json["accessors"][number]
        width = WIDTHS[spec["type"]]
        kind = np.dtype(COMPONENTS[spec["componentType"]])
        values: npt.NDArray[Any] = np.zeros((spec["count"], width), kind)
        if "bufferView" in spec:
            values = self._view(spec["bufferView"], spec.get("byteOffset", 0), kind, spec["count"], width)
        if "sparse" in spec:
            sparse = spec["sparse"]
            of = sparse["indices"]
            where = self._view(
                of["bufferView"], of.get("byteOffset", 0), np.dtype(COMPONENTS[of["componentType"]]), sparse["count"], 1
            )
            given = sparse["values"]
            values = values.copy()
            values[where[:, 0].astype(np.intp)] = self._view(
                given["bufferView"], given.get("byteOffset", 0), kind, sparse["count"], width
            )
        if spec.get("normalized"):
            return np.maximum(values.astype(np.float32) / np.iinfo(kind).max, -1.0)
        return values

    def _view(self, view: int, offset: int, kind: "np.dtype[Any]", count: int, width: int) -> npt.NDArray[Any]:
        spec = self.json["bufferViews"][view]
        begin = spec.get("byteOffset", 0) + offset
        stride = spec.get("byteStride", kind.itemsize * width)
        rows = np.ndarray((count, width), kind, self._binary, begin, (stride, kind.itemsize))
        return np.ascontiguousarray(rows)

    def parts(self) -> list[_Part]:
        """Every primitive of the scene with where its node puts it."""
        found: list[_Part] = []
        roots = self.json["scenes"][self.json.get("scene", 0)]["nodes"]
        waiting = [(root, np.eye(4, dtype=np.float32)) for root in roots]
        while waiting:
            number, above = waiting.pop()
            node = self.json["nodes"][number]
            here = above @ _local(node)
            waiting += [(child, here) for child in node.get("children", ())]
            if "mesh" in node:
                # A skinned mesh in its rest pose lies in the world's own coordinates.
                place = np.eye(4, dtype=np.float32) if "skin" in node else here
                name = str(node.get("name", "")).lower()
                eye = next((side for side in ("Left", "Right") if "eye" in name and side.lower() in name), "")
                found += self._primitives(self.json["meshes"][node["mesh"]], place, eye)
        return found

    def _primitives(self, mesh: Mapping[str, Any], place: Array, eye: str) -> list[_Part]:
        names = mesh.get("extras", {}).get("targetNames", [])
        parts = []
        for primitive in mesh["primitives"]:
            material = self.json.get("materials", [{}])[primitive["material"]] if "material" in primitive else {}
            if any(word in str(material.get("name", "")).lower() for word in LEFT_OUT):
                continue
            attributes = primitive["attributes"]
            points = self.accessor(attributes["POSITION"]).astype(np.float32)
            base = np.array(
                material.get("pbrMetallicRoughness", {}).get("baseColorFactor", (1, 1, 1, 1))[:3], np.float32
            )
            colours = np.tile(base, (len(points), 1))
            if "COLOR_0" in attributes:
                colours = colours * self.accessor(attributes["COLOR_0"]).astype(np.float32)[:, :3]
            glow = np.array(material.get("emissiveFactor", (0, 0, 0)), np.float32)
            targets = {}
            for name, target in zip(names, primitive.get("targets", ()), strict=False):
                moves = self.accessor(target["POSITION"]).astype(np.float32)
                where = np.flatnonzero(np.abs(moves).max(axis=1) > 0)
                targets[str(name)] = (where, moves[where])
            triangles = self.accessor(primitive["indices"]).astype(np.int32).reshape(-1, 3)
            parts.append(_Part(points, triangles, colours + glow, targets, place, eye, bool(glow.any())))
        return parts


def _local(node: Mapping[str, Any]) -> Array:
    if "matrix" in node:
        return np.array(node["matrix"], np.float32).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ],
        np.float32,
    )
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1.0, 1.0, 1.0)), np.float32)
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _normals(points: Array, triangles: npt.NDArray[np.int32]) -> Array:
    """Smooth normals: of every triangle, weighted by its area, at its corners."""
    normals = np.zeros_like(points)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t]
        ax, ay, az = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        bx, by, bz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
        x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for corner in (i, j, k):
            normals[corner, 0] += x
            normals[corner, 1] += y
            normals[corner, 2] += z
    for p in range(points.shape[0]):
        length = np.sqrt(normals[p, 0] ** 2 + normals[p, 1] ** 2 + normals[p, 2] ** 2)
        if length > 0:
            normals[p] /= length
    return normals


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _rasterise(screen: Array, triangles: npt.NDArray[np.int32], lit: Array, colour: Array, depth: Array) -> None:
    """Draw triangles into ``colour`` where they are nearer than ``depth``; both are changed."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t]
        if screen[i, 2] <= 0 or screen[j, 2] <= 0 or screen[k, 2] <= 0:
            continue
        xi, yi, xj, yj, xk, yk = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1], screen[k, 0], screen[k, 1]
        whole = (yj - yk) * (xi - xk) + (xk - xj) * (yi - yk)
        if abs(whole) < 1e-9:
            continue
        left, right = max(int(min(xi, xj, xk)), 0), min(int(max(xi, xj, xk)) + 1, width - 1)
        top, bottom = max(int(min(yi, yj, yk)), 0), min(int(max(yi, yj, yk)) + 1, height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                a = ((yj - yk) * (x - xk) + (xk - xj) * (y - yk)) / whole
                b = ((yk - yi) * (x - xk) + (xi - xk) * (y - yk)) / whole
                c = 1.0 - a - b
                if a < -1e-4 or b < -1e-4 or c < -1e-4:
                    continue
                z = a * screen[i, 2] + b * screen[j, 2] + c * screen[k, 2]
                if z < depth[y, x]:
                    depth[y, x] = z
                    for channel in range(3):
                        colour[y, x, channel] = a * lit[i, channel] + b * lit[j, channel] + c * lit[k, channel]
