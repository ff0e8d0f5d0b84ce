"""Frames as they stand in the log: what every viewer needs is read at once, the rest when somebody asks for it.

A frame has one byte layout up to its number (:mod:`schemas.bulk`), and the packed form that viewers get holds the
same bytes in another order. So a frame on its way from the log to a viewer is checked and cut, not decoded: that
costs a fifth. What does not match the layout (an older schema, another framing) is decoded.
"""

import struct
from typing import Final, NamedTuple, Protocol

from egress.packed import DISCONTINUITY, FACE_LIVE, SPEECH_LIVE, VERSION, VISEME_MOUTH, pack
from egress.projection import Instants
from schemas.bulk import derive_layout
from schemas.codec import Codec, DecodeError
from schemas.records import AvatarFrame
from schemas.varints import instant

HEAD: Final = struct.Struct("<BBBxIqf")
"""A packed frame up to ``fused``; :data:`RELAYED` follows, and then what the log says."""

RELAYED: Final = struct.Struct("<f")
VARINT_BYTES: Final = 4
"""A frame's number in Avro has no more: that is 51 days of 30 a second. Later ones are decoded."""
MOST_FRAMES: Final = (1 << 32) - 1
LONGEST_NAME: Final = 63
"""So that its length takes one byte; an edge's session ids have 36."""


class Frame(Protocol):
    """One frame of a session."""

    @property
    def session_id(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def captured_at_us(self) -> int: ...
    @property
    def fused_at_us(self) -> int:
        """When fusion published it, which is its record's Kafka timestamp (milliseconds)."""
        ...

    def record(self) -> AvatarFrame:
        """All of it."""
        ...

    def packed(self, relayed_at_us: int) -> bytes:
        """What :func:`egress.packed.pack` makes of it."""
        ...


class DecodedFrame:
    """A frame that has been decoded."""

    __slots__ = ("_record", "captured_at_us", "fused_at_us", "sequence", "session_id")

    def __init__(self, record: AvatarFrame, fused_at_us: int) -> None:
        self._record = record
        self.fused_at_us = fused_at_us
        self.session_id = record.session_id
        self.sequence = record.sequence
        self.captured_at_us = record.captured_at_us

    def record(self) -> AvatarFrame:
        return self._record

    def packed(self, relayed_at_us: int) -> bytes:
        return pack(self._record, Instants(self.fused_at_us, relayed_at_us))


class LogFrame(NamedTuple):
    """A frame whose bytes are known to match the layout. A tuple, as those are made quickest."""

    session_id: str
    sequence: int
    captured_at_us: int
    fused_at_us: int
    head: bytes
    """The packed form up to the moment of relaying."""
    body: bytes
    """What follows that in the packed form."""
    value: bytes
    codec: Codec

    def record(self) -> AvatarFrame:
        return self.codec.decode(AvatarFrame, self.value)

    def packed(self, relayed_at_us: int) -> bytes:
        return b"".join((self.head, RELAYED.pack((relayed_at_us - self.captured_at_us) / 1_000), self.body))


class Cuts:
    """Where the parts of a frame lie in its bytes."""

    def __init__(self, codec: Codec) -> None:
        self.prefix = codec.prefix(AvatarFrame)
        layout = self.layout = derive_layout("AvatarFrame", self.prefix)
        assert layout.dtype.fields is not None
        self.size = layout.dtype.itemsize
        place = {name: (int(at), kind.itemsize) for name, (kind, at, *_) in layout.dtype.fields.items()}

        def cut(first: str, last: str = "") -> slice:
            at, size = place[last or first]
            return slice(place[first][0], at + size)

        self.captured = cut("captured_at_us")
        self.markers = [
            (at, value)
            for at, value in zip(layout.marker_at.tolist(), layout.marker.tolist(), strict=True)
            if at >= len(self.prefix)
        ]
        self.flags = cut("discontinuity", "viseme_mouth")
        assert self.flags.stop - self.flags.start == 4
        self.rest = cut("closed_by_max_wait", "mapping")
        assert self.rest.stop - self.rest.start == 2
        assert self.rest.stop == self.size
        # In the order of the packed form; levels and action units, blendshapes and visemes are neighbours in both.
        self.body = (
            cut("face_hops_ms"),
            cut("speech_hops_ms"),
            cut("emotions"),
            cut("levels", "aus"),
            cut("blendshapes", "visemes"),
            cut("affect"),
            cut("angles"),
        )


_FLAGS: Final = {
    bytes((jump, face, speech, mouth)): DISCONTINUITY * jump
    | FACE_LIVE * face
    | SPEECH_LIVE * speech
    | VISEME_MOUTH * mouth
    for jump in (0, 1)
    for face in (0, 1)
    for speech in (0, 1)
    for mouth in (0, 1)
}
_RESTS: Final = frozenset(bytes((early, mapping)) for early in (0, 1) for mapping in (0, 2, 4))
"""``closed_by_max_wait`` and ``mapping``: enumerations are zigzag."""
_LENGTHS: Final = tuple(bytes((2 * length,)) for length in range(LONGEST_NAME + 1))


class FrameReader:
    """Reads values of the topic ``avatar.frames``, one at a time."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._cuts = Cuts(codec)

    def read(self, value: bytes | None, fused_at_us: int) -> Frame:
        """The frame in ``value``; raises DecodeError."""
        cut = self._cut(value, fused_at_us) if value else None
        return cut or DecodedFrame(_numbered(self._codec.decode(AvatarFrame, value)), fused_at_us)

    def _cut(self, value: bytes, fused_at_us: int) -> LogFrame | None:
        """None: the bytes are not laid out as expected."""
        cuts = self._cuts
        size = cuts.size
        if len(value) < size + 2 or not value.startswith(cuts.prefix) or value[cuts.rest] not in _RESTS:
            return None
        for at, marker in cuts.markers:
            if value[at] != marker:
                return None
        flags = _FLAGS.get(value[cuts.flags])
        captured_us = instant(int.from_bytes(value[cuts.captured], "little"))
        if flags is None or captured_us is None:
            return None
        sequence, shift, at = 0, 0, size
        for byte in value[size : size + VARINT_BYTES]:
            sequence |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if byte < 0x80:
                break
        else:
            return None
        name = value[at + 1 :]
        if sequence & 1 or len(name) > LONGEST_NAME or value[at : at + 1] != _LENGTHS[len(name)] or not name.isascii():
            return None
        sequence >>= 1
        return LogFrame(
            session_id=name.decode("ascii"),
            sequence=sequence,
            captured_at_us=captured_us,
            fused_at_us=fused_at_us,
            head=HEAD.pack(VERSION, flags, len(name), sequence, captured_us, (fused_at_us - captured_us) / 1_000),
            body=b"".join((*[value[part] for part in cuts.body], name)),
            value=value,
            codec=self._codec,
        )


def _numbered(frame: AvatarFrame) -> AvatarFrame:
    """The frame; raises DecodeError if its number is none that viewers could be told (docs/protocol.md)."""
    if not 0 <= frame.sequence <= MOST_FRAMES:
        raise DecodeError(f"frame {frame.sequence}: numbers from 0 to {MOST_FRAMES} were expected")
    return frame
