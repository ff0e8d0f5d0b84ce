"""Frames of the log by the hundred: cut at once, with the very results of :class:`egress.frames.FrameReader`.

A frame takes the interpreter some forty steps to check and cut. A thousand frames take numpy about as many steps in
all: a column at a time is checked, and copied to where it stands in the packed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from egress.frames import HEAD, LONGEST_NAME, RELAYED, VARINT_BYTES, Cuts, Frame, FrameReader, LogFrame
from egress.packed import DISCONTINUITY, FACE_LIVE, FRAME_BYTES, SPEECH_LIVE, VERSION, VISEME_MOUTH
from schemas.codec import Codec, DecodeError
from schemas.varints import read_instants

Bytes = npt.NDArray[np.uint8]

PACKED_HEAD: Final = np.dtype(
    {
        "names": ["version", "flags", "name_length", "sequence", "captured_at_us", "fused_ms"],
        "formats": ["u1", "u1", "u1", "<u4", "<i8", "<f4"],
        "offsets": [0, 1, 2, 4, 8, 16],
        "itemsize": FRAME_BYTES,
    }
)
"""The beginning of a packed frame."""
_BODY_AT: Final = HEAD.size + RELAYED.size
"""Behind the moment of relaying, which is not known yet."""
_FLAGS: Final = np.array([DISCONTINUITY, FACE_LIVE, SPEECH_LIVE, VISEME_MOUTH], np.uint8)
_LARGEST_MAPPING: Final = 4
TOGETHER_FROM: Final = 32
"""Fewer frames than this are quicker one by one."""
REMEMBERED_NAMES: Final = 65_536
"""Sessions' ids that are not looked at again; all are forgotten when there are more."""


@dataclass(frozen=True, slots=True)
class FrameColumns:
    """Frames that are laid out as expected, a row each, in the order of the log; those asked for are made then."""

    ids: Sequence[str]
    """Their sessions."""
    packed: Bytes
    """(n, FRAME_BYTES): the packed form without the session's id; the moment of relaying is not known yet."""
    names: Bytes
    """The sessions' ids, one behind the other."""
    ends: npt.NDArray[np.int64]
    """Where each of those ends."""
    fused_at_us: Sequence[int]
    values: Sequence[bytes]
    codec: Codec

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def heads(self) -> npt.NDArray[np.void]:
        """The beginnings of the packed frames, as PACKED_HEAD."""
        return self.packed.view(PACKED_HEAD).ravel()

    def frame(self, row: int) -> LogFrame:
        """The frame in a row."""
        data, head, session_id = self.packed[row].tobytes(), self.heads[row], self.ids[row]
        return LogFrame(
            session_id=session_id,
            sequence=int(head["sequence"]),
            captured_at_us=int(head["captured_at_us"]),
            fused_at_us=self.fused_at_us[row],
            head=data[: HEAD.size],
            body=data[_BODY_AT:] + session_id.encode("ascii"),
            value=self.values[row],
            codec=self.codec,
        )


