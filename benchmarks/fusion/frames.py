"""Frames read back from Kafka: complete, in order, and compared by value."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.fusion.signals import session_ids
from benchmarks.processes import CandidateError
from schemas.bulk import derive_layout
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.varints import read_instants, read_varints

SESSION_DIGITS: Final = len(session_ids(1)[0])
WEIGHTS: Final = ("emotions", "levels", "aus", "blendshapes", "visemes")
"""Fields of uint8."""
NUMBERS: Final = ("affect", "angles")
"""Fields of int16."""
EQUAL: Final = ("discontinuity", "face_live", "speech_live", "viseme_mouth", "mapping")
"""Fields that have no steps between them. Hop stamps and what closed a tick say how, not what, and are left out."""


class FrameReader:
    """Collects messages of ``avatar.frames``; see :func:`benchmarks.fusion.kafka_log.read_frames`."""

    def __init__(self) -> None:
        layout = derive_layout("AvatarFrame", Codec().prefix(AvatarFrame))
        self._dtype = layout.dtype
        self._marker_at, self._marker = layout.marker_at, layout.marker
        self._bodies: list[bytes] = []
        self._numbers: list[npt.NDArray[np.int64]] = []
        self._sessions: list[int] = []
        self._written_ms: list[int] = []

    def take(self, messages: list[Any]) -> None:
        """Take messages, in log order; CandidateError if one is no frame."""
        size = self._dtype.itemsize
        values: list[bytes] = [message.value() for message in messages]
        body = b"".join([value[:size] for value in values])
        if len(body) != size * len(values):
            raise CandidateError("a record of avatar.frames is too short")
        raw = np.frombuffer(body, np.uint8).reshape(-1, size)
        if not (raw[:, self._marker_at] == self._marker).all():
            raise CandidateError("a record of avatar.frames is no frame")
        tails = [value[size:] for value in values]
        ends = np.cumsum([len(tail) for tail in tails])
        numbers, _, good = read_varints(
            np.frombuffer(b"".join(tails) + bytes(10), np.uint8), np.concatenate(([0], ends[:-1])), ends
        )
        if not good.all():
            raise CandidateError("a record of avatar.frames has no sequence")
        self._bodies.append(body)
        self._numbers.append(numbers)
        # The session stands last; not every peer writes it as the key, too.
        self._sessions += [int(value[-SESSION_DIGITS:], 16) for value in values]
        self._written_ms += [message.timestamp()[1] for message in messages]

    def frames(self) -> "Frames":
        """Everything taken, by session and sequence."""
        body = np.frombuffer(b"".join(self._bodies), self._dtype)
        sequence = np.concatenate(self._numbers) if self._numbers else np.zeros(0, np.int64)
        session = np.array(self._sessions, np.int64)
        order = np.lexsort((sequence, session))
        return Frames(session[order], sequence[order], body[order], np.array(self._written_ms, np.int64)[order])


@dataclass(frozen=True)
class Frames:
    """Frames sorted by session and sequence."""

    session: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]
    body: npt.NDArray[np.void]
    written_ms: npt.NDArray[np.int64]
    """Kafka's timestamps."""

    def __len__(self) -> int:
        return len(self.session)

    @property
    def instants_us(self) -> npt.NDArray[np.int64]:
        """The ticks' instants."""
        return read_instants(np.ascontiguousarray(self.body["captured_at_us"]))[0]

    def missing(self, sessions: int, each: int) -> int:
        """Frames of ``sessions`` sessions with sequences 0 to ``each`` - 1 that are not there.

        Raises CandidateError if one is there twice, or does not belong there.
        """
        number = self.session * each + self.sequence
        if len(np.unique(number)) != len(number):
            raise CandidateError(f"{len(number) - len(np.unique(number))} frames were written twice")
        if len(number) and (self.sequence.min() < 0 or self.sequence.max() >= each or self.session.max() >= sessions):
            extra = int(((self.sequence < 0) | (self.sequence >= each) | (self.session >= sessions)).sum())
            raise CandidateError(f"{extra} frames are none of the {sessions} sessions' {each} ticks")
        return sessions * each - len(number)


@dataclass(frozen=True)
class Difference:
    """How two sets of frames differ where both have one."""

    compared: int
    differing: int
    """Frames in which any value differs."""
    largest_step: int
    """Largest difference of any value, in steps of its quantisation."""
    unequal: int
    """Frames in which a flag, the mapping or the instant differs."""


def compare(one: Frames, other: Frames) -> Difference:
    """Compare the values of the frames that both have."""
    a, b = _common(one, other)
    first, second = one.body[a], other.body[b]
    differing = np.zeros(len(a), np.bool_)
    unequal = np.zeros(len(a), np.bool_)
    largest = 0
    for name in (*WEIGHTS, *NUMBERS):
        left, right = (_integers(part[name], signed=name in NUMBERS) for part in (first, second))
        steps = np.abs(left - right)
        differing |= steps.any(axis=1)
        largest = max(largest, int(steps.max(initial=0)))
    for name in EQUAL:
        unequal |= first[name] != second[name]
    unequal |= first["captured_at_us"] != second["captured_at_us"]
    return Difference(len(a), int(differing.sum()), largest, int(unequal.sum()))


def _integers(packed: npt.NDArray[np.uint8], *, signed: bool) -> npt.NDArray[np.int32]:
    plain = np.ascontiguousarray(packed)
    return plain.view("<i2").astype(np.int32) if signed else plain.astype(np.int32)


def _common(one: Frames, other: Frames) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    each = 1 + int(max(one.sequence.max(initial=0), other.sequence.max(initial=0)))
    _, a, b = np.intersect1d(
        one.session * each + one.sequence, other.session * each + other.sequence, return_indices=True
    )
    return a, b
