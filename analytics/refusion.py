"""A session's recorded signals through fusion again, under another configuration.

Signals come from the rows, which hold every field of them at full precision and where each lay in the log: in their
order there they give the same frames byte for byte, as long as the rows are kept. Fusion itself is not of this package;
whoever composes the process hands it over (:data:`Fuse`).
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analytics.columns import BOX_COLUMNS, TableBuilder, Taken
from analytics.database import Client, Database
from analytics.errors import NotFusible, SessionUnknown
from analytics.rows import EMOTION_COLUMNS, VISEME_COLUMNS
from analytics.ticks import SERIES_TICKS, of_frames
from schemas.codec import Codec
from schemas.fusion_config import ConfigError, FusionConfig, SmoothingName
from schemas.records import (
    Calibration,
    FaceSignal,
    MappingName,
    Payload,
    SessionControl,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.topics import AVATAR_FRAMES
from schemas.vocabulary import AUS, BLENDSHAPES

Fuse = Callable[[str, Sequence[bytes]], Sequence[bytes]]
"""Session and encoded signals in log order in, encoded avatar frames out; pure, and may be slow."""

TICKS_A_SECOND: Final = 30
WAIT_S: Final = 30.0
BLOCK: Final = 4_096
STAMPS: Final = ("captured_at", "received_at", "ingested_at", "consumed_at", "inferred_at")
_FACE_VECTORS: Final = {
    "emotion_scores": EMOTION_COLUMNS,
    "au_intensities": AUS,
    "blendshapes": BLENDSHAPES,
    "box": BOX_COLUMNS,
}
_SPEECH_VECTORS: Final = {"emotion_scores": EMOTION_COLUMNS, "viseme_scores": VISEME_COLUMNS}

Place = tuple[str, int, int]
"""Topic id, partition and offset: where a record lay in the log."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Another way to fuse a session: what differs from how it was; None: as it was."""

    mapping: MappingName | None = None
    smoothing: SmoothingName | None = None
    parameters: tuple[tuple[str, float], ...] = ()

    def of(self, recorded: FusionConfig) -> FusionConfig:
        """The configuration with the differences; raises NotFusible, which says what is wrong."""
        # Parameters younger than the session stay unrecorded: what it was fused by says so.
        changed = dict(self.parameters)
        try:
            FusionConfig.of(changed, mapping=self.mapping or recorded.mapping)
        except ConfigError as error:
            raise NotFusible(str(error)) from error
        return replace(
            recorded,
            mapping=self.mapping or recorded.mapping,
            smoothing=self.smoothing or recorded.smoothing,
            parameters={**recorded.parameters, **changed},
        )


@dataclass(frozen=True, slots=True)
class FusedAgain:
    """What came of it."""

    ticks: pa.Table
    """Columns as :func:`analytics.ticks.of_frames` gives them."""
    config: FusionConfig
    signals: int


class Refuser:
    """Thread-safe; fuses one session at a time."""

    def __init__(self, database: Database, codec: Codec, fuse: Fuse | None) -> None:
        self._database = database
        self._codec = codec
        self._fuse = fuse
        self._one = threading.Lock()

    def fuse(self, session_id: str, variant: Variant) -> FusedAgain:
        """The session's frames under ``variant``; blocks for about a hundredth of what the session lasted.

        Raises SessionUnknown if its start is not among the rows, NotFusible if the variant cannot be, if its
        signals are gone or too many, or if this process was given no fusion.
        """
        if self._fuse is None:
            raise NotFusible("this process was started without fusion: run the role by the affectstream command")
        with self._database.reader() as client:
            lifecycle, config = _configured(_lifecycle(client, session_id), session_id, variant)
            _require_bearable(client, session_id)
            found = [
                *((place, self._codec.encode(signal)) for place, signal in lifecycle),
                *_encoded(client, self._codec, "face_signals", session_id, _FACE_VECTORS, _faces),
                *_encoded(client, self._codec, "speech_signals", session_id, _SPEECH_VECTORS, _speeches),
            ]
        if len(found) == len(lifecycle):
            raise NotFusible("the signals of this session are gone: their retention is over, or none came")
        values = [value for _, value in sorted(found, key=lambda each: each[0])]
        if not self._one.acquire(timeout=WAIT_S):
            raise NotFusible(f"another session is being fused; it did not end within {WAIT_S:g} s")
        try:
            frames = self._fuse(session_id, values)
        finally:
            self._one.release()
        return FusedAgain(self._ticks(frames), config, len(values))

    def _ticks(self, frames: Sequence[bytes]) -> pa.Table:
        if not frames:
            raise NotFusible("this configuration gives no frame")
        count = len(frames)
        taken = Taken(frames, np.zeros(count, np.int32), np.arange(count), np.zeros(count, np.int64))
        built = TableBuilder(self._codec).build(AVATAR_FRAMES, taken, name="", topic_id="")
        return of_frames(built.tables["avatar_frames"])


