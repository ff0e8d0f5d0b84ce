"""VP8 and H.264 frames to JPEG, plane by plane: no detour over RGB. Blocking, 1 to 2 ms a frame at 640x480.

Cameras are coded in the narrow range of ITU-R BT.601 (luma 16 to 235); a JPEG (JFIF) is read as full range, so the
planes are stretched on the way.
"""

from dataclasses import dataclass
from typing import Any, Final

import av
import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ingest.admission import MAX_EDGE_PX, MAX_JPEG_BYTES, MIN_EDGE_PX

Plane = NDArray[np.uint8]

QUALITY: Final = 80
LOWER_QUALITIES: Final = (50, 25)
"""Tried where a picture is too large for a record at the usual quality; then the last one at half the size."""

LONG_EDGE_PX: Final = 640
"""Larger pictures are scaled down to it, as the page does before it sends JPEGs: faces are not read any finer."""

DECODERS: Final = {"VP8": "vp8", "H264": "h264"}
"""FFmpeg's own decoders: as exact as libvpx's, and a tenth cheaper."""

LUMA_SCALE: Final = 255 / 219
CHROMA_SCALE: Final = 255 / 224


class DecodeError(ValueError):
    """Data that does not give a picture; the message says why."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture."""

    data: bytes
    width: int
    height: int


class VideoDecoder:
    """The decoder of one stream. Not thread-safe; frames must come in order."""

    def __init__(self, codec: str) -> None:
        """``codec``: the RTP payload name, VP8 or H264."""
        self._decoder = av.CodecContext.create(DECODERS[codec], "r")
        self._decoder.thread_count = 1  # a session's share of a core, and no frame of delay

    def decode(self, data: bytes) -> list[Any]:
        """Frames (av.VideoFrame) that this one completes, normally one; raises DecodeError."""
        try:
            return list(self._decoder.decode(av.Packet(data)))
        except av.FFmpegError as error:
            raise DecodeError(error.strerror or "the decoder refuses it") from error


def jpeg_of(frame: Any) -> Jpeg:
    """A decoded frame (av.VideoFrame, any pixel format) as JPEG of at most 100 kB; raises DecodeError."""
    width, height = frame.width, frame.height
    if not (min(width, height) >= MIN_EDGE_PX and max(width, height) <= MAX_EDGE_PX):
        raise DecodeError(f"{width}x{height} pixels: {MIN_EDGE_PX} to {MAX_EDGE_PX} an edge are taken")
    if frame.format.name not in {"yuv420p", "yuvj420p"}:
        frame = frame.reformat(format="yuv420p")
    full = frame.format.name == "yuvj420p" or frame.color_range == av.video.reformatter.ColorRange.JPEG
    luma, blue, red = (_pixels(plane) for plane in frame.planes)
    longest = max(width, height)
    if longest > LONG_EDGE_PX:
        scale = LONG_EDGE_PX / longest
        width, height = max(MIN_EDGE_PX, round(width * scale)) & ~1, max(MIN_EDGE_PX, round(height * scale)) & ~1
        luma, blue, red = _resized((luma, blue, red), width, height)
    elif width % 2 or height % 2:  # of an odd size, the JPEG library would read a row that is not there
        width, height = width & ~1, height & ~1
        luma = luma[:height, :width]
        blue, red = blue[: height // 2, : width // 2], red[: height // 2, : width // 2]
    if full:
        luma, blue, red = (np.ascontiguousarray(plane) for plane in (luma, blue, red))
    else:
        luma = _stretched(luma, LUMA_SCALE, -16 * LUMA_SCALE)
        offset = 128 - 128 * CHROMA_SCALE
        blue, red = _stretched(blue, CHROMA_SCALE, offset), _stretched(red, CHROMA_SCALE, offset)
    for quality in (QUALITY, *LOWER_QUALITIES):
        data: bytes = simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality)
        if len(data) <= MAX_JPEG_BYTES:
            return Jpeg(data, width, height)
    width, height = max(MIN_EDGE_PX, width // 2) & ~1, max(MIN_EDGE_PX, height // 2) & ~1
    luma, blue, red = _resized((luma, blue, red), width, height)
    return Jpeg(simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, LOWER_QUALITIES[-1]), width, height)


def _pixels(plane: Any) -> Plane:
    """A view of a plane without the padding of its lines."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _resized(planes: tuple[Plane, Plane, Plane], width: int, height: int) -> tuple[Plane, Plane, Plane]:
    """Luma at this size, an even one, and chroma at half of it."""
    half = width // 2, height // 2
    luma, blue, red = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in zip(planes, ((width, height), half, half), strict=True)
    )
    return luma, blue, red


def _stretched(plane: Plane, scale: float, offset: float) -> Plane:
    """``scale * plane + offset``, saturated at 255. The few values below the narrow range are mirrored at black."""
    return np.asarray(cv2.convertScaleAbs(plane, alpha=scale, beta=offset), np.uint8)
