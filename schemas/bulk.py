"""Avro by the thousand: signals and avatar frames to arrays, with the very values that fastavro reads.

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
from schemas.varints import Int64s, read_instants, read_varints
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, SIGNAL_HOPS, VISEMES

Bytes = npt.NDArray[np.uint8]
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

LONGEST_TEXT: Final = 128
"""Bytes; longer ones are left to fastavro."""


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


@dataclass(frozen=True, slots=True)
class Fitting:
    """Records of one kind that match their layout, as arrays; n of those given."""

    index: npt.NDArray[np.intp]
    """(n,) which of the values given."""
    record: npt.NDArray[np.void]
    """(n,) of the layout's type, contiguous."""
    instants: Int64s
    """(n, instants) the leading timestamps, µs."""
    integers: tuple[Int64s, ...]
    """The integers behind the fixed beginning, each (n,)."""
    texts: tuple[npt.NDArray[np.bytes_], ...]
    """The texts behind the integers, each (n,): ASCII without zero bytes, padded with zeros."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Values side by side: nothing below looks at them one by one."""

    data: Bytes
    """With room behind the last value for every window and varint."""
    begins: Int64s
    ends: Int64s

    @classmethod
    def of(cls, values: Sequence[bytes | None], room: int) -> "Joined":
        """Join ``values``, a missing one as an empty one; ``room``: bytes behind them, for the longest layout."""
        try:
            data = b"".join([*values, bytes(room + LONGEST_TEXT)])  # type: ignore[list-item]
        except TypeError:
            values = [value or b"" for value in values]
            data = b"".join([*values, bytes(room + LONGEST_TEXT)])  # type: ignore[list-item]
        lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
        ends = lengths.cumsum()
        return cls(np.frombuffer(data, np.uint8), ends - lengths, ends)


