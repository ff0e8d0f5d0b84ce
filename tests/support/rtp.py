"""RTP streams for tests: packets made of frames, and what a network does to them."""

import struct
from dataclasses import dataclass

from ingest.webrtc.receiving.jitter_buffer import EncodedFrame
from ingest.webrtc.receiving.packets import RtpPacket

FRAME_TICKS = 6_000
"""A fifteenth of a second at 90 kHz."""

VP8_FIRST, VP8_NEXT = b"\x10", b"\x00"
"""Payload descriptors: a frame's first packet, and others."""


def packet(sequence, timestamp, payload, *, marker=False, ssrc=1, payload_type=96):
    return RtpPacket(marker, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload, b"", 0)


def wire(sequence, timestamp, payload, *, marker=False, ssrc=1, payload_type=96, first=0x80, rest=b""):
    """A packet's bytes; ``first`` holds version, padding, extension and count of sources, ``rest`` what they add."""
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", first, second, sequence, timestamp, ssrc) + rest + payload


@dataclass(frozen=True)
class Sent:
    """One frame as it was sent."""

    data: bytes
    timestamp: int
    packets: list[RtpPacket]


def vp8_stream(sizes, *, sequence=0, timestamp=0, marks=True, key_every=0):
    """Frames of ``sizes`` packets each; the first is a key frame, and each ``key_every``-th from there."""
    frames = []
    for number, size in enumerate(sizes):
        key = number == 0 or (key_every and number % key_every == 0)
        # The first byte of a VP8 frame says in its lowest bit whether it is no key frame.
        parts = [bytes([(0 if key else 1) | (number & 0x7F) << 1, index, number & 0xFF]) for index in range(size)]
        packets = [
            packet(
                sequence + index,
                timestamp,
                (VP8_FIRST if index == 0 else VP8_NEXT) + part,
                marker=marks and index == size - 1,
            )
            for index, part in enumerate(parts)
        ]
        frames.append(Sent(b"".join(parts), timestamp, packets))
        sequence += size
        timestamp += FRAME_TICKS
    return frames


def frames_of(events):
    """The frames among a jitter buffer's events."""
    return [event for event in events if isinstance(event, EncodedFrame)]
