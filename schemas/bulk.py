"""Avro by the thousand: signals to arrays, arrays to avatar frames, byte for byte what fastavro reads and writes.

A record whose fields have fixed sizes has one byte layout: floats take four bytes, an array of known length its
count, its items and a zero, a microsecond timestamp of our age exactly eight, a union's branch one. So a numpy
structured type, derived from the schema, reads many records at once; the few variable fields stand last. Every
marker byte is checked, and whatever does not match goes through fastavro one by one, with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec, DecodeError, parsed_schema
from schemas.records import AvatarFrame, FaceSignal, Signal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, SIGNAL_HOPS, VISEMES

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

FACE: Final = 0
SPEECH: Final = 1
LIFECYCLE: Final = 2
UNREADABLE: Final = 3

ARRAY_LENGTHS: Final = {
    "emotion_scores": len(EMOTIONS),
    "viseme_scores": len(VISEMES),
    "au_intensities": len(AUS),
    "blendshapes": len(BLENDSHAPES),
    "box": 4,
    "face_hops_ms": len(SIGNAL_HOPS),
    "speech_hops_ms": len(SIGNAL_HOPS),
}
"""Items of each array field: what the schemas' docs promise, and what makes a layout fixed."""

FACE_COLUMNS: Final = (
    "confidence", "emotion_scores", "valence", "arousal", "dominance", "au_intensities", "blendshapes", "yaw_deg",
    "pitch_deg", "roll_deg", "gaze_x", "gaze_y", "blink_left", "blink_right", "box", "face_detected", "track_id",
)  # fmt: skip
"""Fields of a FaceSignal in the order of SignalBatch.values' columns."""

SPEECH_COLUMNS: Final = (
    "speaking_probability", "energy_dbfs", "emotion_scores", "emotion_unknown", "emotion_confidence", "emotion_age_ms",
    "valence", "arousal", "dominance", "viseme_scores", "viseme_confidence",
)  # fmt: skip

FACE_WIDTH: Final = sum(ARRAY_LENGTHS.get(name, 1) for name in FACE_COLUMNS)
SPEECH_WIDTH: Final = sum(ARRAY_LENGTHS.get(name, 1) for name in SPEECH_COLUMNS)

BULK_FROM: Final = 8
"""Fewer records than this are quicker one by one."""

_CONTINUED: Final = np.uint64(0x8080808080808080)
_EIGHT_BYTES: Final = np.uint64(0x0080808080808080)
_VARINT_BYTES: Final = 9
"""Longer varints do not fit 63 bits, and are left to fastavro."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The fixed beginning of a record kind: a packed structured type and the bytes that never change."""

    dtype: np.dtype[np.void]
    marker_at: npt.NDArray[np.intp]
    marker: Bytes
    instants: slice
    """Where the leading timestamps stand, eight bytes each."""
    flags_at: npt.NDArray[np.intp]
    """Where booleans stand."""


def derive_layout(name: str, prefix: bytes, branch: str | None = None) -> Layout:
    """The layout of schema ``name`` behind ``prefix`` up to its first field of variable size.

    A union field is taken to hold the record ``branch``. Leading ``*_at_us`` longs count as fixed.
    """
    fields: list[tuple[Any, ...]] = []
    markers: list[tuple[int, int]] = list(enumerate(prefix))
    flags: list[int] = []
    size = len(prefix)
    fields.append(("prefix", "u1", (len(prefix),)))

    def add(name: str, kind: str, length: int = 0) -> None:
        nonlocal size
        entry = np.dtype((kind, (length,)) if length else kind)
        fields.append((name, entry))
        size += entry.itemsize

    def mark(name: str, value: int) -> None:
        markers.append((size, value))
        add(name, "u1")

    def walk(record: Any) -> bool:
        for spec in record["fields"]:
            field_name, kind = spec["name"], spec["type"]
            if kind == "long" and field_name.endswith("_at_us"):
                add(field_name, "<u8")
            elif kind == "float":
                add(field_name, "<f4")
            elif kind == "boolean":
                flags.append(size)
                add(field_name, "u1")
            elif isinstance(kind, dict) and kind["type"] == "array" and field_name in ARRAY_LENGTHS:
                length = ARRAY_LENGTHS[field_name]
                mark(field_name + ".count", 2 * length)
                add(field_name, "<f4", length)
                mark(field_name + ".end", 0)
            elif isinstance(kind, dict) and kind["type"] == "fixed":
                add(field_name, "u1", kind["size"])
            elif isinstance(kind, dict) and kind["type"] == "enum":
                add(field_name, "u1")
            elif isinstance(kind, list) and branch is not None:
                names = [member["name"].rpartition(".")[2] for member in kind]
                mark(field_name + ".branch", 2 * names.index(branch))
                if not walk(kind[names.index(branch)]):
                    return False
            else:
                return False
        return True

    walk(parsed_schema(name))
    dtype = np.dtype(fields)
    instants = [entry for entry in fields if entry[0].endswith("_at_us")]
    first = int(dtype.fields[instants[0][0]][1]) if dtype.fields is not None else 0
    return Layout(
        dtype=dtype,
        marker_at=np.array([at for at, _ in markers], np.intp),
        marker=np.array([value for _, value in markers], np.uint8),
        instants=slice(first, first + 8 * len(instants)),
        flags_at=np.array(flags, np.intp),
    )


