"""RTP packets to complete encoded frames. Pure: instants are arguments, in microseconds.

A video frame is complete with the packet that carries the marker bit (RFC 3550, section 5.1; RFC 7741, section 4.1;
RFC 6184, section 5.1), so it is released with that packet, rather than at the next frame's first one, which comes a
frame's duration later. What does not mark its frames' ends, or marks elsewhere, is released by the next timestamp.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ingest.webrtc.receiving.packet_order import Lost, PacketOrder
from ingest.webrtc.receiving.packets import PacketError, Piece, RtpPacket

MAX_FRAME_BYTES: Final = 2_000_000
"""No frame of a camera at the sizes that are taken comes near it."""

TIMESTAMP_MODULUS: Final = 1 << 32
REMEMBERED: Final = 256
"""Frames that late packets may still belong to."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame for a decoder."""

    data: bytes
    timestamp: int
    """RTP timestamp, unwrapped."""
    key: bool
    """Whether it can be decoded without earlier ones."""
    received_us: int
    """When its first packet arrived, of those that came in order."""


Event = EncodedFrame | Lost
"""What comes out: frames, and where something is missing between two of them, a ``Lost``."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long a buffer holds."""

    packets: int
    """At most so many packets wait for missing ones; a jump ahead by more is an outage, not a gap."""
    wait_us: int
    """At most so long."""
    whole: bool = False
    """Whether each packet is a frame, whatever its marker says."""


VIDEO: Final = Limits(packets=512, wait_us=120_000)
"""Long enough for a retransmission or two; what is still missing then costs a key frame."""

AUDIO: Final = Limits(packets=16, wait_us=40_000, whole=True)
"""Sound is not sent again: only reordering is mended. Its markers mean that speech begins (RFC 3551, section 4.1)."""


class JitterBuffer:
    """One stream's packets to frames, in order, each at most once."""

    def __init__(self, piece: Callable[[bytes], Piece], limits: Limits) -> None:
        """``piece`` parses a payload of the stream's codec; it may raise PacketError."""
        self.order: PacketOrder[tuple[RtpPacket, int]] = PacketOrder(limits.packets, limits.wait_us)
        self._piece = piece
        self._wait_us = limits.wait_us
        self._whole = limits.whole
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = 0
        self._key = False
        self._received_us = 0
        self._last_us = 0
        self._aligned = False
        """Whether nothing is missing before the next packet."""
        self._done: int | None = None
        """Timestamp of the frame that was released or given up last: more of it is of no use."""
        self._released = False
        self._trusted = True
        """Whether markers are believed: not once one came before its frame's end."""
        self._unmarked = False
        """Whether this sender's frames end without a marker."""
        self._unwrapped: int | None = None
        self._settled: OrderedDict[int, None] = OrderedDict()
        """Timestamps of the latest frames that were released or counted as broken."""
        self.malformed = 0
        self.broken = 0
        """Frames of which something arrived, but not all in time."""

    def put(self, packet: RtpPacket, now_us: int) -> list[Event]:
        """Take a packet; returns the frames and losses that this settles."""
        late = self.order.late
        events = self._take(self.order.put(packet.sequence, (packet, now_us), now_us))
        if self.order.late > late and packet.payload and packet.timestamp not in self._settled:
            self.broken += 1  # all that ever came of it came after it was given up
            self._settle(packet.timestamp)
        return events

    def due(self, now_us: int) -> list[Event]:
        """What is settled by time alone; to be called while :attr:`waiting`."""
        events = self._take(self.order.due(now_us))
        if self._parts and self._unmarked and not 0 <= now_us - self._last_us < self._wait_us:
            events.append(self._release())
        return events

    @property
    def waiting(self) -> bool:
        """Whether time alone may settle something."""
        return self.order.waiting or (self._unmarked and bool(self._parts))

    def unwrap(self, timestamp: int) -> int:
        """A timestamp near the stream's newest one, unwrapped."""
        if self._unwrapped is None:
            return timestamp
        ahead = (timestamp - self._unwrapped) % TIMESTAMP_MODULUS
        return self._unwrapped + (ahead if ahead < TIMESTAMP_MODULUS // 2 else ahead - TIMESTAMP_MODULUS)

    def _take(self, items: Iterable[tuple[RtpPacket, int] | Lost]) -> list[Event]:
        events: list[Event] = []
        for item in items:
            if isinstance(item, Lost):
                self._abandon(events, item)
            elif item[0].payload:  # without one it is padding, by which senders probe the network
                self._add(events, *item)
        return events

    def _add(self, events: list[Event], packet: RtpPacket, arrived_us: int) -> None:
        timestamp = packet.timestamp
        if self._parts and timestamp != self._timestamp:
            self._unmarked = True
            events.append(self._release())
        if not self._parts and timestamp == self._done:
            if self._released:
                # The marker came before the frame's end: this sender's markers say nothing.
                self._trusted = False
                self._unmarked = True
                self._released = False
                events.append(Lost(0))
            return
        try:
            piece = self._piece(packet.payload)
        except PacketError:
            self.malformed += 1
            self._give_up_frame(events, timestamp, Lost(0))
            return
        if not self._parts:
            if not piece.starts:
                # Behind a gap this is the rest of what the gap began with, and has been reported with it.
                self._give_up_frame(events, timestamp, Lost(0) if self._aligned else None)
                return
            self._timestamp = timestamp
            self._received_us = arrived_us
        self._aligned = True
        self._parts.append(piece.data)
        self._size += len(piece.data)
        self._key = self._key or piece.key
        self._last_us = arrived_us
        if self._size > MAX_FRAME_BYTES:
            self._give_up_frame(events, timestamp, Lost(0))
        elif self._whole or (packet.marker and self._trusted):
            self._unmarked = False
            events.append(self._release())

    def _release(self) -> EncodedFrame:
        self._unwrapped = self.unwrap(self._timestamp)
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        frame = EncodedFrame(data, self._unwrapped, self._key, self._received_us)
        self._forget(self._timestamp, released=True)
        return frame

    def _settle(self, timestamp: int) -> None:
        self._settled[timestamp] = None
        if len(self._settled) > REMEMBERED:
            self._settled.popitem(last=False)

    def _forget(self, timestamp: int, *, released: bool) -> None:
        self._settle(timestamp)
        self._done, self._released = timestamp, released
        self._parts = []
        self._size = 0
        self._key = False

    def _abandon(self, events: list[Event], lost: Lost) -> None:
        """Packets are missing: a frame of which there is a part cannot be completed."""
        if self._parts:
            self.broken += 1
            self._forget(self._timestamp, released=False)
        else:
            self._released = False
        self._aligned = False
        events.append(lost)

    def _give_up_frame(self, events: list[Event], timestamp: int, lost: Lost | None) -> None:
        """Skip the rest of a frame."""
        if timestamp not in self._settled:
            self.broken += 1
        self._forget(timestamp, released=False)
        if lost is not None:
            events.append(lost)
