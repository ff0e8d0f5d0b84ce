"""The fitted network as one ONNX file: pictures (n, 48, 48), uint8, to ``probabilities`` (n, 7), temperature inside.

A picture's answer is the mean of its own and its mirror image's. Normalisations are folded into the convolutions, and
weights are kept as float16 with a cast behind each, which onnxruntime carries out once when it loads: half the bytes,
and the arithmetic stays float32.
"""

import copy
import hashlib
import logging
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inference_workers.training.face.corpora import SIDE
from inference_workers.training.face.network import FaceEmotionNet, Residual

OPSET: Final = 18
SMALL: Final = 64
"""Tensors of so few numbers stay float32."""


class Answering(nn.Module):
    """Grey bytes to probabilities."""

    def __init__(self, net: FaceEmotionNet, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, SIDE, SIDE), 0..255, to (n, 7)."""
        x = pictures.to(torch.float32)[:, None]
        logits = 0.5 * (self.net(x) + self.net(x.flip(3)))
        return torch.softmax(logits / self.temperature, dim=1)


def folded(net: FaceEmotionNet) -> FaceEmotionNet:
    """A copy whose normalisations are part of its convolutions."""
    result: FaceEmotionNet = copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)
    result.stem[0], result.stem[1] = fuse_conv_bn_eval(result.stem[0], result.stem[1]), nn.Identity()
    for block in result.blocks:
        assert isinstance(block, Residual)
        block.first, block.first_norm = fuse_conv_bn_eval(block.first, block.first_norm), nn.Identity()
        block.second, block.second_norm = fuse_conv_bn_eval(block.second, block.second_norm), nn.Identity()
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut[1], block.shortcut[2] = (
                fuse_conv_bn_eval(block.shortcut[1], block.shortcut[2]),
                nn.Identity(),
            )
    return result


def write_onnx(net: FaceEmotionNet, path: Path, temperature: float) -> tuple[int, str]:
    """Write the network; returns the file's bytes and SHA-256."""
    example = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            Answering(folded(net), temperature).eval(),
            (example,),
            input_names=["pictures"],
            output_names=["probabilities"],
            dynamic_shapes={"pictures": {0: torch.export.Dim("n", min=1, max=1 << 16)}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = halved(program.model_proto)
    onnx.checker.check_model(model)
    data = model.SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data), hashlib.sha256(data).hexdigest()


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large float32 weights kept as float16, a Cast behind each; its notes on sources removed."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.metadata_props[:]
    del result.graph.value_info[:]
    result.producer_name, result.producer_version, result.doc_string = "affectstream", "", ""
    result.graph.name = "face_emotion"
    casts = []
    for weight in result.graph.initializer:
        del weight.metadata_props[:]
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) > SMALL:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(result.graph.node)
    for node in nodes:
        del node.metadata_props[:]
        node.doc_string = ""
    del result.graph.node[:]
    result.graph.node.extend([*casts, *nodes])
    return result
