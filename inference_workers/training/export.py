"""A set of perceptrons as one ONNX file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float64]

OPSET: Final = 17
IR_VERSION: Final = 9


def write_onnx(
    path: Path, *, mean: Array, spread: Array, clip: float, members: Sequence[Sequence[Array]], temperature: float
) -> tuple[int, str]:
    """Write ``features`` (n, f) to ``probabilities`` (n, c); returns the file's bytes and SHA-256.

    The members' mean logits are those of one perceptron whose hidden layer is theirs side by side and whose output
    weights are theirs divided by their number.
    """
    share = 1.0 / len(members) / temperature
    tensors = {
        "mean": mean,
        "scale": 1.0 / spread,
        "low": np.array(-clip),
        "high": np.array(clip),
        "w1": np.concatenate([member[0] for member in members], axis=1),
        "b1": np.concatenate([member[1] for member in members]),
        "w2": np.concatenate([member[2] for member in members]) * share,
        "b2": np.sum([member[3] for member in members], axis=0) * share,
    }
    features, classes = tensors["w1"].shape[0], tensors["w2"].shape[1]
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["standard"]),
        helper.make_node("Clip", ["standard", "low", "high"], ["inputs"]),
        helper.make_node("Gemm", ["inputs", "w1", "b1"], ["before"]),
        helper.make_node("Relu", ["before"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "speech_emotion",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="affectstream")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    data = model.SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data), hashlib.sha256(data).hexdigest()
