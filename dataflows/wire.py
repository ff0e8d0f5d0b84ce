"""Avro at compiled speed: signals' bytes to arrays, frames' arrays to bytes.

The layouts are those that :mod:`schemas.bulk` derives from the schemas, and what does not match one goes there, to
be read with the same result; so this reads and writes exactly what fastavro does.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dataflows.compiled import compiled
from dataflows.layout import (
    F_DETECTED,
    F_TRACK,
    F_WIDTH,
    FACE,
    FLAG_CLOSED_BY,
    FLAG_MAPPING,
    FRAMES,
    N_HOPS,
    S_WIDTH,
    SPEECH,
    Int64s,
    Output,
)
from dataflows.roster import Names
from schemas.bulk import (
    ARRAY_LENGTHS,
    FACE_COLUMNS,
    SPEECH_COLUMNS,
    UNREADABLE,
    Layout,
    SignalBatch,
    SignalBatchReader,
    derive_layout,
)
from schemas.codec import Codec
from schemas.records import AvatarFrame, Signal

Bytes = npt.NDArray[np.uint8]

VARINT_BYTES: Final = 9
"""Longer ones do not fit 63 bits."""
INSTANT_BYTES: Final = 8
FLOAT_BYTES: Final = 4
FLAGS_BEHIND: Final = 5
"""A frame's booleans, which stand before the mapping."""


class Plan(NamedTuple):
    """How one kind of signal lies in its bytes."""

    size: int  # bytes before the first field of variable size
    marker_at: Int64s
    marker: Bytes
    flags_at: Int64s
    instants_at: int
    runs: Int64s  # (n, 3): place in the record, place in the sample's row, length; all in bytes
    integers: int  # before the sequence


class FramePlan(NamedTuple):
    """How a frame lies in its bytes."""

    blank: Bytes  # the fixed beginning with its markers
    instant_at: int
    hops_at: Int64s  # by modality
    emotions_at: int
    affect_at: int
    levels_at: int
    aus_at: int
    angles_at: int
    blendshapes_at: int
    visemes_at: int
    flags_at: int  # the booleans, then the mapping


@compiled
def put(values: Any, out: Any, at: int) -> None:
    """Copy ``values`` (bytes) to ``out[at:]``."""
    # Slices, here and below: an index that might be negative would keep the compiler from copying by the register.
    target = out[at : at + len(values)]
    for j in range(len(values)):
        target[j] = values[j]


@compiled
def read_varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """The zigzag varint at ``at`` and the place behind it, or -1 if it does not end before ``end`` in 63 bits."""
    value: Any = np.int64(0)
    for group in range(VARINT_BYTES):
        if at >= end:
            return 0, -1
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 0x7F) << (7 * group)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
    return 0, -1


@compiled
def write_varint(value: int, out: Any, at: int) -> int:
    """Write a zigzag varint; returns the place behind it. ``value`` in [-2⁶¹, 2⁶¹)."""
    rest = (value << 1) ^ (value >> 63)
    while rest >= 0x80:
        out[at] = (rest & 0x7F) | 0x80
        rest >>= 7
        at += 1
    out[at] = rest
    return at + 1


@compiled
def is_ascii(data: Any, begin: int, end: int) -> bool:
    """True if no byte has its highest bit set."""
    seen = np.uint8(0)
    for byte in data[begin:end]:
        seen |= byte
    return bool(seen < 0x80)


@compiled
def read_instants(data: Any, at: int, out: Any) -> bool:
    """The five timestamps at ``at``; False if one does not take exactly eight bytes."""
    taken = data[at : at + N_HOPS * INSTANT_BYTES]
    for hop in range(N_HOPS):
        value = np.int64(0)
        continued = np.uint8(0x80)
        for group in range(INSTANT_BYTES - 1):
            byte = taken[hop * INSTANT_BYTES + group]
            continued &= byte
            value |= np.int64(byte & 0x7F) << (7 * group)
        last = taken[hop * INSTANT_BYTES + INSTANT_BYTES - 1]
        if continued < 0x80 or last >= 0x80:
            return False
        value |= np.int64(last) << (7 * (INSTANT_BYTES - 1))
        out[hop] = (value >> 1) ^ -(value & 1)
    return True


