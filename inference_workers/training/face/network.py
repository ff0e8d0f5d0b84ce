"""The network: grey crops to logits of seven emotions. A small residual network (He et al., CVPR 2016).

Residual blocks at 24, 12 and 6 pixels, the last with squeeze and excitation (Hu et al., CVPR 2018); a strided stem,
because the full resolution costs a CPU more than it tells. Every crop is standardised by its own mean and spread first,
so that gain and offset of the light do not matter.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from schemas.vocabulary import EMOTIONS


class Excitation(nn.Module):
    """Channels weighted by what the whole picture shows (squeeze and excitation)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels // reduction)
        self.up = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same."""
        weights = torch.sigmoid(self.up(functional.relu(self.down(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a short cut, which averages and projects where the resolution halves."""

    def __init__(self, inputs: int, outputs: int, *, halve: bool = False, excite: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2 if halve else 1, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.excitation = Excitation(outputs) if excite else nn.Identity()
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            if halve
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w), or half of h and w."""
        inner = functional.relu(self.first_norm(self.first(x)))
        inner = self.excitation(self.second_norm(self.second(inner)))
        return functional.relu(inner + self.shortcut(x))


class FaceEmotionNet(nn.Module):
    """Pictures (n, 1, side, side), 0..255, to logits (n, 7); ``side`` is a multiple of 8."""

    def __init__(self, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            Residual(width, width),
            Residual(width, 2 * width, halve=True),
            Residual(2 * width, 2 * width),
            Residual(2 * width, 4 * width, halve=True, excite=True),
            Residual(4 * width, 4 * width, excite=True),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, len(EMOTIONS))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits in the order of :data:`schemas.vocabulary.EMOTIONS`."""
        centred = pictures - pictures.mean(dim=(2, 3), keepdim=True)
        spread = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
        x = self.blocks(self.stem(centred / (spread + 1.0)))
        result: Tensor = self.head(self.dropout(x.mean(dim=(2, 3))))
        return result
