"""Records to rows: pure functions from batches of records to Arrow tables, one builder a table.

A column of the result is a column of the table in ``infra/clickhouse/``, by name. Packed fields become a column a
channel: the bytes of many records are joined and read as one matrix (``np.frombuffer``), never byte by byte.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.errors import RowError
from schemas.records import (
    AvatarFrame,
    ClientEvent,
    DeadLetter,
    FaceSignal,
    LedgerEntry,
    Record,
    SessionControl,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, DEAD_LETTERS, LEDGER, SIGNALS, Topic
from schemas.vocabulary import AFFECT, ANGLES, AUS, BLENDSHAPES, EMOTIONS, LEVELS, SIGNAL_HOPS, VISEMES

Table = Literal[
    "sessions", "speech_signals", "face_signals", "avatar_frames", "client_events", "ledger", "dead_letters"
]
Columns = dict[str, Any]
"""Column name to Arrow array, or numpy array of the column's type."""

TABLES_OF: Final[Mapping[Topic, tuple[Table, ...]]] = {
    SIGNALS: ("sessions", "speech_signals", "face_signals"),
    AVATAR_FRAMES: ("avatar_frames",),
    CLIENT_EVENTS: ("client_events",),
    LEDGER: ("ledger",),
    DEAD_LETTERS: ("dead_letters",),
}
"""Which tables a topic's records go to."""

RECORD_OF: Final[Mapping[Topic, type[Record]]] = {
    SIGNALS: Signal,
    AVATAR_FRAMES: AvatarFrame,
    CLIENT_EVENTS: ClientEvent,
    LEDGER: LedgerEntry,
    DEAD_LETTERS: DeadLetter,
}
"""The record of each topic."""

MICROSECONDS: Final = pa.timestamp("us", "UTC")
MILLISECONDS: Final = pa.timestamp("ms", "UTC")
LATEST_US: Final = 4_102_444_800_000_000
"""2100-01-01: an instant outside [1970, 2100) is an error of whoever wrote it."""
STAMPS: Final[Mapping[Table, str]] = {"avatar_frames": "fused_at"}
"""The column of Kafka's timestamp, where it is not published_at."""
INT32: Final = np.iinfo(np.int32)
INT64: Final = np.iinfo(np.int64)
HOP_STEP_US: Final = 100
"""Hops are kept to 0.1 ms: finer digits are noise that does not compress."""


@dataclass(slots=True)
class Batch:
    """Records of one table with where they came from: parallel lists."""

    records: list[Any] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)

    def add(self, record: Record, partition: int, offset: int, timestamp_ms: int) -> None:
        """Append one record."""
        self.records.append(record)
        self.partitions.append(partition)
        self.offsets.append(offset)
        self.timestamps_ms.append(timestamp_ms)

    def __len__(self) -> int:
        return len(self.records)


def route(record: Record) -> Table:
    """The table that ``record`` goes to; raises RowError if no row can be made of it."""
    match record:
        case AvatarFrame():
            _instants(captured_at_us=record.captured_at_us)
            _within(INT64, sequence=record.sequence)
            _lengths(face_hops_ms=(record.face_hops_ms, 5), speech_hops_ms=(record.speech_hops_ms, 5))
            return "avatar_frames"
        case Signal():
            return _route_signal(record)
        case LedgerEntry():
            _instants(recorded_at_us=record.recorded_at_us)
            _within(
                INT64,
                count=record.count,
                first_sequence=record.first_sequence,
                last_sequence=record.last_sequence,
            )
            return "ledger"
        case ClientEvent():
            _instants(
                captured_at_us=record.captured_at_us,
                received_at_us=record.received_at_us,
                frame_captured_at_us=record.frame_captured_at_us,
                relayed_at_us=record.relayed_at_us,
                rendered_at_us=record.rendered_at_us,
            )
            _within(INT64, sequence=record.sequence, frame_sequence=record.frame_sequence)
            return "client_events"
        case DeadLetter():
            _instants(recorded_at_us=record.recorded_at_us)
            _within(INT32, partition=record.partition)
            _within(INT64, offset=record.offset)
            return "dead_letters"
    raise RowError(f"no table for a {type(record).__name__}")