@compiled
def read_signal(data: Any, begin: int, end: int, plan: Any, stamps: Any, row: Any) -> tuple[bool, int, int, int, int]:
    """One signal from ``data[begin:end]``: its instants to ``stamps``, the floats of its sample as bytes to ``row``.

    Returns whether it matches the plan; its sequence; the last integer before that; and where its session stands.
    """
    no = (False, 0, 0, 0, 0)
    at = begin + plan.size
    if at >= end:
        return no
    for j in range(len(plan.marker)):
        if data[begin + plan.marker_at[j]] != plan.marker[j]:
            return no
    for j in range(len(plan.flags_at)):
        if data[begin + plan.flags_at[j]] > 1:
            return no
    if not read_instants(data, begin + plan.instants_at, stamps):
        return no
    integer = 0
    for _ in range(plan.integers):
        integer, at = read_varint(data, at, end)
        if at < 0:
            return no
    sequence, at = read_varint(data, at, end)
    if at < 0:
        return no
    length, start = read_varint(data, at, end)
    if start < 0 or length < 0 or length > end - start:
        return no
    stop = start + length
    source, at = read_varint(data, stop, end)
    # Text beyond ASCII is left to fastavro, which knows what is not UTF-8.
    if at < 0 or source != end - at or not is_ascii(data, start, stop) or not is_ascii(data, at, end):
        return no
    for run in range(len(plan.runs)):
        at, to, length = plan.runs[run]
        put(data[begin + at : begin + at + length], row, to)
    return True, sequence, integer, start, stop


@compiled
def read_signals(data: Any, ends: Any, plans: Any, tags: Any, batch: Any, raw: Any, texts: Any) -> tuple[int, int]:
    """Read every signal that matches its kind's plan, in order; returns how many faces and speeches there are.

    ``ends``: where each record ends in ``data``. ``tags``: the union's index byte of each kind, and its place.
    ``batch``: kind, stamps, sequence, place, faces, speeches; ``raw``: the last two as bytes. ``texts`` (2, n): where
    each session begins and ends. The kind of the others stays as it is.
    """
    kinds, stamps, sequences, places, faces, _ = batch
    raw_faces, raw_speeches = raw
    face_plan, speech_plan = plans
    face_tag, speech_tag, tag_at = tags
    face_count = 0
    speech_count = 0
    begin = 0
    for i in range(len(ends)):
        end = ends[i]
        tag: Any = -1
        if end - begin > tag_at:
            tag = np.int64(data[begin + tag_at])
        if tag == face_tag:
            fits, sequence, track, start, stop = read_signal(
                data, begin, end, face_plan, stamps[i], raw_faces[face_count]
            )
            if fits:
                faces[face_count, F_DETECTED] = data[begin + face_plan.flags_at[0]]
                faces[face_count, F_TRACK] = track
                kinds[i] = FACE
                places[i] = face_count
                face_count += 1
                sequences[i] = sequence
                texts[0, i] = start
                texts[1, i] = stop
        elif tag == speech_tag:
            fits, sequence, track, start, stop = read_signal(
                data, begin, end, speech_plan, stamps[i], raw_speeches[speech_count]
            )
            if fits:
                kinds[i] = SPEECH
                places[i] = speech_count
                speech_count += 1
                sequences[i] = sequence
                texts[0, i] = start
                texts[1, i] = stop
        begin = end
    return face_count, speech_count


@compiled
def count_others(data: Any, texts: Any, kinds: Any, keys: Any, key_ends: Any, other: Any) -> int:
    """How many of the signals that were read name another session than their record's key; ``other`` marks them."""
    found = 0
    key_begin = 0
    for i in range(len(key_ends)):
        key_end = key_ends[i]
        start = texts[0, i]
        same = True
        if kinds[i] != UNREADABLE:
            same = texts[1, i] - start == key_end - key_begin
            if same:
                named = data[start : texts[1, i]]
                key = keys[key_begin:key_end]
                for j in range(len(key)):
                    if named[j] != key[j]:
                        same = False
        if not same:
            other[i] = 1
            found += 1
        key_begin = key_end
    return found


