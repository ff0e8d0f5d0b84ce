"""A pack that insightface takes for a real one: a detector and 68 points in three dimensions, that answer as told."""

from pathlib import Path

import numpy as np
from insightface.data import get_object
from onnx import TensorProto, helper, numpy_helper

from inference_workers.engines.face_geometry import Box, Pose
from tests.support.tiny_networks import save

SIDE = 128
STRIDES = (8, 16, 32)
ANCHORS = 2
CELL = (7, 4)
"""Column and row of the one cell of stride 8 that sees a face."""
BOX = Box(180.0, 60.0, 92.0, 120.0)
POINTS = np.array([[204, 101], [247, 104], [224, 129], [202, 140], [246, 142]], np.float32)
"""The astronaut's face, in pixels of 512."""


def detector(path: Path, *, points: bool = True) -> Path:
    """A SCRFD that sees :data:`BOX` in pictures that are not dark, whatever they show."""
    scale = SIDE / 512
    centre = np.array(CELL) * 8
    low = np.array([BOX.x, BOX.y]) * scale
    high = low + np.array([BOX.width, BOX.height]) * scale
    told = {
        "score": np.array([0.9]),
        "bbox": np.concatenate([centre - low, high - centre]) / 8,
        "kps": ((POINTS * scale - centre) / 8).ravel(),
    }
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        # Black is -1 for it.
        helper.make_node("Add", ["mean", "one"], ["light"]),
        helper.make_node("Mul", ["light", "five"], ["much"]),
        helper.make_node("Clip", ["much", "zero", "one"], ["there"]),
    ]
    constants = {"zero": 0.0, "one": 1.0, "five": 5.0}
    weights = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    outputs = []
    for what in ("score", "bbox", "kps") if points else ("score", "bbox"):
        for stride in STRIDES:
            rows = np.zeros(((SIDE // stride) ** 2 * ANCHORS, len(told[what])), np.float32)
            if stride == 8:
                rows[(CELL[1] * (SIDE // 8) + CELL[0]) * ANCHORS] = told[what]
            name = f"{what}_{stride}"
            weights.append(numpy_helper.from_array(rows, f"{name}_rows"))
            nodes.append(helper.make_node("Mul", [f"{name}_rows", "there"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(rows.shape)))
    takes = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    return save(helper.make_graph(nodes, "scrfd", [takes], outputs, weights), path)


def points_in_space(path: Path, pose: Pose) -> Path:
    """A 1k3d68 that sees insightface's own mean face in this pose, whatever it is shown.

    The mean face has x to the right, y down and z towards the camera.
    """
    towards = np.diag([1.0, 1.0, -1.0])
    turned = get_object("meanshape_68.pkl") @ (towards @ pose.matrix() @ towards).T
    numbers = np.zeros((1, 3309), np.float32)
    numbers[0, -68 * 3 :] = (0.5 * turned).ravel()
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["none"]),
        helper.make_node("Add", ["numbers", "none"], ["points"]),
    ]
    weights = [
        numpy_helper.from_array(numbers, "numbers"),
        numpy_helper.from_array(np.array(0.0, np.float32), "nothing"),
    ]
    takes = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 192, 192])
    gives = helper.make_tensor_value_info("points", TensorProto.FLOAT, [1, 3309])
    return save(helper.make_graph(nodes, "1k3d68", [takes], [gives], weights), path)