def read_fitting(joined: Joined, chosen: npt.NDArray[np.intp], layout: Layout, integers: int, texts: int) -> Fitting:
    """Those of the values at ``chosen`` that are ``layout``, then so many integers and texts, and nothing more."""
    data, begins, ends = joined.data, joined.begins[chosen], joined.ends[chosen]
    count, size = len(chosen), layout.dtype.itemsize
    record = _windows(data, layout.dtype)[begins]
    raw = record.view(np.uint8).reshape(count, size)
    good = ends - begins > size
    # Eight markers at a time; the first one fills up the last eight.
    filled = np.resize(layout.marker_at, -(-len(layout.marker_at) // 8) * 8)
    filled[len(layout.marker_at) :] = layout.marker_at[0]
    wanted = np.resize(layout.marker, len(filled))
    wanted[len(layout.marker) :] = layout.marker[0]
    markers = np.take(raw, filled, axis=1).view("<u8")
    for found, want in zip(markers.T, wanted.view("<u8").tolist(), strict=True):
        good &= found == np.uint64(want)
    for at in layout.flags_at.tolist():
        good &= raw[:, at] <= 1
    instants, eight = read_instants(np.ascontiguousarray(raw[:, layout.instants]).view("<u8"))
    good &= eight.all(axis=1)
    numbers: list[Int64s] = []
    place = begins + size
    for _ in range(integers):
        number, place, read = read_varints(data, place, ends)
        numbers.append(number)
        good &= read
    words: list[npt.NDArray[np.bytes_]] = []
    for _ in range(texts):
        length, start, read = read_varints(data, place, ends)
        good &= read & (length >= 0) & (length <= np.minimum(ends - start, LONGEST_TEXT))
        # Of a record that is no good, anything will do that lies inside.
        start, length = np.where(good, start, 0), np.where(good, length, 0)
        word, plain = _texts(data, start, length)
        words.append(word)
        good &= plain
        place = start + length
    good &= place == ends
    index = np.flatnonzero(good)
    if len(index) < count:
        record, instants = record[index], instants[index]
        numbers, words = [number[index] for number in numbers], [word[index] for word in words]
    return Fitting(chosen[index], record, instants, tuple(numbers), tuple(words))


def _windows(data: Bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """What ``data`` would be as a value of ``dtype`` from each byte on."""
    kind = np.dtype(dtype)
    return np.ndarray((len(data) - kind.itemsize + 1,), kind, data.data, strides=(1,))


def _texts(data: Bytes, starts: Int64s, lengths: Int64s) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.bool_]]:
    """The texts that begin at ``starts``, and which hold nothing but ASCII: the others are left to fastavro."""
    width = max(1, int(lengths.max(initial=0)))
    words = _windows(data, f"S{width}")[starts]
    letters = words.view(np.uint8).reshape(len(words), width)
    # Less one, a zero becomes 255.
    plain = (letters - np.uint8(1)) < 0x7F
    if (lengths < width).any():
        outside = np.arange(width) >= lengths[:, None]
        letters[outside] = 0
        plain |= outside
    return words, np.logical_and.reduce(plain, axis=1)


class SignalLayouts:
    """Reads those values of the ``signals`` topic that match the layout of a face's or a voice's signal."""

    def __init__(self, codec: Codec) -> None:
        prefix = codec.prefix(Signal)
        self._face = derive_layout("Signal", prefix, "FaceSignal")
        self._speech = derive_layout("Signal", prefix, "SpeechSignal")
        assert self._face.instants == self._speech.instants
        self._branch_at = self._face.instants.stop
        # Not 0: that is SessionStarted's.
        self._face_tag, self._speech_tag = (
            int(layout.marker[list(layout.marker_at).index(self._branch_at)]) for layout in (self._face, self._speech)
        )

    def read(self, values: Sequence[bytes | None]) -> tuple[Fitting, Fitting, list[int]]:
        """Faces (integers: face_count, track_id, sequence; texts: session, source), voices (sequence), the others.

        ``index`` of both says which of ``values``; the others are positions, too.
        """
        joined = Joined.of(values, max(self._face.dtype.itemsize, self._speech.dtype.itemsize))
        tag_at = joined.begins + self._branch_at
        tags = np.where(tag_at < joined.ends, joined.data[tag_at], 0)
        faces = read_fitting(joined, np.flatnonzero(tags == self._face_tag), self._face, integers=3, texts=2)
        speeches = read_fitting(joined, np.flatnonzero(tags == self._speech_tag), self._speech, integers=1, texts=2)
        others = np.ones(len(values), np.bool_)
        others[faces.index] = False
        others[speeches.index] = False
        return faces, speeches, np.flatnonzero(others).tolist()


class FrameLayout:
    """Reads those values of the ``avatar.frames`` topic that match a frame's layout."""

    def __init__(self, codec: Codec) -> None:
        self._layout = derive_layout("AvatarFrame", codec.prefix(AvatarFrame))
        self.mappings: tuple[str, ...] = next(
            tuple(spec["type"]["symbols"])
            for spec in parsed_schema("AvatarFrame")["fields"]
            if spec["name"] == "mapping"
        )

    def read(self, values: Sequence[bytes | None]) -> tuple[Fitting, list[int]]:
        """Frames (integers: sequence; texts: session), and the positions of the others.

        ``mapping`` is twice the index in :attr:`mappings`: enumerations are zigzag, too.
        """
        joined = Joined.of(values, self._layout.dtype.itemsize)
        found = read_fitting(joined, np.arange(len(values)), self._layout, integers=1, texts=1)
        known = (found.record["mapping"] & 1 == 0) & (found.record["mapping"] < 2 * len(self.mappings))
        if not known.all():
            index = np.flatnonzero(known)
            found = Fitting(
                found.index[index], found.record[index], found.instants[index],
                (found.integers[0][index],), (found.texts[0][index],),
            )  # fmt: skip
        others = np.ones(len(values), np.bool_)
        others[found.index] = False
        return found, np.flatnonzero(others).tolist()


class SignalBatchReader:
    """Reads values of the ``signals`` topic to :class:`SignalBatch`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._layouts = SignalLayouts(codec)

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
            faces, speeches, single = self._layouts.read(values)
            batch.faces = _take(faces, FACE, FACE_COLUMNS, FACE_WIDTH, batch)
            batch.speeches = _take(speeches, SPEECH, SPEECH_COLUMNS, SPEECH_WIDTH, batch)
        faces_more: list[Floats] = []
        speeches_more: list[Floats] = []
        for i in single:
            self._read_one(i, values[i], batch, faces_more, speeches_more)
        if faces_more:
            batch.faces = np.concatenate((batch.faces, faces_more))
        if speeches_more:
            batch.speeches = np.concatenate((batch.speeches, speeches_more))
        return batch

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


def _take(found: Fitting, kind: int, names: Sequence[str], columns: int, batch: SignalBatch) -> Floats:
    """Put what was found to its places in the batch; returns its samples."""
    index = found.index
    batch.kind[index] = kind
    batch.stamps[index] = found.instants
    batch.sequence[index] = found.integers[-1]
    batch.place[index] = np.arange(len(index))
    matrix = np.empty((len(index), columns), np.float32)
    column = 0
    for name in names:
        width = ARRAY_LENGTHS.get(name, 1)
        values = found.integers[1] if name == "track_id" else found.record[name]
        matrix[:, column : column + width] = values.reshape(len(index), width)
        column += width
    for i, session in zip(index.tolist(), found.texts[0].tolist(), strict=True):
        batch.sessions[i] = session
    return matrix


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