def _route_signal(record: Signal) -> Table:
    _instants(
        captured_at_us=record.captured_at_us,
        received_at_us=record.received_at_us,
        ingested_at_us=record.ingested_at_us,
        consumed_at_us=record.consumed_at_us,
        inferred_at_us=record.inferred_at_us,
    )
    _within(INT64, sequence=record.sequence)
    payload = record.payload
    if isinstance(payload, SpeechSignal):
        _lengths(emotion_scores=(payload.emotion_scores, 7), viseme_scores=(payload.viseme_scores, 15))
        return "speech_signals"
    if isinstance(payload, FaceSignal):
        _lengths(
            emotion_scores=(payload.emotion_scores, 7),
            au_intensities=(payload.au_intensities, 20),
            blendshapes=(payload.blendshapes, 52),
            box=(payload.box, 4),
        )
        _within(INT32, face_count=payload.face_count, track_id=payload.track_id)
        return "face_signals"
    return "sessions"


def _instants(**instants: int | None) -> None:
    for name, value in instants.items():
        if value is not None and not 0 <= value < LATEST_US:
            raise RowError(f"{name} is outside 1970..2100")


def _within(limits: "np.iinfo[Any]", **numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and not limits.min <= value <= limits.max:
            raise RowError(f"{name} does not fit {limits.bits} bits")


def _lengths(**vectors: tuple[Sequence[float], int]) -> None:
    for name, (vector, wanted) in vectors.items():
        if len(vector) != wanted:
            raise RowError(f"{name} has {len(vector)} items, not {wanted}")


def build(table: Table, batch: Batch, *, topic: str, topic_id: str) -> pa.Table:
    """The Arrow table of ``batch``; ``topic`` is the Kafka name. Every record must have passed :func:`route`."""
    return finish(
        table,
        BUILDERS[table](batch.records),
        np.asarray(batch.partitions, np.int32),
        np.asarray(batch.offsets, np.int64),
        np.asarray(batch.timestamps_ms, np.int64),
        topic=topic,
        topic_id=topic_id,
    )


def finish(
    table: Table,
    columns: Columns,
    partitions: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    timestamps_ms: npt.NDArray[np.int64],
    *,
    topic: str,
    topic_id: str,
) -> pa.Table:
    """``columns`` and where each row came from."""
    count = len(offsets)
    return pa.table(
        {
            **columns,
            "topic": _constant(topic, count),
            "topic_id": _constant(topic_id, count),
            "partition": partitions,
            "offset": offsets,
            STAMPS.get(table, "published_at"): pa.array(timestamps_ms).cast(MILLISECONDS),
        }
    )


def _constant(value: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def _words(values: Iterable[str]) -> pa.DictionaryArray:
    """A column of few distinct words."""
    return pa.array(list(values), pa.string()).dictionary_encode()


def _instant(values: Iterable[int | None]) -> pa.Array:
    return pa.array(list(values), pa.int64()).cast(MICROSECONDS)


def _spread(columns: Columns, names: Sequence[str], matrix: npt.NDArray[Any]) -> None:
    """One column a name; ``matrix`` is (rows, len(names))."""
    # Column-major once, instead of a strided copy a column.
    transposed = np.ascontiguousarray(matrix.T)
    for name, column in zip(names, transposed, strict=True):
        columns[name] = column


def _packed(parts: Iterable[bytes], dtype: str, width: int) -> npt.NDArray[Any]:
    """(rows, width) from each record's packed bytes."""
    return np.frombuffer(b"".join(parts), dtype=dtype).reshape(-1, width)


def _floats(vectors: Iterable[Sequence[float]], width: int) -> npt.NDArray[np.float32]:
    return np.asarray(list(vectors), np.float32).reshape(-1, width)


EMOTION_COLUMNS: Final = tuple(f"emotion_{name}" for name in EMOTIONS)
VISEME_COLUMNS: Final = tuple(f"viseme_{name}" for name in VISEMES)
HOP_COLUMNS: Final = ("age", "transport", "ingest", "queue", "inference")


def hops(columns: Columns, modality: str, hops_ms: npt.NDArray[np.float64]) -> None:
    """Durations from the stamps relative to the tick, (rows, 5): ``-captured``, then each stamp less the one before."""
    us = hops_ms * 1_000.0
    durations = np.concatenate([-us[:, :1], np.diff(us, axis=1)], axis=1)
    rounded = np.rint(durations / HOP_STEP_US) * HOP_STEP_US
    missing = ~(np.abs(rounded) < 2**31)  # NaN too: no sample counted
    values = np.where(missing, 0, rounded).astype(np.int32)
    for i, hop in enumerate(HOP_COLUMNS):
        columns[f"{modality}_{hop}_us"] = pa.array(np.ascontiguousarray(values[:, i]), mask=missing[:, i].copy())


def _avatar_frames(records: Sequence[AvatarFrame]) -> Columns:
    width = len(SIGNAL_HOPS)
    columns: Columns = {
        "session_id": _words(r.session_id for r in records),
        "sequence": np.asarray([r.sequence for r in records], np.int64),
        "captured_at": _instant(r.captured_at_us for r in records),
    }
    hops(columns, "face", np.asarray([r.face_hops_ms for r in records], np.float64).reshape(-1, width))
    hops(columns, "speech", np.asarray([r.speech_hops_ms for r in records], np.float64).reshape(-1, width))
    _spread(columns, EMOTION_COLUMNS, _packed((r.emotions for r in records), "u1", len(EMOTIONS)))
    _spread(columns, AFFECT, _packed((r.affect for r in records), "<i2", len(AFFECT)))
    _spread(columns, LEVELS, _packed((r.levels for r in records), "u1", len(LEVELS)))
    _spread(columns, AUS, _packed((r.aus for r in records), "u1", len(AUS)))
    _spread(columns, ANGLES, _packed((r.angles for r in records), "<i2", len(ANGLES)))
    _spread(columns, BLENDSHAPES, _packed((r.blendshapes for r in records), "u1", len(BLENDSHAPES)))
    _spread(columns, VISEME_COLUMNS, _packed((r.visemes for r in records), "u1", len(VISEMES)))
    for name in ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait"):
        columns[name] = np.asarray([getattr(r, name) for r in records], np.bool_)
    columns["mapping"] = _words(r.mapping for r in records)
    return columns


def _signal_head(records: Sequence[Signal]) -> Columns:
    return {
        "session_id": _words(r.session_id for r in records),
        "sequence": np.asarray([r.sequence for r in records], np.int64),
        "captured_at": _instant(r.captured_at_us for r in records),
        "received_at": _instant(r.received_at_us for r in records),
        "ingested_at": _instant(r.ingested_at_us for r in records),
        "consumed_at": _instant(r.consumed_at_us for r in records),
        "inferred_at": _instant(r.inferred_at_us for r in records),
        "source": _words(r.source for r in records),
    }


def _speech_signals(records: Sequence[Signal]) -> Columns:
    columns = _signal_head(records)
    payloads = [cast("SpeechSignal", r.payload) for r in records]
    for name in (
        "speaking_probability",
        "energy_dbfs",
        "emotion_unknown",
        "emotion_confidence",
        "emotion_age_ms",
        "valence",
        "arousal",
        "dominance",
        "viseme_confidence",
    ):
        columns[name] = np.asarray([getattr(p, name) for p in payloads], np.float32)
    _spread(columns, EMOTION_COLUMNS, _floats((p.emotion_scores for p in payloads), len(EMOTIONS)))
    _spread(columns, VISEME_COLUMNS, _floats((p.viseme_scores for p in payloads), len(VISEMES)))
    columns["degraded"] = np.asarray([p.degraded for p in payloads], np.bool_)
    return columns


def _face_signals(records: Sequence[Signal]) -> Columns:
    columns = _signal_head(records)
    payloads = [cast("FaceSignal", r.payload) for r in records]
    for name in (
        "confidence",
        "valence",
        "arousal",
        "dominance",
        "yaw_deg",
        "pitch_deg",
        "roll_deg",
        "gaze_x",
        "gaze_y",
        "blink_left",
        "blink_right",
    ):
        columns[name] = np.asarray([getattr(p, name) for p in payloads], np.float32)
    _spread(columns, EMOTION_COLUMNS, _floats((p.emotion_scores for p in payloads), len(EMOTIONS)))
    _spread(columns, AUS, _floats((p.au_intensities for p in payloads), len(AUS)))
    _spread(columns, BLENDSHAPES, _floats((p.blendshapes for p in payloads), len(BLENDSHAPES)))
    _spread(columns, ("box_x", "box_y", "box_width", "box_height"), _floats((p.box for p in payloads), 4))
    for name in ("face_detected", "degraded"):
        columns[name] = np.asarray([getattr(p, name) for p in payloads], np.bool_)
    for name in ("face_count", "track_id"):
        columns[name] = np.asarray([getattr(p, name) for p in payloads], np.int32)
    return columns


def _lifecycle_kind(record: Signal) -> str:
    if isinstance(record.payload, SessionControl):
        return record.payload.action
    return "started" if isinstance(record.payload, SessionStarted) else "ended"


def _sessions(records: Sequence[Signal]) -> Columns:
    started = [r.payload if isinstance(r.payload, SessionStarted) else None for r in records]
    ended = [r.payload if isinstance(r.payload, SessionEnded) else None for r in records]
    columns: Columns = {
        "session_id": _words(r.session_id for r in records),
        "kind": _words(_lifecycle_kind(r) for r in records),
        "captured_at": _instant(r.captured_at_us for r in records),
        "received_at": _instant(r.received_at_us for r in records),
        "ingested_at": _instant(r.ingested_at_us for r in records),
        "sequence": np.asarray([r.sequence for r in records], np.int64),
        "source": _words(r.source for r in records),
        "tenant": _words(s.tenant if s else "" for s in started),
        "subject": pa.array([(s.subject or "") if s else "" for s in started], pa.string()),
        "timeline": _words(s.timeline if s else "" for s in started),
        "config_version": _words(s.config.version if s else "" for s in started),
        "mapping": _words(s.config.mapping if s else "" for s in started),
        "smoothing": _words(s.config.smoothing if s else "" for s in started),
        "end_reason": _words(e.reason if e else "" for e in ended),
    }
    for name in (
        "audio_consented", "video_consented", "store_raw_consented", "speech_expected", "face_expected",
        "fairness_consented",
    ):  # fmt: skip
        columns[name] = np.asarray([bool(s and getattr(s, name)) for s in started], np.bool_)
    columns["parameters"] = pa.array(
        [sorted(s.config.parameters.items()) if s else [] for s in started], pa.map_(pa.string(), pa.float64())
    )
    for name in ("au_neutral", "au_gain"):
        columns[name] = pa.array(
            [list(getattr(s.calibration, name)) if s and s.calibration else [] for s in started],
            pa.list_(pa.float32()),
        )
    experiments = [s.experiment if s else None for s in started]
    columns["experiment"] = _words(e.experiment if e else "" for e in experiments)
    columns["variant"] = _words(e.variant if e else "" for e in experiments)
    columns["salt"] = pa.array([e.salt if e else "" for e in experiments], pa.string())
    columns["declared_group"] = _words((s.declared_group or "") if s else "" for s in started)
    return columns


def _client_events(records: Sequence[ClientEvent]) -> Columns:
    return {
        "session_id": _words(r.session_id for r in records),
        "sequence": np.asarray([r.sequence for r in records], np.int64),
        "captured_at": _instant(r.captured_at_us for r in records),
        "received_at": _instant(r.received_at_us for r in records),
        "kind": _words(r.kind for r in records),
        "client_id": pa.array([r.client_id for r in records], pa.string()),
        "frame_sequence": pa.array([r.frame_sequence for r in records], pa.int64()),
        "frame_captured_at": _instant(r.frame_captured_at_us for r in records),
        "relayed_at": _instant(r.relayed_at_us for r in records),
        "rendered_at": _instant(r.rendered_at_us for r in records),
        "value": pa.array([r.value for r in records], pa.float64()),
        "detail": pa.array([r.detail or "" for r in records], pa.string()),
    }


def _ledger(records: Sequence[LedgerEntry]) -> Columns:
    return {
        "session_id": _words(r.session_id for r in records),
        "recorded_at": _instant(r.recorded_at_us for r in records),
        "stage": _words(r.stage for r in records),
        "modality": _words(r.modality for r in records),
        "outcome": _words(r.outcome for r in records),
        "count": np.asarray([r.count for r in records], np.int64),
        "first_sequence": np.asarray([r.first_sequence for r in records], np.int64),
        "last_sequence": np.asarray([r.last_sequence for r in records], np.int64),
        "detail": pa.array([r.detail for r in records], pa.string()),
    }


def _dead_letters(records: Sequence[DeadLetter]) -> Columns:
    return {
        "recorded_at": _instant(r.recorded_at_us for r in records),
        "stage": _words(r.stage for r in records),
        "source_topic": _words(r.topic for r in records),
        "source_partition": np.asarray([r.partition for r in records], np.int32),
        "source_offset": np.asarray([r.offset for r in records], np.int64),
        "error": pa.array([r.error for r in records], pa.string()),
        # The content is nobody's business here: it may be what the person said.
        "key_bytes": np.asarray([len(r.key) for r in records], np.uint32),
        "value_bytes": np.asarray([len(r.value) for r in records], np.uint32),
    }


BUILDERS: Final[Mapping[Table, Callable[[Any], Columns]]] = {
    "sessions": _sessions,
    "speech_signals": _speech_signals,
    "face_signals": _face_signals,
    "avatar_frames": _avatar_frames,
    "client_events": _client_events,
    "ledger": _ledger,
    "dead_letters": _dead_letters,
}
"""What makes the columns of each table from records; :mod:`analytics.columns` makes the same from bytes."""