def _require_bearable(client: Client, session_id: str) -> None:
    for table in ("face_signals", "speech_signals"):
        (count,) = client.query(
            f"SELECT count() FROM {table} WHERE session_id = {{session:String}}", parameters={"session": session_id}
        ).result_rows[0]
        if count > SERIES_TICKS:
            hours = SERIES_TICKS / TICKS_A_SECOND / 3_600
            raise NotFusible(f"sessions of up to {hours:.1f} h can be fused again; this one is longer")


def _configured(
    lifecycle: list[tuple[Place, Signal]], session_id: str, variant: Variant
) -> tuple[list[tuple[Place, Signal]], FusionConfig]:
    """The same with the variant's configuration in the session's start."""
    for place, signal in sorted(lifecycle, key=lambda each: each[0]):
        if isinstance(signal.payload, SessionStarted):
            config = variant.of(signal.payload.config)
            changed = replace(signal, payload=replace(signal.payload, config=config))
            others = [each for each in lifecycle if each[0] != place]
            return [(place, changed), *others], config
    raise SessionUnknown(f"no start of session {session_id} is among the rows")


def _read(client: Client, table: str, session_id: str) -> pa.Table:
    """All columns of the session's rows; words as strings, instants as microseconds."""
    raw = client.raw_query(
        f"SELECT * FROM {table} FINAL WHERE session_id = {{session:String}}",
        parameters={"session": session_id},
        fmt="ArrowStream",
    )
    read = pa.ipc.open_stream(raw).read_all()
    columns = {}
    for name, column in zip(read.column_names, read.columns, strict=True):
        if name in STAMPS:
            columns[name] = column.cast(pa.int64())
        elif pa.types.is_dictionary(column.type) or pa.types.is_binary(column.type):
            columns[name] = column.cast(pa.binary()).cast(pa.string())
        else:
            columns[name] = column
    return pa.table(columns)


def _encoded(  # noqa: PLR0917 - all that differs between the modalities
    client: Client,
    codec: Codec,
    table: str,
    session_id: str,
    vectors: Mapping[str, Sequence[str]],
    payloads: Callable[[dict[str, list[Any]]], Iterable[Payload]],
) -> Iterator[tuple[Place, bytes]]:
    """Where each signal lay, and its bytes; a block at a time, for a row as Python objects is twenty times as large."""
    read = _read(client, table, session_id)
    for begin in range(0, read.num_rows, BLOCK):
        block = read.slice(begin, BLOCK)
        spread = {name for names in vectors.values() for name in names}
        columns = {name: block[name].to_pylist() for name in block.column_names if name not in spread}
        for vector, names in vectors.items():
            columns[vector] = np.column_stack([block[name].to_numpy() for name in names]).tolist()
        for n, payload in enumerate(payloads(columns)):
            signal = Signal(
                **{f"{stamp}_us": columns[stamp][n] for stamp in STAMPS},
                payload=payload,
                sequence=columns["sequence"][n],
                session_id=session_id,
                source=columns["source"][n],
            )
            yield (columns["topic_id"][n], columns["partition"][n], columns["offset"][n]), codec.encode(signal)


def _faces(columns: dict[str, list[Any]]) -> Iterator[FaceSignal]:
    names = [field.name for field in fields(FaceSignal)]
    for values in zip(*(columns[name] for name in names), strict=True):
        yield FaceSignal(*values)


def _speeches(columns: dict[str, list[Any]]) -> Iterator[SpeechSignal]:
    names = [field.name for field in fields(SpeechSignal)]
    for values in zip(*(columns[name] for name in names), strict=True):
        yield SpeechSignal(*values)


def _lifecycle(client: Client, session_id: str) -> list[tuple[Place, Signal]]:
    found: list[tuple[Place, Signal]] = []
    for row in _read(client, "sessions", session_id).to_pylist():
        payload: Payload
        match row["kind"]:
            case "started":
                payload = _started(row)
            case "ended":
                payload = SessionEnded(row["end_reason"])
            case action:
                payload = SessionControl(action)
        signal = Signal(
            captured_at_us=row["captured_at"],
            received_at_us=row["received_at"],
            ingested_at_us=row["ingested_at"],
            consumed_at_us=row["ingested_at"],
            inferred_at_us=row["ingested_at"],
            payload=payload,
            sequence=row["sequence"],
            session_id=session_id,
            source=row["source"],
        )
        found.append(((row["topic_id"], row["partition"], row["offset"]), signal))
    return found


def _started(row: dict[str, Any]) -> SessionStarted:
    calibrated = row["au_neutral"] and row["au_gain"]
    return SessionStarted(
        tenant=row["tenant"],
        subject=None,
        timeline=row["timeline"],
        audio_consented=row["audio_consented"],
        video_consented=row["video_consented"],
        store_raw_consented=row["store_raw_consented"],
        speech_expected=row["speech_expected"],
        face_expected=row["face_expected"],
        config=FusionConfig(
            version=row["config_version"],
            mapping=row["mapping"],
            smoothing=row["smoothing"],
            parameters={_word(name): value for name, value in row["parameters"]},
        ),
        calibration=Calibration(tuple(row["au_neutral"]), tuple(row["au_gain"])) if calibrated else None,
    )


def _word(text: str | bytes) -> str:
    """ClickHouse writes words as bytes."""
    return text.decode() if isinstance(text, bytes) else text
