"""A network as people train and export it, residual blocks and all, read as a chain."""

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from inference_workers import face_chain
from inference_workers.engines.face_crops import Framing, cut
from inference_workers.engines.face_geometry import Roi
from inference_workers.engines.face_heads import ChainHeads
from inference_workers.engines.onnx_heads import OnnxNetwork
from schemas.vocabulary import EMOTIONS
from tests.support.faces import astronaut

LABELS = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
"""AffectNet's, in its order."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224
FACE = Roi(222.0, 115.0, 190.0, 0.1)


class Bottleneck(nn.Module):
    """He et al., Deep Residual Learning for Image Recognition, 2016, figure 5 on the right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.body = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Bottleneck(32), Bottleneck(32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(LABELS)),
    ).eval()  # fmt: skip


# Warnings of the exporter about itself.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("dynamic", [False, True])
def test_what_torch_exports_says_what_torch_says(tmp_path, dynamic):
    made = network()
    torch.onnx.export(
        made, (torch.zeros(1, 3, SIDE, SIDE),), tmp_path / "net.onnx", input_names=["input"], output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) if dynamic else None, dynamo=True, verbose=False,
    )  # fmt: skip
    described = {
        "name": "resnet", "version": 1, "licence": "CC0-1.0",
        "heads": [
            {
                "file": "net.onnx",
                "input": {"size": SIDE, "mean": list(MEAN), "std": list(STD)},
                "crop": {"scale": 1.3},
                "outputs": [
                    {"says": "emotions", "labels": LABELS, "map": {"contempt": "none"}, "activation": "softmax"}
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    (told,) = ChainHeads(face_chain.load(tmp_path / "chain.yaml"), OnnxNetwork).read([(astronaut(), FACE)])

    rgb = cut(astronaut(), FACE, Framing(1.3), SIDE)[..., ::-1].astype(np.float32) / 255.0
    given = torch.from_numpy(((rgb - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        *ours, contempt = torch.softmax(made(given), dim=1)[0].tolist()
    in_our_words = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry")
    expected = {name: p + contempt / 7 for name, p in zip(in_our_words, ours, strict=True)}
    assert dict(zip(EMOTIONS, told.scores, strict=True)) == pytest.approx(expected, abs=1e-5)