def read_instants(raw: npt.NDArray[np.uint64]) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Eight-byte varints, zigzag, as they stand in memory (little-endian): their values, and which are eight long."""
    fits = (raw & _CONTINUED) == _EIGHT_BYTES
    x = raw & np.uint64(0x7F7F7F7F7F7F7F7F)
    # Close the gaps between the groups of seven bits: pairs, then fours, then all eight.
    x = (x & np.uint64(0x007F007F007F007F)) | ((x & np.uint64(0x7F007F007F007F00)) >> np.uint64(1))
    x = (x & np.uint64(0x00003FFF00003FFF)) | ((x & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2))
    x = (x & np.uint64(0x000000000FFFFFFF)) | ((x & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4))
    value = (x >> np.uint64(1)).astype(np.int64)
    return np.where((x & np.uint64(1)) == 0, value, ~value), fits


def write_instants(values: Int64s) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """The inverse of :func:`read_instants`; the second array says which values take exactly eight bytes."""
    zigzag = ((values << 1) ^ (values >> 63)).astype(np.uint64)
    fits = (zigzag >= np.uint64(1 << 49)) & (zigzag < np.uint64(1 << 56))
    x = zigzag & np.uint64((1 << 56) - 1)
    x = (x & np.uint64(0x000000000FFFFFFF)) | ((x & np.uint64(0x00FFFFFFF0000000)) << np.uint64(4))
    x = (x & np.uint64(0x00003FFF00003FFF)) | ((x & np.uint64(0x0FFFC0000FFFC000)) << np.uint64(2))
    x = (x & np.uint64(0x007F007F007F007F)) | ((x & np.uint64(0x3F803F803F803F80)) << np.uint64(1))
    return x | _EIGHT_BYTES, fits


def read_varints(data: Bytes, position: Int64s, ends: Int64s) -> tuple[Int64s, Int64s, npt.NDArray[np.bool_]]:
    """Zigzag varints at ``position``: values, positions behind them, and which ended before ``ends`` and in 63 bits.

    ``data`` must go on for ten bytes behind the last record.
    """
    value = np.zeros(len(position), np.int64)
    at = position.copy()
    reading = np.ones(len(position), np.bool_)
    for group in range(_VARINT_BYTES):
        byte = data[np.minimum(at, len(data) - 1)].astype(np.int64)
        value = np.where(reading, value | ((byte & 0x7F) << (7 * group)), value)
        at = at + reading
        reading = reading & (byte >= 0x80)
        if not reading.any():
            break
    return (value >> 1) ^ -(value & 1), at, ~reading & (at <= ends)


def write_varints(values: Int64s) -> tuple[Bytes, Int64s]:
    """Zigzag varints of non-negative values below 2⁶²: bytes of shape (n, 9), and how many of them count."""
    rest = values << 1
    out = np.zeros((len(values), _VARINT_BYTES), np.uint8)
    length = np.zeros(len(values), np.int64)
    going = np.ones(len(values), np.bool_)
    for group in range(_VARINT_BYTES):
        more = rest >= 0x80
        out[:, group] = np.where(going, (rest & 0x7F) | np.where(more, 0x80, 0), 0)
        length += going
        going = going & more
        rest = rest >> 7
        if not going.any():
            break
    return out, length


def varint(value: int) -> bytes:
    """One zigzag varint of a non-negative value."""
    rest, out = value << 1, bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


@dataclass(slots=True)
class SignalBatch:
    """Signals as arrays, in the order given."""

    kind: npt.NDArray[np.int8]  # (n,) FACE, SPEECH, LIFECYCLE or UNREADABLE
    stamps: Int64s  # (n, 5) µs, order of SIGNAL_HOPS
    sequence: Int64s  # (n,)
    place: Int64s  # (n,) the sample's row in ``faces`` or ``speeches``
    faces: Floats  # (faces, FACE_WIDTH) FACE_COLUMNS; NaN where a vector has the wrong length
    speeches: Floats  # (speeches, SPEECH_WIDTH) SPEECH_COLUMNS, likewise
    sessions: list[bytes]
    lifecycle: dict[int, Signal] = field(default_factory=dict)
    """Records of kind LIFECYCLE by index."""
    errors: dict[int, str] = field(default_factory=dict)
    """Why, of each UNREADABLE one."""


class SignalReader:
    """Reads values of the ``signals`` topic."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        prefix = codec.prefix(Signal)
        self._face = derive_layout("Signal", prefix, "FaceSignal")
        self._speech = derive_layout("Signal", prefix, "SpeechSignal")
        assert self._face.instants == self._speech.instants
        self._branch_at = self._face.instants.stop
        self._face_tag, self._speech_tag = (
            int(layout.marker[list(layout.marker_at).index(self._branch_at)]) for layout in (self._face, self._speech)
        )
        # By kind: layout, variable integers before the sequence, fields, columns.
        self._plans = (
            (self._face, 2, FACE_COLUMNS, FACE_WIDTH),
            (self._speech, 0, SPEECH_COLUMNS, SPEECH_WIDTH),
        )

    def read(self, values: Sequence[bytes | None]) -> SignalBatch:
        """Decode ``values``; nothing raises: what cannot be read says so."""
        count = len(values)
        batch = SignalBatch(
            kind=np.full(count, UNREADABLE, np.int8),
            stamps=np.zeros((count, len(SIGNAL_HOPS)), np.int64),
            sequence=np.zeros(count, np.int64),
            place=np.zeros(count, np.int64),
            faces=np.zeros((0, FACE_WIDTH), np.float32),
            speeches=np.zeros((0, SPEECH_WIDTH), np.float32),
            sessions=[b""] * count,
        )
        single: Sequence[int] = range(count)
        if count >= BULK_FROM:
            face_tag, speech_tag, at = self._face_tag, self._speech_tag, self._branch_at
            tags = [value[at] if value and len(value) > at else -1 for value in values]
            faces = [i for i, tag in enumerate(tags) if tag == face_tag]
            speeches = [i for i, tag in enumerate(tags) if tag == speech_tag]
            face_misfits, batch.faces = self._read_many(values, faces, FACE, batch)
            speech_misfits, batch.speeches = self._read_many(values, speeches, SPEECH, batch)
            others = [i for i, tag in enumerate(tags) if tag not in {face_tag, speech_tag}]
            single = others + face_misfits + speech_misfits
        faces_more: list[Floats] = []
        speeches_more: list[Floats] = []
        for i in single:
            self._read_one(i, values[i], batch, faces_more, speeches_more)
        if faces_more:
            batch.faces = np.concatenate((batch.faces, faces_more))
        if speeches_more:
            batch.speeches = np.concatenate((batch.speeches, speeches_more))
        return batch

    def _read_many(
        self, values: Sequence[bytes | None], chosen: list[int], kind: int, batch: SignalBatch
    ) -> tuple[list[int], Floats]:
        """Decode the records at ``chosen``; returns those that do not fit the layout, and the others' samples."""
        layout, ints, names, columns = self._plans[kind]
        size = layout.dtype.itemsize
        long_enough = [i for i in chosen if len(values[i]) > size]  # type: ignore[arg-type]  # chosen ones are bytes
        misfits = [i for i in chosen if len(values[i]) <= size] if len(long_enough) < len(chosen) else []  # type: ignore[arg-type]
        if not long_enough:
            return misfits, np.zeros((0, columns), np.float32)
        found = [values[i] for i in long_enough]
        heads = b"".join([value[:size] for value in found])  # type: ignore[index]
        raw = np.frombuffer(heads, np.uint8).reshape(-1, size)
        record = np.frombuffer(heads, layout.dtype)
        good = (raw[:, layout.marker_at] == layout.marker).all(axis=1)
        good &= (raw[:, layout.flags_at] <= 1).all(axis=1)
        instants, eight = read_instants(np.ascontiguousarray(raw[:, layout.instants]).view("<u8"))
        good &= eight.all(axis=1)

        tails = [value[size:] for value in found]  # type: ignore[index]
        joined = b"".join(tails)
        data = np.frombuffer(joined + bytes(10), np.uint8)
        ends = np.cumsum([len(tail) for tail in tails])
        at = np.concatenate(([0], ends[:-1]))
        numbers = []
        for _ in range(ints + 2):
            number, at, read = read_varints(data, at, ends)
            numbers.append(number)
            good &= read
        length = numbers[-1]
        good &= (length >= 0) & (length <= ends - at)
        starts, stops = at, at + np.where(good, length, 0)
        source, at, read = read_varints(data, stops, ends)
        good &= read & (source == ends - at)
        # Text beyond ASCII is left to fastavro, which knows what is not UTF-8.
        wide = np.concatenate(([0], np.cumsum(data >= 0x80)))
        good &= (wide[stops] == wide[starts]) & (wide[np.where(good, ends, 0)] == wide[np.where(good, at, 0)])

        index = np.array(long_enough, np.intp)
        if not good.all():
            misfits += index[~good].tolist()
            index, record, instants, starts, stops = (
                index[good],
                record[good],
                instants[good],
                starts[good],
                stops[good],
            )
            numbers = [number[good] for number in numbers]
        batch.kind[index] = kind
        batch.stamps[index] = instants
        batch.sequence[index] = numbers[ints]
        batch.place[index] = np.arange(len(index))
        matrix = np.empty((len(index), columns), np.float32)
        column = 0
        for name in names:
            width = ARRAY_LENGTHS.get(name, 1)
            if width > 1:
                matrix[:, column : column + width] = record[name]
            else:
                matrix[:, column] = numbers[1] if name == "track_id" else record[name]
            column += width
        sessions = batch.sessions
        for i, start, stop in zip(index.tolist(), starts.tolist(), stops.tolist(), strict=True):
            sessions[i] = joined[start:stop]
        return misfits, matrix

    def _read_one(
        self, i: int, value: bytes | None, batch: SignalBatch, faces: list[Floats], speeches: list[Floats]
    ) -> None:
        try:
            signal = self._codec.decode(Signal, value)
            batch.stamps[i] = (
                signal.captured_at_us,
                signal.received_at_us,
                signal.ingested_at_us,
                signal.consumed_at_us,
                signal.inferred_at_us,
            )
            batch.sequence[i] = signal.sequence
        except (DecodeError, OverflowError) as error:
            batch.errors[i] = str(error)
            return
        batch.sessions[i] = signal.session_id.encode()
        payload = signal.payload
        if isinstance(payload, FaceSignal):
            batch.kind[i] = FACE
            batch.place[i] = len(batch.faces) + len(faces)
            faces.append(_row(payload, FACE_COLUMNS, FACE_WIDTH))
        elif isinstance(payload, SpeechSignal):
            batch.kind[i] = SPEECH
            batch.place[i] = len(batch.speeches) + len(speeches)
            speeches.append(_row(payload, SPEECH_COLUMNS, SPEECH_WIDTH))
        else:
            batch.kind[i] = LIFECYCLE
            batch.lifecycle[i] = signal


