import json
import struct
from itertools import pairwise

import numpy as np
import pytest

from cli.heads import Head, Studio, Turn
from cli.loop import FPS, act, groups
from runtime.errors import PrerequisiteError
from schemas.vocabulary import BLENDSHAPES

ALL = frozenset(BLENDSHAPES)


def glb(*, extension: str = "", named: bool = True, vertices: int = 4) -> bytes:
    """A square plate 0.2 wide that faces +z, whose one shape moves its upper right corner."""
    points = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]], "<f4")
    moves = np.zeros((4, 3), "<f4")
    moves[2] = (0.1, 0.0, 0.0)
    triangles = np.array([0, 1, 2, 0, 2, 3], "<u2")
    binary = points.tobytes() + moves.tobytes() + triangles.tobytes()
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [0, 0.5, 0]}],
        "meshes": [{
            "primitives": [{"attributes": {"POSITION": 0}, "indices": 2, "targets": [{"POSITION": 1}]}],
            **({"extras": {"targetNames": ["jawOpen"]}} if named else {}),
        }],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": vertices, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 48},
            {"buffer": 0, "byteOffset": 96, "byteLength": 12},
        ],
        "buffers": [{"byteLength": len(binary)}],
    }  # fmt: skip
    if extension:
        document["extensionsRequired"] = [extension]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary)) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary


@pytest.fixture
def plate(tmp_path) -> Head:
    (tmp_path / "plate.glb").write_bytes(glb())
    return Head(tmp_path / "plate.glb")


def covered(head: Head, weights=None, turn: Turn | None = None) -> np.ndarray:
    """Where the plate is in a picture."""
    studio = Studio(background=(0.0, 0.0, 0.0), size_px=128)
    return head.render(weights or {}, turn or Turn(), studio).max(axis=2) > 60


def test_a_head_is_rendered_in_the_middle(plate):
    assert plate.shapes == {"jawOpen"}
    rows, columns = np.nonzero(covered(plate))
    assert rows.mean() == pytest.approx(63.5, abs=1)
    assert columns.mean() == pytest.approx(63.5, abs=1)


def test_a_weight_moves_its_shape_to_the_right_of_the_picture(plate):
    rest, half, whole = (covered(plate, {"jawOpen": weight}).sum() for weight in (0.0, 0.2, 0.4))
    assert rest < half < whole
    assert half - rest == pytest.approx(whole - half, rel=0.1)
    assert np.array_equal(covered(plate, {"mouthFunnel": 1.0}), covered(plate))


def test_turns_are_the_subjects_own(plate):
    """Seen from the camera: what is nearer looks larger."""
    to_its_left = covered(plate, turn=Turn(yaw_deg=40))
    assert to_its_left[:, :64].sum() > to_its_left[:, 64:].sum()  # its right half, at the picture's left, comes nearer
    down = covered(plate, turn=Turn(pitch_deg=40))
    assert down[:64].sum() > down[64:].sum()
    rolled = covered(plate, {"jawOpen": 1.0}, Turn(roll_deg=90))
    rows, _ = np.nonzero(rolled)
    assert rows.mean() > 64  # its upper corner at the picture's right has come down at the right


@pytest.mark.parametrize(
    "data, why",
    [
        (b"nothing of the kind", "does not start with glTF"),
        (glb(extension="KHR_draco_mesh_compression"), "needs KHR_draco_mesh_compression"),
        (glb(named=False), "no named morph targets"),
        (glb(vertices=4_000), "no glTF binary that can be read"),
    ],
)
def test_a_file_that_cannot_be_rendered_says_why(tmp_path, data, why):
    (tmp_path / "a.glb").write_bytes(data)
    with pytest.raises(PrerequisiteError, match=why):
        Head(tmp_path / "a.glb")


def test_sides_are_moved_together_and_directions_alone():
    found = groups(ALL)
    assert ("eyeBlinkLeft", "eyeBlinkRight") in found
    assert ("jawLeft",) in found
    assert ("mouthRight",) in found
    assert sorted(name for group in found for name in group) == sorted(ALL - {"tongueOut"})
    assert groups(frozenset({"jawOpen"})) == [("jawOpen",)]


def test_the_act_shows_every_channel_on_smooth_paths():
    shots = list(act(ALL, 600, seed=1))
    assert {name for shot in shots for name in shot.weights} == ALL - {"tongueOut"}
    assert all(0.0 <= weight <= 1.0 for shot in shots for weight in shot.weights.values())
    yaws = [shot.turn.yaw_deg for shot in shots]
    assert max(abs(b - a) for a, b in pairwise(yaws)) * FPS < 60
    assert max(yaws) > 10
    assert min(yaws) < -10
    assert [shot.turn for shot in act(ALL, 60, seed=1)] == [shot.turn for shot in shots[:60]]
    assert [shot.turn for shot in act(ALL, 60, seed=2)] != [shot.turn for shot in shots[:60]]
