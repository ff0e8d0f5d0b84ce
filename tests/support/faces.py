"""Pictures with faces for tests."""

from functools import cache

import cv2
import numpy as np

from inference_workers.engines.protocols import Picture
from runtime import assets
from tests.support.prerequisites import REPOSITORY, cache_dir, required


@cache
def astronaut() -> Picture:
    """A smiling face, 512 x 512 (NASA, public domain), from the sample session's assets."""
    asset = assets.load_manifest(REPOSITORY / "cli" / "sample.yaml")["astronaut"]
    with required():
        path = assets.locate(asset, cache_dir() / "tools", how="run `affectstream setup`")
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def rolled(picture: Picture, clockwise_deg: float) -> Picture:
    """The picture turned clockwise, as seen, about its face."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((0.43 * width, 0.24 * height), -clockwise_deg, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)


def mirrored(picture: Picture) -> Picture:
    """Left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def moved(picture: Picture, right: int, down: int) -> Picture:
    """The picture's content moved by pixels; black comes in."""
    height, width = picture.shape[:2]
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)


def blank(height: int = 512, width: int = 512) -> Picture:
    """A black picture."""
    return np.zeros((height, width, 3), np.uint8)


def jpeg(picture: Picture, quality: int = 80) -> bytes:
    """The picture as a baseline JPEG."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)