def _row(payload: FaceSignal | SpeechSignal, columns: Sequence[str], size: int) -> Floats:
    row = np.empty(size, np.float32)
    column = 0
    for name in columns:
        width = ARRAY_LENGTHS.get(name, 1)
        value = getattr(payload, name)
        if not isinstance(value, tuple):
            row[column] = value
        elif len(value) == width:
            row[column : column + width] = value
        else:
            row[column : column + width] = np.nan
        column += width
    return row


@dataclass(slots=True)
class FrameBatch:
    """Avatar frames as arrays, one row a frame; integers quantised as :class:`schemas.records.AvatarFrame` says."""

    captured_at_us: Int64s
    face_hops_ms: Floats  # (n, 5)
    speech_hops_ms: Floats
    emotions: Bytes  # (n, 7)
    affect: npt.NDArray[np.int16]  # (n, 5)
    levels: Bytes
    aus: Bytes
    angles: npt.NDArray[np.int16]
    blendshapes: Bytes
    visemes: Bytes
    discontinuity: Bytes  # (n,) 0 or 1, as the four below
    face_live: Bytes
    speech_live: Bytes
    viseme_mouth: Bytes
    closed_by_max_wait: Bytes
    mapping: Bytes  # (n,) index of the enumeration's symbol
    sequence: Int64s
    sessions: Sequence[bytes]  # UTF-8


