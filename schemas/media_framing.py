"""Framing of the media WebSocket: a 16-byte little-endian header, then the payload. Pure; for edge and clients alike.

====== ==== ===============================================================================
offset type field
====== ==== ===============================================================================
0      u8   kind: 1 PCM16 mono 16 kHz, 2 Opus packet, 3 JPEG, 4 face features, 5 speech features
1      u8   flags, 0
2      u16  reserved, 0
4      u32  sequence: the client's own counter, strictly rising for audio and for video
8      i64  captured_at_us: of the first sample or of the picture, on the client's clock
16     ...  payload; of features, see :mod:`schemas.features`
====== ==== ===============================================================================
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

HEADER: Final = struct.Struct("<BBHIq")
MAX_SEQUENCE: Final = 0xFFFF_FFFF


class MediaKind(IntEnum):
    """What a payload is."""

    PCM16 = 1
    OPUS = 2
    JPEG = 3
    FACE_FEATURES = 4
    SPEECH_FEATURES = 5


_KINDS: Final = {int(kind): kind for kind in MediaKind}


class FramingError(ValueError):
    """Bytes that are not a media message; the message says what is wrong with the header."""


@dataclass(frozen=True, slots=True)
class MediaMessage:
    """One binary message of the media WebSocket."""

    kind: MediaKind
    sequence: int
    captured_at_us: int
    payload: bytes

    @property
    def is_audio(self) -> bool:
        """Sound, or features of it, rather than a picture or features of one."""
        return self.kind is not MediaKind.JPEG and self.kind is not MediaKind.FACE_FEATURES

    @property
    def is_features(self) -> bool:
        """What a client has found out by itself, rather than media."""
        return self.kind is MediaKind.FACE_FEATURES or self.kind is MediaKind.SPEECH_FEATURES

    def to_bytes(self) -> bytes:
        """Header and payload; raises FramingError if a field does not fit."""
        try:
            return HEADER.pack(self.kind, 0, 0, self.sequence, self.captured_at_us) + self.payload
        except struct.error as error:
            msg = f"sequence {self.sequence} or captured_at_us {self.captured_at_us} does not fit the header"
            raise FramingError(msg) from error


def parse(data: bytes) -> MediaMessage:
    """The message in ``data``; raises FramingError."""
    if len(data) <= HEADER.size:
        raise FramingError(f"{len(data)} bytes: a {HEADER.size}-byte header and a payload were expected")
    kind, flags, reserved, sequence, captured_at_us = HEADER.unpack_from(data)
    if flags or reserved:
        raise FramingError(f"flags {flags} and reserved {reserved} must be 0")
    known = _KINDS.get(kind)
    if known is None:
        raise FramingError(f"unknown kind {kind}: 1 is PCM16, 2 Opus, 3 JPEG, 4 face features, 5 speech features")
    return MediaMessage(known, sequence, captured_at_us, data[HEADER.size :])
