"""What light, lenses, hands and rooms do to pictures and sound, in graded steps. Deterministic; pure but for OpenCV."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_workers.training.augment import with_noise

Picture = NDArray[np.uint8]
Samples = NDArray[np.float32]


def blurred(picture: Picture, sigma: float) -> Picture:
    """Out of focus: a Gaussian of ``sigma`` faces' widths / 100."""
    width = sigma * picture.shape[1] / 100.0
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), width), np.uint8)


def occluded(picture: Picture, share: float) -> Picture:
    """A grey bar over the lowest ``share`` of the picture: a hand, a mask, a cup."""
    hidden = picture.copy()
    hidden[round(picture.shape[0] * (1.0 - share)) :] = 110
    return hidden


def darkened(picture: Picture, gain: float) -> Picture:
    """``gain`` of the light, with the noise of a sensor (2 of 255 standard deviation)."""
    noise = np.random.default_rng(0).normal(0.0, 2.0, picture.shape)
    return (picture * gain + noise).clip(0, 255).astype(np.uint8)


def noisy(samples: Samples, snr_db: float) -> Samples:
    """With noise between white and brown at a signal-to-noise ratio over the whole recording."""
    return with_noise(samples.astype(np.float64), snr_db, np.random.default_rng(0)).clip(-1.0, 1.0).astype(np.float32)


PICTURES: Final[Mapping[str, Callable[[Picture], Picture]]] = {
    "clean": lambda picture: picture,
    "blur 2 %": partial(blurred, sigma=2.0),
    "blur 5 %": partial(blurred, sigma=5.0),
    "lower quarter hidden": partial(occluded, share=0.25),
    "lower half hidden": partial(occluded, share=0.5),
    "a quarter of the light": partial(darkened, gain=0.25),
    "a twentieth of the light": partial(darkened, gain=0.05),
}
"""Degradations of a face's crop by name, each kind from mild to severe."""
SOUNDS: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "clean": lambda samples: samples,
    **{f"noise {snr_db} dB": partial(noisy, snr_db=float(snr_db)) for snr_db in (20, 10, 5, 0, -5)},
}
MISSING: Final = "missing"
