"""JPEG to pixels, with every way in which that can fail named. Pure."""

from typing import Final

import cv2
import numpy as np
import simplejpeg

from inference_workers.engines.protocols import Picture

MAX_PIXELS: Final = 4_000_000
"""Larger pictures are refused before they are decoded: a few bytes can declare gigabytes."""

REDUCE_ABOVE: Final = 1_600
"""Pictures longer than this are decoded at half size: faces stay large enough, at a third of the time."""

HARMLESS: Final = "extraneous bytes before marker"
"""A warning of the decoder that cameras' own JPEGs give: the picture is whole."""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD8)})


class UndecodableError(ValueError):
    """Bytes that are no usable picture; the message says why and never what they show."""


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height as the JPEG's frame header declares them; raises UndecodableError if there is none."""
    if not data.startswith(_START):
        raise UndecodableError("not a JPEG: it does not start with FFD8")
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    raise UndecodableError("not a JPEG: no frame header")


def decode(data: bytes) -> Picture:
    """The picture, blue-green-red, without regard to an orientation tag; raises UndecodableError.

    The decoder would fill what is missing or damaged of a picture with grey: that counts as undecodable here.
    """
    width, height = jpeg_size(data)
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UndecodableError(f"{width} x {height} pixels: at most {MAX_PIXELS} are accepted")
    if _END not in data[-32:]:
        raise UndecodableError("truncated: the end marker is missing")
    halved = max(width, height) > REDUCE_ABOVE
    # 0: no least size, so the scale is 1.
    least_height, least_width = (-(-height // 2), -(-width // 2)) if halved else (0, 0)
    try:
        # libjpeg-turbo, as in OpenCV, but a quarter faster, and with its warnings as errors.
        picture = simplejpeg.decode_jpeg(data, colorspace="BGR", min_height=least_height, min_width=least_width)
    except ValueError as error:
        if HARMLESS not in str(error):
            raise UndecodableError(f"the decoder refuses it: {error}") from error
        picture = _leniently(data, halved=halved)
    return np.asarray(picture, np.uint8)


def _leniently(data: bytes, *, halved: bool) -> Picture:
    flags = cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise UndecodableError(f"the decoder refuses it: {error.err}") from error
    if picture is None:
        raise UndecodableError("the decoder finds no picture in it")
    return np.asarray(picture, np.uint8)
