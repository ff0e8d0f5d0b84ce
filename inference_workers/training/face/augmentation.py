"""Random variations of crops as real cameras and detectors make them. All draws come from torch's generator.

What varies: mirror, turn, size and place of the face in the crop; gamma, light from one side, over- and underexposure;
resolution; sensor noise; JPEG; a part covered. Gain and offset need none: the network standardises every crop.
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def vary(pictures: Tensor, side: int, strength: float = 1.0) -> Tensor:
    """Crops (n, 1, h, w), uint8, to one variation of each: (n, 1, side, side), float32, 0..255.

    ``strength``, 0..1, scales how many of them are spoilt; all are turned, moved and scaled.
    """
    x = _placed(_compressed(pictures, share=0.1 * strength).float() / 255.0, side)
    x = _lit(x, strength)
    x = _coarse(x, share=0.2 * strength)
    x = x + _some(x, 0.3 * strength) * 0.05 * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)
    return _covered(x.clamp(0.0, 1.0), share=0.4 * strength) * 255.0


def _some(x: Tensor, share: float) -> Tensor:
    """1 for a random ``share`` of the pictures, else 0: (n, 1, 1, 1)."""
    return (torch.rand(len(x), 1, 1, 1) < share).float()


def _between(n: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(n)


def _placed(x: Tensor, side: int) -> Tensor:
    n = len(x)
    angle, size = _between(n, -0.26, 0.26), _between(n, 0.82, 1.15)
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    cos, sin = size * torch.cos(angle), size * torch.sin(angle)
    right, down = _between(n, -0.12, 0.12), _between(n, -0.12, 0.12)
    maps = torch.stack([torch.stack([mirror * cos, -sin, right], 1), torch.stack([mirror * sin, cos, down], 1)], 1)
    grid = functional.affine_grid(maps, [n, 1, side, side], align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False, padding_mode="reflection")


def _lit(x: Tensor, strength: float) -> Tensor:
    n, side = len(x), x.shape[-1]
    x = x.clamp(1e-3, 1.0).pow(torch.exp2(_between(n, -0.6, 0.6) * strength)[:, None, None, None])
    line = torch.linspace(-1.0, 1.0, side)
    angle = _between(n, 0.0, 2 * torch.pi)[:, None, None]
    ramp = torch.cos(angle) * line[None, None, :] + torch.sin(angle) * line[None, :, None]
    x = x * (1.0 + _some(x, 0.3 * strength) * 0.5 * torch.rand(n, 1, 1, 1) * ramp[:, None])
    exposed = _some(x, 0.2 * strength)
    return (x * (1.0 + exposed * (1.2 * torch.rand(n, 1, 1, 1) - 0.4)) + exposed * 0.2 * torch.randn(n, 1, 1, 1)).clamp(
        0.0, 1.0
    )


def _coarse(x: Tensor, share: float) -> Tensor:
    side = x.shape[-1]
    small = int(torch.randint(side // 3, side, ()))
    coarse = functional.interpolate(x, size=small, mode="area")
    coarse = functional.interpolate(coarse, size=side, mode="bilinear", align_corners=False)
    return torch.lerp(x, coarse, _some(x, share))


def _covered(x: Tensor, share: float) -> Tensor:
    n, side = len(x), x.shape[-1]
    half = _between(2 * n, 0.06, 0.2).reshape(2, n, 1) * side
    centre = torch.rand(2, n, 1) * side
    line = torch.arange(side)
    inside = (line - centre).abs() < half
    mask = (inside[0][:, :, None] & inside[1][:, None, :])[:, None] & (_some(x, share) > 0)
    return torch.where(mask, torch.rand(n, 1, 1, 1), x)


def _compressed(pictures: Tensor, share: float) -> Tensor:
    result = pictures.clone()
    for i in torch.nonzero(torch.rand(len(pictures)) < share).flatten().tolist():
        quality = int(torch.randint(25, 80, ()))
        _, data = cv2.imencode(".jpg", pictures[i, 0].numpy(), [cv2.IMWRITE_JPEG_QUALITY, quality])
        result[i, 0] = torch.from_numpy(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)))
    return result
