"""Values of a topic to the Arrow tables of its rows, by the thousand.

What matches a layout of :mod:`schemas.bulk` is read as arrays, and never becomes a Python object; everything else goes
through fastavro and :mod:`analytics.rows` one by one, into the very same columns. Pure: no I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.errors import RowError
from analytics.rows import (
    EMOTION_COLUMNS,
    INT32,
    LATEST_US,
    MICROSECONDS,
    RECORD_OF,
    VISEME_COLUMNS,
    Batch,
    Columns,
    Table,
    build,
    finish,
    hops,
    route,
)
from schemas.bulk import ARRAY_LENGTHS, Fitting, FrameLayout, SignalLayouts
from schemas.codec import Codec, DecodeError
from schemas.topics import AVATAR_FRAMES, SIGNALS, Topic
from schemas.vocabulary import AFFECT, ANGLES, AUS, BLENDSHAPES, LEVELS

BLOCK: Final = 1_024
"""Records turned into columns at a time: so many stay in the processor's cache."""
SLICE: Final = 65_536
"""Values read at a time: with more, each step's arrays are pages that the kernel has to clear first."""

BOX_COLUMNS: Final = ("box_x", "box_y", "box_width", "box_height")
SPREAD: Final = {
    "emotion_scores": EMOTION_COLUMNS,
    "viseme_scores": VISEME_COLUMNS,
    "au_intensities": AUS,
    "blendshapes": BLENDSHAPES,
    "box": BOX_COLUMNS,
}
"""Columns of each vector of a signal."""
BYTES: Final = {
    "emotions": EMOTION_COLUMNS,
    "levels": LEVELS,
    "aus": AUS,
    "blendshapes": BLENDSHAPES,
    "visemes": VISEME_COLUMNS,
}
"""Columns of each vector of unsigned bytes in a frame."""
SHORTS: Final = {"affect": AFFECT, "angles": ANGLES}
"""Columns of each vector of 16-bit integers in a frame."""
FLAGS: Final = ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait")


@dataclass(frozen=True, slots=True)
class Taken:
    """Values of one topic with where they came from: parallel."""

    values: Sequence[bytes | None]
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]


@dataclass(slots=True)
class Built:
    """What became of values: rows by table, and why none could be made of some, by their position."""

    tables: dict[Table, pa.Table] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


Pieces = dict[Table, list[pa.Table]]
"""Rows by table, some at a time."""


class TableBuilder:
    """Makes rows of any topic's values."""

    def __init__(self, codec: Codec, at_once: int = SLICE) -> None:
        self._codec = codec
        self._at_once = at_once
        self._signals = SignalLayouts(codec)
        self._frames = FrameLayout(codec)
        # The first array of a process loads pandas if it is there: half a second, and not while records wait.
        pa.array([0])

    def build(self, topic: Topic, taken: Taken, *, name: str, topic_id: str) -> Built:
        """Every value becomes a row of one table or is refused. ``name``: the topic's name in Kafka."""
        built = Built()
        pieces: dict[Table, list[pa.Table]] = {}
        others: list[int] = []
        for begin in range(0, len(taken.values), self._at_once):
            others += self._in_bulk(pieces, topic, taken, begin, name, topic_id)
        self._one_by_one(pieces, built.refused, topic, taken, others, name, topic_id)
        for table, (first, *more) in pieces.items():
            rest = [piece.select(first.column_names) for piece in more]
            built.tables[table] = pa.concat_tables([first, *rest]).unify_dictionaries() if rest else first
        return built

    def _in_bulk(  # noqa: PLR0917 - all of a topic's parts
        self, pieces: Pieces, topic: Topic, taken: Taken, begin: int, name: str, topic_id: str
    ) -> list[int]:
        """Rows of the values from ``begin`` on that match a layout; returns the positions of the others."""
        values = taken.values[begin : begin + self._at_once]
        columns: dict[Table, tuple[Fitting, Columns]] = {}
        others: Iterable[int] = range(len(values))
        if topic == AVATAR_FRAMES:
            found, others = _sound(*self._frames.read(values))
            columns["avatar_frames"] = found, self._frame_columns(found)
        elif topic == SIGNALS:
            faces, speeches, rest = self._signals.read(values)
            faces, rest = _sound(faces, rest)
            speeches, others = _sound(speeches, rest)
            columns["face_signals"] = faces, _face_columns(faces)
            columns["speech_signals"] = speeches, _speech_columns(speeches)
        for table, (found, made) in columns.items():
            if not len(found.index):
                continue
            index = found.index + begin
            where = taken.partitions[index], taken.offsets[index], taken.timestamps_ms[index]
            pieces.setdefault(table, []).append(finish(table, made, *where, topic=name, topic_id=topic_id))
        return [begin + i for i in others]

    def _one_by_one(  # noqa: PLR0917 - as above
        self,
        pieces: Pieces,
        refused: dict[int, str],
        topic: Topic,
        taken: Taken,
        positions: Iterable[int],
        name: str,
        topic_id: str,
    ) -> None:
        batches: dict[Table, Batch] = {}
        for i in positions:
            try:
                record = self._codec.decode(RECORD_OF[topic], taken.values[i])
                table = route(record)
            except (DecodeError, RowError) as error:
                refused[i] = str(error)
                continue
            batches.setdefault(table, Batch()).add(
                record, int(taken.partitions[i]), int(taken.offsets[i]), int(taken.timestamps_ms[i])
            )
        for table, batch in batches.items():
            pieces.setdefault(table, []).append(build(table, batch, topic=name, topic_id=topic_id))

    def _frame_columns(self, found: Fitting) -> Columns:
        record, count = found.record, len(found.index)
        columns = _head(found, ("captured_at",))
        hops(columns, "face", record["face_hops_ms"].astype(np.float64))
        hops(columns, "speech", record["speech_hops_ms"].astype(np.float64))
        for name, names in BYTES.items():
            columns.update(zip(names, _transposed(record[name]), strict=True))
        for name, names in SHORTS.items():
            shorts = np.ascontiguousarray(record[name]).view("<i2").reshape(count, len(names))
            columns.update(zip(names, _transposed(shorts), strict=True))
        for name in FLAGS:
            columns[name] = np.ascontiguousarray(record[name]).view(np.bool_)
        columns["mapping"] = pa.DictionaryArray.from_arrays(
            pa.array((record["mapping"] >> 1).astype(np.int32)), pa.array(self._frames.mappings, pa.string())
        )
        return columns


