"""What a reception hands on, and to whom."""

from dataclasses import dataclass
from typing import Protocol

from schemas.vocabulary import Modality, Outcome


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded video frame as a JPEG (full range, 4:2:0)."""

    jpeg: bytes
    width: int
    height: int
    timestamp: int
    """RTP timestamp, unwrapped: 90 kHz, never wraps, from an arbitrary start of the sender's."""
    received_us: int
    """When the frame's first packet arrived, on the edge's clock."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of one RTP packet: PCM16 little-endian, mono, 16 kHz."""

    pcm: bytes
    timestamp: int
    """RTP timestamp, unwrapped, in ``clock_rate_hz``."""
    clock_rate_hz: int
    received_us: int
    """When its packet arrived, on the edge's clock."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The sender's word on which of its timestamps belongs to which instant of its clock (RFC 3550, section 6.4.1)."""

    modality: Modality
    ntp_us: int
    """Microseconds since the Unix epoch on the sender's clock."""
    timestamp: int
    """The RTP timestamp of that instant, unwrapped as those of pictures and sound."""
    received_us: int


class Sink(Protocol):
    """Takes what a reception brings. Every call is made in the event loop's thread, and must not block."""

    def picture(self, picture: Picture) -> None:
        """Take a picture; they come in the order of their timestamps."""
        ...

    def sound(self, sound: Sound) -> None:
        """Take a piece of sound; they come in the order of their timestamps, with gaps where packets were lost."""
        ...

    def dropped(self, modality: Modality, outcome: Outcome, count: int) -> None:
        """``count`` frames arrived, at least in part, but will not be handed on."""
        ...

    def sender_report(self, report: SenderReport) -> None:
        """Learn how the sender's timestamps lie on its clock; from each stream about once a second or less often."""
        ...

    def heard(self) -> None:
        """The peer said something that is no media."""
        ...

    def ended(self, modality: Modality) -> None:
        """No more will come of this modality; called once."""
        ...
