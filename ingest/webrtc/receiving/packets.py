"""RTP packets (RFC 3550) and the payload formats of VP8 (RFC 7741) and H.264 (RFC 6184): bytes to parts. Pure.

Written for the path that every packet takes: one call a packet, no objects but the result.
"""

import struct
from typing import Final, NamedTuple

HEADER_BYTES: Final = 12
ONE_BYTE_PROFILE: Final = 0xBEDE
TWO_BYTE_PROFILE: Final = 0x1000
_HEADER: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")

START_CODE: Final = b"\x00\x00\x00\x01"
SLICES: Final = frozenset({1, 2, 5})
KEY_UNITS: Final = frozenset({5, 7})
"""Slice of an IDR picture, sequence parameter set."""

NAL_STAP_A: Final = 24
NAL_FU_A: Final = 28


class PacketError(ValueError):
    """Bytes that are no packet of the format that they should be in; the message says why."""


class RtpPacket(NamedTuple):
    """A parsed RTP packet."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    extensions: bytes
    """The header extension's elements, unparsed: see :func:`extension`."""
    extension_profile: int


class Piece(NamedTuple):
    """What one packet contributes to a frame."""

    data: bytes
    """For the decoder, to be joined in order."""
    starts: bool
    """Whether a frame can begin here."""
    key: bool
    """Whether this says that its frame can be decoded without earlier ones."""


def parse(data: bytes) -> RtpPacket:
    """Parse an RTP packet; raises PacketError."""
    size = len(data)
    if size < HEADER_BYTES:
        raise PacketError(f"{size} bytes are too few for an RTP header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise PacketError(f"RTP version {first >> 6}")
    at = HEADER_BYTES + 4 * (first & 0x0F)
    extensions, profile = b"", 0
    if first & 0x10:
        if size < at + 4:
            raise PacketError("the header extension is cut off")
        profile, words = _EXTENSION.unpack_from(data, at)
        at += 4
        extensions = data[at : at + 4 * words]
        at += 4 * words
    end = size
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= size - at:
            raise PacketError(f"{padding} bytes of padding in {size - at} of payload")
        end -= padding
    if at > size:
        raise PacketError("the header is longer than the packet")
    payload = data[at:end]
    return RtpPacket(second > 127, second & 0x7F, sequence, timestamp, ssrc, payload, extensions, profile)


def extension(packet: RtpPacket, identifier: int) -> bytes | None:
    """The value of a header extension element (RFC 8285), or None; what is cut off counts as absent."""
    data, size, at = packet.extensions, len(packet.extensions), 0
    two = packet.extension_profile >> 4 == TWO_BYTE_PROFILE >> 4
    if not two and packet.extension_profile != ONE_BYTE_PROFILE:
        return None
    while at < size:
        head = data[at]
        at += 1
        if head == 0:  # padding
            continue
        if two:
            if at >= size:
                return None
            number, length = head, data[at]
            at += 1
        else:
            number, length = head >> 4, (head & 0x0F) + 1
            if number == 15:  # reserved: stop here
                return None
        if number == identifier:
            value = data[at : at + length]
            return value if len(value) == length else None
        at += length
    return None


def vp8(payload: bytes) -> Piece:
    """Take off VP8's payload descriptor (RFC 7741, section 4.2); raises PacketError."""
    size = len(payload)
    if size < 2:
        raise PacketError("a VP8 packet without data")
    first = payload[0]
    at = 1
    if first & 0x80:
        more = payload[1]
        at = 2
        if more & 0x80:  # picture id, one byte or two
            if size <= at:
                raise PacketError("VP8's picture id is cut off")
            at += 2 if payload[at] & 0x80 else 1
        if more & 0x40:  # index of the base layer's picture
            at += 1
        if more & 0x30:  # layer and key index
            at += 1
    if size <= at:
        raise PacketError("a VP8 packet without data")
    starts = first & 0x1F == 0x10  # S set, partition 0
    # The frame tag's lowest bit is 0 in a key frame (RFC 6386, section 9.1).
    return Piece(payload[at:], starts, starts and payload[at] & 1 == 0)


def h264(payload: bytes) -> Piece:
    """One packet as NAL units behind start codes, to be joined in order; raises PacketError.

    Single NAL units, STAP-A and FU-A: what packetization modes 0 and 1 know.
    """
    size = len(payload)
    if size < 2:
        raise PacketError("an H.264 packet without data")
    kind = payload[0] & 0x1F
    if 0 < kind < NAL_STAP_A:
        return Piece(START_CODE + payload, _begins_frame(kind, payload[1]), kind in KEY_UNITS)
    if kind == NAL_FU_A:
        if size < 3:
            raise PacketError("an H.264 fragment without data")
        head = payload[1]
        if not head & 0x80:
            return Piece(payload[2:], False, False)
        inner = head & 0x1F
        unit_head = bytes((payload[0] & 0xE0 | inner,))
        return Piece(START_CODE + unit_head + payload[2:], _begins_frame(inner, payload[2]), inner in KEY_UNITS)
    if kind != NAL_STAP_A:
        raise PacketError(f"H.264 packet type {kind} is not supported")
    units: list[bytes] = []
    starts, key, at = False, False, 1
    while at < size:
        length = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + length]
        if length < 2 or len(unit) < length:
            raise PacketError("an H.264 aggregation packet is cut off")
        kind = unit[0] & 0x1F
        starts = starts or (at == 1 and _begins_frame(kind, unit[1]))
        key = key or kind in KEY_UNITS
        units += (START_CODE, unit)
        at += 2 + length
    return Piece(b"".join(units), starts, key)


def _begins_frame(kind: int, first: int) -> bool:
    """Whether a picture can begin with this unit: parameters and the like, or a slice of macroblock 0.

    ``first`` is the byte after the unit's header: a slice's begins with first_mb_in_slice, and 0 is coded as one set
    bit (ITU-T H.264, sections 7.3.3 and 9.1).
    """
    return kind not in SLICES or first & 0x80 != 0


def whole(payload: bytes) -> Piece:
    """A payload that is a frame by itself: audio."""
    return Piece(payload, True, True)