def _sound(found: Fitting, others: list[int]) -> tuple[Fitting, list[int]]:
    """Leave what a column cannot hold to those who say why."""
    good = ((found.instants >= 0) & (found.instants < LATEST_US)).all(axis=1)
    for numbers in found.integers[:-1]:
        good &= (numbers >= INT32.min) & (numbers <= INT32.max)
    if good.all():
        return found, others
    index = np.flatnonzero(good)
    kept = Fitting(
        found.index[index],
        found.record[index],
        found.instants[index],
        tuple(numbers[index] for numbers in found.integers),
        tuple(words[index] for words in found.texts),
    )
    return kept, sorted([*others, *found.index[~good].tolist()])


STAMP_COLUMNS: Final = ("captured_at", "received_at", "ingested_at", "consumed_at", "inferred_at")


def _head(found: Fitting, stamps: Sequence[str]) -> Columns:
    columns: Columns = {"session_id": _words(found.texts[0]), "sequence": found.integers[-1]}
    for i, name in enumerate(stamps):
        columns[name] = pa.array(np.ascontiguousarray(found.instants[:, i])).cast(MICROSECONDS)
    if len(found.texts) > 1:
        columns["source"] = _words(found.texts[1])
    return columns


def _speech_columns(found: Fitting) -> Columns:
    columns = _head(found, STAMP_COLUMNS)
    _floats(columns, found.record)
    columns["degraded"] = np.ascontiguousarray(found.record["degraded"]).view(np.bool_)
    return columns


def _face_columns(found: Fitting) -> Columns:
    columns = _head(found, STAMP_COLUMNS)
    _floats(columns, found.record)
    for name in ("face_detected", "degraded"):
        columns[name] = np.ascontiguousarray(found.record[name]).view(np.bool_)
    for name, numbers in zip(("face_count", "track_id"), found.integers, strict=False):
        columns[name] = numbers.astype(np.int32)
    return columns


def _floats(columns: Columns, record: npt.NDArray[np.void]) -> None:
    """A column a float, and one for each item of a vector of floats."""
    assert record.dtype.fields is not None
    for name, (kind, *_) in record.dtype.fields.items():
        if kind.base != np.dtype("<f4"):
            continue
        if name in ARRAY_LENGTHS:
            columns.update(zip(SPREAD[name], _transposed(record[name]), strict=True))
        else:
            columns[name] = np.ascontiguousarray(record[name])


def _transposed(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Columns of (rows, width), each contiguous."""
    rows, width = matrix.shape
    out = np.empty((width, rows), matrix.dtype)
    for begin in range(0, rows, BLOCK):
        out[:, begin : begin + BLOCK] = matrix[begin : begin + BLOCK].T
    return out


def _words(texts: npt.NDArray[np.bytes_]) -> pa.DictionaryArray:
    """A column of few distinct words from texts padded with zeros."""
    width = texts.dtype.itemsize
    fixed = pa.Array.from_buffers(pa.binary(width), len(texts), [None, pa.py_buffer(np.ascontiguousarray(texts))])
    encoded = fixed.dictionary_encode()
    distinct = [word.rstrip(b"\0").decode("ascii") for word in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(distinct, pa.string()))