_FRAME_FIELDS: Final = (
    "face_hops_ms", "speech_hops_ms", "emotions", "levels", "aus", "blendshapes", "visemes", "discontinuity",
    "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait",
)  # fmt: skip


class FrameWriter:
    """Writes values of the ``avatar.frames`` topic."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        layout = derive_layout("AvatarFrame", codec.prefix(AvatarFrame))
        self._body = layout.dtype.itemsize
        self._dtype = np.dtype([("body", layout.dtype), ("sequence", "u1", (_VARINT_BYTES,))])
        blank = np.zeros(self._body, np.uint8)
        blank[layout.marker_at] = layout.marker
        self._blank = np.zeros(1, self._dtype)
        self._blank["body"] = blank.view(layout.dtype)[0]
        self._mappings = next(
            spec["type"]["symbols"] for spec in parsed_schema("AvatarFrame")["fields"] if spec["name"] == "mapping"
        )
        self._suffixes: dict[bytes, bytes] = {}

    def write(self, batch: FrameBatch) -> list[bytes]:
        """One value a frame."""
        count = len(batch.sequence)
        record = np.repeat(self._blank, count)
        body = record["body"]
        instants, fits = write_instants(batch.captured_at_us)
        body["captured_at_us"] = instants
        for name in _FRAME_FIELDS:
            body[name] = getattr(batch, name)
        body["mapping"] = batch.mapping << 1  # an enumeration's index is zigzag, too
        body["affect"] = batch.affect.astype("<i2", copy=False).view(np.uint8)
        body["angles"] = batch.angles.astype("<i2", copy=False).view(np.uint8)
        record["sequence"], lengths = write_varints(batch.sequence)
        blob = record.tobytes()
        size, stops = self._dtype.itemsize, (lengths + self._body).tolist()
        out = [
            blob[i * size : i * size + stop] + self._suffix(session)
            for i, (stop, session) in enumerate(zip(stops, batch.sessions, strict=True))
        ]
        for i in np.flatnonzero(~fits | (batch.sequence < 0)).tolist():
            out[i] = self._codec.encode(self.record(batch, i))
        return out

    def _suffix(self, session: bytes) -> bytes:
        found = self._suffixes.get(session)
        if found is None:
            if len(self._suffixes) > 100_000:
                self._suffixes.clear()
            found = self._suffixes[session] = varint(len(session)) + session
        return found

    def record(self, batch: FrameBatch, i: int) -> AvatarFrame:
        """Frame ``i`` of the batch as a record."""
        return AvatarFrame(
            captured_at_us=int(batch.captured_at_us[i]),
            face_hops_ms=tuple(batch.face_hops_ms[i].tolist()),
            speech_hops_ms=tuple(batch.speech_hops_ms[i].tolist()),
            emotions=batch.emotions[i].tobytes(),
            affect=batch.affect[i].astype("<i2").tobytes(),
            levels=batch.levels[i].tobytes(),
            aus=batch.aus[i].tobytes(),
            angles=batch.angles[i].astype("<i2").tobytes(),
            blendshapes=batch.blendshapes[i].tobytes(),
            visemes=batch.visemes[i].tobytes(),
            discontinuity=bool(batch.discontinuity[i]),
            face_live=bool(batch.face_live[i]),
            speech_live=bool(batch.speech_live[i]),
            viseme_mouth=bool(batch.viseme_mouth[i]),
            closed_by_max_wait=bool(batch.closed_by_max_wait[i]),
            mapping=self._mappings[int(batch.mapping[i])],
            sequence=int(batch.sequence[i]),
            session_id=batch.sessions[i].decode(),
        )
