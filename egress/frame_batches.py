"""Frames of the log by the hundred: cut at once, with the very results of :class:`egress.frames.FrameReader`.

A frame takes the interpreter some forty steps to check and cut. A thousand frames take numpy about as many steps in
all: a column at a time is checked, and copied to where it stands in the packed form.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from egress.frames import LONGEST_NAME, VARINT_BYTES, Cuts, Frame, FrameReader, LogFrame
from egress.packed import DISCONTINUITY, FACE_LIVE, FRAME_BYTES, SPEECH_LIVE, VERSION, VISEME_MOUTH
from schemas.bulk import read_instants
from schemas.codec import Codec, DecodeError

Bytes = npt.NDArray[np.uint8]

_HEAD: Final = np.dtype(
    {
        "names": ["version", "flags", "name_length", "sequence", "captured_at_us", "fused_ms"],
        "formats": ["u1", "u1", "u1", "<u4", "<i8", "<f4"],
        "offsets": [0, 1, 2, 4, 8, 16],
        "itemsize": FRAME_BYTES,
    }
)
"""The beginning of a packed frame."""
_HEAD_BYTES: Final = 20
_BODY_AT: Final = 24
"""Behind the moment of relaying, which is not known yet."""
_FLAGS: Final = np.array([DISCONTINUITY, FACE_LIVE, SPEECH_LIVE, VISEME_MOUTH], np.uint8)
_LARGEST_MAPPING: Final = 4
TOGETHER_FROM: Final = 32
"""Fewer frames than this are quicker one by one."""
REMEMBERED_NAMES: Final = 65_536
"""Sessions' ids that are not looked at again; all are forgotten when there are more."""


class BatchReader:
    """Reads values of the topic ``avatar.frames``, many at a time."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._one = FrameReader(codec)
        self._cuts = Cuts(codec)
        markers = [*enumerate(self._cuts.prefix), *self._cuts.markers]
        self._marker_at = np.array([at for at, _ in markers], np.intp)
        self._marker = np.array([value for _, value in markers], np.uint8)
        self._width = self._cuts.size + VARINT_BYTES + 1
        """As much of each value is looked at here: behind it comes nothing but the session's id."""
        self._names: dict[bytes, str] = {}

    def read(self, values: Sequence[bytes | None], fused_at_us: Sequence[int]) -> list[Frame | DecodeError]:
        """The frame in each value, or why there is none."""
        frames: list[Frame | DecodeError | None] = [None] * len(values)
        width = self._width
        fitting = [number for number, value in enumerate(values) if value is not None and len(value) >= width]
        if len(fitting) >= TOGETHER_FROM:
            self._cut([(number, values[number] or b"") for number in fitting], fused_at_us, frames)
        return [
            frame if frame is not None else self._read_one(value, at_us)
            for frame, value, at_us in zip(frames, values, fused_at_us, strict=True)
        ]

    def _read_one(self, value: bytes | None, fused_at_us: int) -> Frame | DecodeError:
        try:
            return self._one.read(value, fused_at_us)
        except DecodeError as error:
            return error

    def _cut(
        self,
        values: Sequence[tuple[int, bytes]],
        fused_at_us: Sequence[int],
        frames: list[Frame | DecodeError | None],
    ) -> None:
        """Put the frames whose bytes are laid out as expected in their places."""
        width = self._width
        rows = np.frombuffer(b"".join([value[:width] for _, value in values]), np.uint8).reshape(-1, width)
        numbers = [number for number, _ in values]
        fused_us = np.array(fused_at_us, np.int64)[numbers]
        cuts = self._cuts
        captured_us, fits = read_instants(np.ascontiguousarray(rows[:, cuts.captured]).view("<u8").ravel())
        sequence, names_at, sequence_fits = _sequences(rows[:, cuts.size : cuts.size + VARINT_BYTES])
        names_at += cuts.size + 1
        lengths = rows[np.arange(len(rows)), names_at - 1]
        flags = rows[:, cuts.flags]
        early, mapping = rows[:, cuts.rest].T
        fits &= sequence_fits & (captured_us >= 0)
        fits &= (rows[:, self._marker_at] == self._marker).all(axis=1)
        fits &= (flags <= 1).all(axis=1)
        fits &= (early <= 1) & (mapping <= _LARGEST_MAPPING) & (mapping & 1 == 0)
        fits &= (lengths <= 2 * LONGEST_NAME) & (lengths & 1 == 0)

        packed = np.empty((len(rows), FRAME_BYTES), np.uint8)
        head = packed.view(_HEAD).ravel()
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

        data, start = packed.tobytes(), 0
        codec, names = self._codec, self._names
        columns = (
            sequence.tolist(),
            captured_us.tolist(),
            fused_us.tolist(),
            names_at.tolist(),
            (lengths >> 1).tolist(),
        )
        for (number, value), known, *rest in zip(values, fits.tolist(), *columns, strict=True):
            if known:
                number_of, captured, fused, name_at, length = rest
                name = value[name_at:]
                session_id = names.get(name)
                if session_id is None:
                    session_id = self._learnt(name)
                if session_id and len(name) == length:
                    frames[number] = LogFrame(
                        codec,
                        value,
                        head=data[start : start + _HEAD_BYTES],
                        body=data[start + _BODY_AT : start + FRAME_BYTES] + name,
                        session_id=session_id,
                        sequence=number_of,
                        captured_at_us=captured,
                        fused_at_us=fused,
                    )
            start += FRAME_BYTES

    def _learnt(self, name: bytes) -> str:
        """The session's id in ``name``; empty: not one that is looked for here."""
        if len(self._names) >= REMEMBERED_NAMES:
            self._names.clear()
        session_id = name.decode("ascii") if name.isascii() and len(name) <= LONGEST_NAME else ""
        self._names[name] = session_id
        return session_id


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