class BatchReader:
    """Reads values of the topic ``avatar.frames``, many at a time."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._one = FrameReader(codec)
        self._cuts = Cuts(codec)
        self._width = self._cuts.size + VARINT_BYTES + 1
        """As much of each value is looked at here: behind it comes nothing but the session's id."""
        self._names: dict[bytes, str] = {}

    def read(
        self, values: Sequence[bytes | None], fused_at_us: Sequence[int]
    ) -> FrameColumns | list[Frame | DecodeError]:
        """The frames in ``values``; where not all can be told alike, each by itself, or why there is none."""
        width = self._width
        if len(values) < TOGETHER_FROM:
            return [self._read_one(value, at_us) for value, at_us in zip(values, fused_at_us, strict=True)]
        long_enough = [value if value is not None and len(value) >= width else bytes(width) for value in values]
        columns, fits = self._cut(long_enough, fused_at_us)
        if all(fits):
            return columns
        return [
            columns.frame(row) if fitting else self._read_one(value, at_us)
            for row, (fitting, value, at_us) in enumerate(zip(fits, values, fused_at_us, strict=True))
        ]

    def _read_one(self, value: bytes | None, fused_at_us: int) -> Frame | DecodeError:
        try:
            return self._one.read(value, fused_at_us)
        except DecodeError as error:
            return error

    def _cut(self, values: Sequence[bytes], fused_at_us: Sequence[int]) -> tuple[FrameColumns, Sequence[bool]]:
        """The frames, and which of them are laid out as expected: the other rows are nothing."""
        width, cuts = self._width, self._cuts
        rows = np.frombuffer(b"".join([value[:width] for value in values]), np.uint8).reshape(-1, width)
        fused_us = np.array(fused_at_us, np.int64)
        captured_us, fits = read_instants(np.ascontiguousarray(rows[:, cuts.captured]).view("<u8").ravel())
        sequence, names_at, sequence_fits = _sequences(rows[:, cuts.size : cuts.size + VARINT_BYTES])
        names_at += cuts.size + 1
        lengths = rows[np.arange(len(rows)), names_at - 1]
        flags = rows[:, cuts.flags]
        early, mapping = rows[:, cuts.rest].T
        fits &= sequence_fits & (captured_us >= 0)
        fits &= (rows[:, cuts.layout.marker_at] == cuts.layout.marker).all(axis=1)
        fits &= (flags <= 1).all(axis=1)
        fits &= (early <= 1) & (mapping <= _LARGEST_MAPPING) & (mapping & 1 == 0)
        fits &= (lengths <= 2 * LONGEST_NAME) & (lengths & 1 == 0)

        packed = np.empty((len(rows), FRAME_BYTES), np.uint8)
        head = packed.view(PACKED_HEAD).ravel()
        packed[:, 3] = 0
        head["version"] = VERSION
        head["flags"] = flags @ _FLAGS
        head["name_length"] = lengths >> 1
        head["sequence"] = sequence
        head["captured_at_us"] = captured_us
        head["fused_ms"] = (fused_us - captured_us) / 1_000
        at = _BODY_AT
        for part in cuts.body:
            end = at + part.stop - part.start
            packed[:, at:end] = rows[:, part]
            at = end
        assert at == FRAME_BYTES

        names = [value[at:] for value, at in zip(values, names_at.tolist(), strict=True)]
        ids = [self._names.get(name) or self._learnt(name) for name in names]
        # Not one that this knows: the frame is read by itself, and this row of no account.
        fits &= np.fromiter(map(bool, ids), np.bool_, len(ids))
        fits &= np.fromiter(map(len, names), np.intp, len(names)) == lengths >> 1
        columns = FrameColumns(
            ids,
            packed,
            np.frombuffer(b"".join(names), np.uint8),
            np.cumsum(lengths >> 1, dtype=np.int64),
            fused_at_us,
            values,
            self._codec,
        )
        return columns, fits.tolist()

    def _learnt(self, name: bytes) -> str:
        """The session's id in ``name``; empty: not one that is looked for here."""
        if len(name) > LONGEST_NAME or not name.isascii():
            return ""
        if len(self._names) >= REMEMBERED_NAMES:
            self._names.clear()
        return self._names.setdefault(name, name.decode("ascii"))


def _sequences(
    data: Bytes,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Varints of up to four bytes, a row each: values that are not negative, lengths, and which are such."""
    goes_on = np.logical_and.accumulate(data >= 0x80, axis=1)
    length = 1 + goes_on.sum(axis=1)
    groups = (data & 0x7F).astype(np.int64)
    groups[:, 1:] *= goes_on[:, :-1]
    value = groups @ (1 << (7 * np.arange(VARINT_BYTES)))
    fits = ~goes_on[:, -1] & (value & 1 == 0)
    return value >> 1, np.minimum(length, VARINT_BYTES), fits