@compiled
def write_frames(output: Any, plan: Any, names: Any, name_ends: Any, out: Any, ends: Any) -> None:
    """Write the frames of ``output``, one behind the other; ``ends``: where each ends. ``names``: of the records."""
    at = 0
    for frame in range(output.used[FRAMES]):
        put(plan.blank[: plan.instant_at], out, at)
        body = write_varint(output.tick_us[frame], out, at + plan.instant_at)
        # What follows stands where the blank has it, but for the length of the instant.
        fixed = plan.instant_at + INSTANT_BYTES
        put(plan.blank[fixed:], out, body)
        base = body - fixed
        for modality in range(2):
            put(output.hops[frame, modality].view(np.uint8), out, base + plan.hops_at[modality])
        put(output.emotions[frame], out, base + plan.emotions_at)
        put(output.affect[frame].view(np.uint8), out, base + plan.affect_at)
        put(output.levels[frame], out, base + plan.levels_at)
        put(output.aus[frame], out, base + plan.aus_at)
        put(output.angles[frame].view(np.uint8), out, base + plan.angles_at)
        put(output.blendshapes[frame], out, base + plan.blendshapes_at)
        put(output.visemes[frame], out, base + plan.visemes_at)
        flags = base + plan.flags_at
        for j in range(FLAGS_BEHIND):
            out[flags + j] = output.flags[frame, j]
        out[flags + FLAGS_BEHIND] = output.flags[frame, FLAG_MAPPING] << 1  # an enumeration's index is zigzag, too
        at = write_varint(output.tick[frame], out, base + len(plan.blank))
        record = output.record[frame]
        name = names[name_ends[record - 1] if record > 0 else 0 : name_ends[record]]
        at = write_varint(len(name), out, at)
        put(name, out, at)
        at += len(name)
        ends[frame] = at


def _offset(layout: Layout, name: str) -> int:
    assert layout.dtype.fields is not None
    return int(layout.dtype.fields[name][1])


def _plan(layout: Layout, names: Sequence[str], integers: int) -> Plan:
    """The plan of a kind whose samples have these columns; a boolean or an integer among them is left out."""
    assert layout.dtype.fields is not None
    runs: list[list[int]] = []
    column = 0
    for name in names:
        width = ARRAY_LENGTHS.get(name, 1)
        found = layout.dtype.fields.get(name)
        if found is not None and found[0].base == np.dtype("<f4"):
            at, to, length = int(found[1]), FLOAT_BYTES * column, FLOAT_BYTES * width
            if runs and runs[-1][0] + runs[-1][2] == at and runs[-1][1] + runs[-1][2] == to:
                runs[-1][2] += length
            else:
                runs.append([at, to, length])
        column += width
    return Plan(
        size=layout.dtype.itemsize,
        marker_at=layout.marker_at.astype(np.int64),
        marker=layout.marker,
        flags_at=layout.flags_at.astype(np.int64),
        instants_at=layout.instants.start,
        runs=np.array(runs, np.int64),
        integers=integers,
    )


