"""A JPEG's size from its headers, without decoding a pixel (ITU-T T.81, annex B)."""

from typing import Final

START: Final = b"\xff\xd8\xff"
STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
FRAME_HEADERS: Final = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended sequential and progressive: what decoders read."""

OTHER_FRAME_HEADERS: Final = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})


class JpegError(ValueError):
    """Bytes that are not a JPEG that can be used; the message says why."""


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height in pixels; raises JpegError. Reads at most the segments before the picture's data."""
    if data[:3] != START:
        raise JpegError("does not start as a JPEG")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise JpegError(f"no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in STANDALONE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAME_HEADERS:
            if length < 11 or at + 10 > len(data):
                raise JpegError("the frame header is cut off")
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return width, height
        if marker in OTHER_FRAME_HEADERS:
            raise JpegError(f"coding process 0xFF{marker:02X} is not supported: send baseline or progressive")
        if marker in {0xD9, 0xDA}:
            raise JpegError("the picture's data comes before its frame header")
        if length < 2:
            raise JpegError(f"segment at byte {at} has length {length}")
        at += 2 + length
    raise JpegError("no frame header")
