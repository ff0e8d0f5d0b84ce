"""Tiny ONNX networks that stand for people's own: what they answer can be worked out by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
ROWS = {"nchw": (2, 3), "nhwc": (1, 2), "nhw": (1, 2)}


def head(
    path: Path,
    outputs: Mapping[str, Sequence[Sequence[float]]],
    *,
    shape: Sequence[int | str] = ("n", 3, 32, 32),
    layout: str = "nchw",
    takes: int = TensorProto.FLOAT,
    bias: Sequence[float] | None = None,
) -> Path:
    """A network whose outputs are the mean of each channel times a matrix (a row a channel), plus ``bias``."""
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=list(ROWS[layout]), keepdims=0),
    ]
    weights = []
    channels = 1 if layout == "nhw" else int(shape[layout.index("c")])
    means = "means"
    if layout == "nhw":
        weights.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
        nodes.append(helper.make_node("Unsqueeze", ["means", "axis"], ["column"]))
        means = "column"
    for name, rows in outputs.items():
        matrix = np.array(rows, np.float32)
        assert matrix.shape[0] == channels
        offset = np.zeros(matrix.shape[1], np.float32) if bias is None else np.array(bias, np.float32)
        weights += [numpy_helper.from_array(matrix, f"{name}_w"), numpy_helper.from_array(offset, f"{name}_b")]
        nodes.append(helper.make_node("Gemm", [means, f"{name}_w", f"{name}_b"], [name]))
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("input", takes, list(shape))],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], len(rows[0])])
            for name, rows in outputs.items()
        ],
        weights,
    )
    return save(graph, path)


def save(graph: onnx.GraphProto, path: Path) -> Path:
    """The graph as a file that ONNX Runtime reads."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def with_one_size(source: Path, path: Path, side: int) -> Path:
    """The network of ``source``, for square pictures of one size only."""
    model = onnx.load(str(source))
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, side, side), strict=True):
        axis.Clear()
        axis.dim_value = size
    onnx.save(model, str(path))
    return path