class SignalDecoder:
    """Reads values of the ``signals`` topic. What it returns is good until it reads again."""

    def __init__(self, codec: Codec) -> None:
        prefix = codec.prefix(Signal)
        face, speech = (derive_layout("Signal", prefix, name) for name in ("FaceSignal", "SpeechSignal"))
        tag_at = face.instants.stop
        tags = [int(layout.marker[list(layout.marker_at).index(tag_at)]) for layout in (face, speech)]
        assert FACE_COLUMNS[-2:] == ("face_detected", "track_id")
        assert _offset(face, "face_detected") == int(face.flags_at[0])
        self._plans = (_plan(face, FACE_COLUMNS, 2), _plan(speech, SPEECH_COLUMNS, 0))
        self._tags = (*tags, tag_at)
        self._singly = SignalBatchReader(codec)
        self._faces = np.zeros((0, F_WIDTH), np.float32)
        self._speeches = np.zeros((0, S_WIDTH), np.float32)

    def read(self, values: Sequence[bytes | None], keys: Sequence[bytes]) -> tuple[SignalBatch, Names]:
        """Decode ``values``; nothing raises: what cannot be read says so. Besides, the sessions once more, joined.

        ``keys``: the records' keys, which name the same sessions as the values do, or should: what the value says
        counts.
        """
        count = len(values)
        if len(self._faces) < count:
            self._faces = np.zeros((count, F_WIDTH), np.float32)
            self._speeches = np.zeros((count, S_WIDTH), np.float32)
        try:
            joined = b"".join(values)  # type: ignore[arg-type]
        except TypeError:
            values = [value or b"" for value in values]
            joined = b"".join(values)  # type: ignore[arg-type]
        ends = np.fromiter(map(len, values), np.int64, count).cumsum()  # type: ignore[arg-type]
        kind = np.full(count, UNREADABLE, np.int8)
        stamps, sequence, place = np.zeros((count, N_HOPS), np.int64), *np.zeros((2, count), np.int64)
        batch = (kind, stamps, sequence, place, self._faces, self._speeches)
        texts = np.zeros((2, count), np.int64)
        raw = (self._faces.view(np.uint8), self._speeches.view(np.uint8))
        data = np.frombuffer(joined, np.uint8)
        used = read_signals(data, ends, self._plans, self._tags, batch, raw, texts)
        other = np.zeros(count, np.uint8)
        sessions = list(keys)  # objects that exist: to make them anew took a tenth of the time
        names = Names.of(sessions)
        named_otherwise = count_others(data, texts, kind, names.data, names.ends, other) > 0
        if named_otherwise:
            for i in np.flatnonzero(other).tolist():
                start, stop = texts[:, i].tolist()
                sessions[i] = joined[start:stop]
        signals = SignalBatch(kind, stamps, sequence, place, self._faces, self._speeches, sessions)
        others = np.flatnonzero(kind == UNREADABLE).tolist()
        if others:
            named_otherwise |= self._merge(signals, others, self._singly.read([values[i] for i in others]), used)
        return signals, Names.of(sessions) if named_otherwise else names

    def _merge(self, signals: SignalBatch, others: list[int], found: SignalBatch, used: tuple[int, int]) -> bool:
        """Put the signals that were read elsewhere to their places ``others``; True if keys named other sessions."""
        signals.kind[others] = found.kind
        signals.stamps[others] = found.stamps
        signals.sequence[others] = found.sequence
        first = np.array([*used, 0, 0])
        signals.place[others] = found.place + first[found.kind]
        signals.faces[used[0] : used[0] + len(found.faces)] = found.faces
        signals.speeches[used[1] : used[1] + len(found.speeches)] = found.speeches
        named_otherwise = found.sessions != [signals.sessions[i] for i in others]
        for i, session in zip(others, found.sessions, strict=True):
            signals.sessions[i] = session
        signals.lifecycle = {others[i]: signal for i, signal in found.lifecycle.items()}
        signals.errors = {others[i]: error for i, error in found.errors.items()}
        return named_otherwise


class FrameEncoder:
    """Writes values of the ``avatar.frames`` topic."""

    def __init__(self, codec: Codec) -> None:
        layout = derive_layout("AvatarFrame", codec.prefix(AvatarFrame))
        blank = np.zeros(layout.dtype.itemsize, np.uint8)
        blank[layout.marker_at] = layout.marker
        flags = ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait", "mapping")
        first = _offset(layout, flags[0])
        assert [_offset(layout, name) - first for name in flags] == list(range(FLAGS_BEHIND + 1))
        assert FLAG_MAPPING == FLAGS_BEHIND < FLAG_CLOSED_BY
        self._plan = FramePlan(
            blank=blank,
            instant_at=layout.instants.start,
            hops_at=np.array([_offset(layout, "face_hops_ms"), _offset(layout, "speech_hops_ms")]),
            emotions_at=_offset(layout, "emotions"),
            affect_at=_offset(layout, "affect"),
            levels_at=_offset(layout, "levels"),
            aus_at=_offset(layout, "aus"),
            angles_at=_offset(layout, "angles"),
            blendshapes_at=_offset(layout, "blendshapes"),
            visemes_at=_offset(layout, "visemes"),
            flags_at=first,
        )
        self._out = np.zeros(0, np.uint8)
        self._ends = np.zeros(0, np.int64)

    def write(self, output: Output, names: Names) -> list[bytes]:
        """The values of the frames in ``output``; ``names``: the sessions of the batch's records.

        Instants must lie in [-2⁶¹, 2⁶¹), as the rules' do.
        """
        frames = int(output.used[FRAMES])
        lengths = np.diff(names.ends, prepend=0)[output.record[:frames]]
        room = frames * (len(self._plan.blank) + 3 * VARINT_BYTES) + int(lengths.sum())
        if len(self._out) < room:
            self._out = np.zeros(2 * room, np.uint8)
        if len(self._ends) < frames:
            self._ends = np.zeros(len(output.tick), np.int64)
        write_frames(output, self._plan, names.data, names.ends, self._out, self._ends)
        ends = self._ends[:frames].tolist()
        blob = self._out[: ends[-1] if ends else 0].tobytes()
        return [blob[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
