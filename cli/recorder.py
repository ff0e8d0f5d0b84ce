"""``affectstream record``: sessions from Kafka's log to a file."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, NamedTuple

from analytics.recordings.container import Entry, Header, RecordedSession, RecordingError
from analytics.recordings.sealed import sealing_for
from analytics.recordings.writing import writing
from dataflows.ownership import read_claims
from inference_workers import models
from runtime.clock import Clock
from runtime.kafka import OFFSET_BEGINNING, Message, TopicPartition, consumer
from runtime.kept import restored
from runtime.keystore import KeyRing, key_store
from runtime.registry import codec
from runtime.sealed_media import opened
from runtime.settings import Settings
from runtime.topics import murmur2_partition, offset_ranges, partition_count
from schemas.codec import HISTORY_FOLDER, Codec, DecodeError, fingerprint, schema_text
from schemas.records import (
    TOP_LEVEL,
    AudioChunk,
    ClientEvent,
    KeptRecord,
    SessionEnded,
    SessionStarted,
    Signal,
    VideoFrame,
)
from schemas.topics import (
    AVATAR_FRAMES,
    CLIENT_EVENTS,
    KEPT,
    MEDIA_AUDIO,
    MEDIA_VIDEO,
    SIGNALS,
    Topic,
    topic_specs,
)

READ_AT_ONCE: Final = 1_000
READ_S: Final = 0.5
RECORDED: Final[tuple[Topic, ...]] = (SIGNALS, AVATAR_FRAMES, MEDIA_AUDIO, MEDIA_VIDEO)
MEDIA: Final[Mapping[Topic, type[AudioChunk | VideoFrame]]] = {MEDIA_AUDIO: AudioChunk, MEDIA_VIDEO: VideoFrame}
LIBRARIES: Final = ("numpy", "numba", "fastavro", "bytewax", "onnxruntime", "ai-edge-litert")
MAX_SESSIONS: Final = 10_000
FUSED_S: Final = 30.0
ASK_S: Final = 0.2

Progress = Callable[[str], None]


@dataclass(slots=True)
class _Seen:
    """What the log says of a session."""

    started: Signal | None = None
    ended: Signal | None = None
    sources: set[str] = field(default_factory=set)
    partition: int = 0
    end_offset: int = -1
    scopes: frozenset[str] | None = None
    """Consent left, by the latest event that says so."""

    def consent(self) -> Mapping[str, bool]:
        """Consent at the session's end."""
        assert self.started is not None
        payload = self.started.payload
        assert isinstance(payload, SessionStarted)
        given = {
            "audio": payload.audio_consented,
            "video": payload.video_consented,
            "store_raw": payload.store_raw_consented,
        }
        return {name: allowed and (self.scopes is None or name in self.scopes) for name, allowed in given.items()}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written."""

    path: Path
    header: Header
    counts: Mapping[str, int]
    bytes: int


def record(
    settings: Settings, sessions: Sequence[str], path: Path, clock: Clock, progress: Progress, *, follow: bool = False,
    media: bool = True, sealed: bool = False,
) -> Recorded:  # fmt: skip
    """Write the sessions' signals, frames, and, where storing raw media is consented, their sound and pictures.

    ``follow``: wait for the end of sessions that still run. ``media``: whether sound and pictures may be in it at all.
    ``sealed``: with the sessions' keys, so that erasing one makes the file unreadable. Raises RecordingError if a
    session is not in the log, has not ended, or if the file cannot be written; BrokerError if Kafka does not answer.
    """
    wanted = tuple(dict.fromkeys(sessions))
    if not 0 < len(wanted) <= MAX_SESSIONS:
        raise RecordingError(f"name between one and {MAX_SESSIONS:,} sessions")
    log = _Log(settings, wanted)
    seen = log.survey(progress, follow=follow)
    allowed = {
        MEDIA_AUDIO: {name for name in wanted if media and _storable(seen[name], "audio")},
        MEDIA_VIDEO: {name for name in wanted if media and _storable(seen[name], "video")},
    }
    media = any(allowed.values())
    header = Header(
        product=version("affectstream"),
        recorded_at_us=clock.now_us(),
        sessions=[_described(name, seen[name]) for name in wanted],
        engines=sorted(set().union(*(each.sources for each in seen.values())) - {"ingest"}),
        media=media,
        models={name: asset.sha256 for name, asset in sorted(models.manifest().items())},
        libraries=_libraries(),
        schemas=_schemas(),
    )
    log.wait_fused(seen, progress)
    progress(f"writing {path}" + ("" if media else "; raw media was not consented to be stored: none is in it"))
    counts: dict[str, int] = {}
    sealing = sealing_for(key_store(settings.data_dir), wanted) if sealed else None
    with writing(path, header, sealing) as writer:
        for topic in RECORDED:
            chosen = allowed.get(topic, set(wanted))
            for entry in log.entries(topic, chosen):
                writer.add(entry)
                counts[topic] = counts.get(topic, 0) + 1
    return Recorded(path, header, counts, path.stat().st_size)


def _storable(seen: _Seen, modality: str) -> bool:
    consent = seen.consent()
    return consent["store_raw"] and consent[modality]


def _described(name: str, seen: _Seen) -> RecordedSession:
    assert seen.started is not None
    payload = seen.started.payload
    assert isinstance(payload, SessionStarted)
    end = seen.ended.payload if seen.ended is not None else None
    return RecordedSession(
        session_id=name,
        started_at_us=seen.started.captured_at_us,
        timeline=payload.timeline,
        config=asdict(payload.config),
        consent=seen.consent(),
        ended=end is not None,
        end_reason=end.reason if isinstance(end, SessionEnded) else None,
    )


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _schemas() -> dict[str, object]:
    """Every version of the recorded records' schemas, by fingerprint."""
    names = {topic_specs()[topic].schema for topic in RECORDED}
    found: dict[str, object] = {fingerprint(name).hex(): json.loads(schema_text(name)) for name in sorted(names)}
    for path in sorted(HISTORY_FOLDER.glob("*.avsc")):
        name, _, mark = path.stem.partition("-")
        if name in names:
            found.setdefault(mark, json.loads(path.read_text(encoding="utf-8")))
    return found


class _Record(NamedTuple):
    """A record of one of the sessions, wherever it stands now."""

    session_id: str
    partition: int
    offset: int
    published_at_ms: int
    value: bytes


class _Log:
    """The partitions in which some sessions lie."""

    def __init__(self, settings: Settings, sessions: Sequence[str]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._names = frozenset(sessions)
        self._wire, self._plain = codec(settings), Codec()
        self._keys = KeyRing(key_store(settings.data_dir))
        count = partition_count(settings, SIGNALS)
        self._partitions = sorted({murmur2_partition(name.encode(), count) for name in sessions})

    def survey(self, progress: Progress, *, follow: bool) -> Mapping[str, _Seen]:
        """What the log says of each session, by lifecycle and consent; RecordingError if one is not there or runs."""
        seen = {name: _Seen() for name in self._sessions}
        told = False

        def complete() -> bool:
            return all(each.ended is not None for each in seen.values())

        for record in self._records(SIGNALS, until=complete if follow else None):
            if record is None:
                if not told and not complete():
                    told = True
                    progress("waiting for the end of " + ", ".join(n for n, each in seen.items() if each.ended is None))
                continue
            try:
                signal = self._wire.decode(Signal, record.value)
            except DecodeError:
                continue  # it is recorded, as it is
            of = seen[record.session_id]
            of.sources.add(signal.source)
            if isinstance(signal.payload, SessionStarted) and of.started is None:
                of.started = signal
            elif isinstance(signal.payload, SessionEnded) and of.ended is None:
                of.ended = signal
                of.partition, of.end_offset = record.partition, record.offset
        days = topic_specs()[SIGNALS].retention_ms / 86_400_000
        if missing := [name for name, each in seen.items() if each.started is None]:
            raise RecordingError(f"not in the log, which is kept for {days:g} days: {', '.join(missing[:10])}")
        if running := [name for name, each in seen.items() if each.ended is None]:
            raise RecordingError(f"not ended yet: {', '.join(running[:10])}; --follow waits for the end")
        for record in self._records(CLIENT_EVENTS):
            if record is not None:
                self._consent(seen[record.session_id], record.value)
        return seen

    def wait_fused(self, seen: Mapping[str, _Seen], progress: Progress) -> None:
        """Return once fusion is past every session's end, so that its last frames are there; or say that it is not."""
        ends: dict[int, int] = {}
        for each in seen.values():
            ends[each.partition] = max(ends.get(each.partition, 0), each.end_offset)
        until = time.monotonic() + FUSED_S
        while True:
            claims = read_claims(self._settings, list(ends))
            if all(claims[partition].offset > offset for partition, offset in ends.items()):
                return
            if time.monotonic() > until:
                progress("fusion has not come to the sessions' end: their last frames are missing")
                return
            time.sleep(ASK_S)

    def _consent(self, seen: _Seen, value: bytes) -> None:
        try:
            event = self._wire.decode(ClientEvent, value)
        except DecodeError:
            seen.scopes = frozenset()  # what cannot be read may have withdrawn everything
            return
        if event.kind == "consent_changed":
            left = frozenset((event.detail or "").split())
            seen.scopes = left if seen.scopes is None else seen.scopes & left

    def entries(self, topic: Topic, sessions: "set[str]") -> Iterator[Entry]:
        """The sessions' records of a topic as they stand there now, partition by partition in log order."""
        if not sessions:
            return
        found: list[Entry] = []
        for partition in self._partitions:
            for record in self._records(topic, only=partition):
                if record is not None and record.session_id in sessions:
                    entry = self._entry(topic, record)
                    if entry is not None:
                        found.append(entry)
                    if len(found) >= READ_AT_ONCE:
                        yield from found
                        found.clear()
        yield from found

    def _entry(self, topic: Topic, record: "_Record") -> Entry | None:
        """The record as it is to be kept; None for media that cannot be opened any more: its key was destroyed."""
        value = record.value
        if self._settings.schema_registry_url:
            # A registry's ids mean nothing elsewhere.
            cls = TOP_LEVEL[topic_specs()[topic].schema]
            with suppress(DecodeError):
                value = self._plain.encode(self._wire.decode(cls, value))
        if topic in MEDIA:
            opened = self._opened(topic, value)
            if opened is None:
                return None
            value = opened
        return Entry(topic, record.partition, record.offset, record.published_at_ms, record.session_id, value)

    def _opened(self, topic: Topic, value: bytes) -> bytes | None:
        """A media record with its sound or picture in the clear; bytes that are no such record as they are."""
        try:
            record = opened(self._plain.decode(MEDIA[topic], value), self._keys)
        except DecodeError:
            return value
        return None if record is None else self._plain.encode(record)

    def _records(
        self, topic: Topic, *, only: int | None = None, until: Callable[[], bool] | None = None
    ) -> Iterator["_Record | None"]:
        """The sessions' records of a topic in log order: those that were carried over, then what still stands there."""
        newest: dict[int, int] = {}
        for record in self._kept(topic, only):
            # Carried over again by an erasure that was interrupted: once is enough.
            if record.offset > newest.get(record.partition, -1):
                newest[record.partition] = record.offset
                yield record
        for message in self._messages(topic, only=only, until=until):
            if message is None:
                yield None
                continue
            name, partition, offset = _key(message), int(message.partition() or 0), int(message.offset() or 0)
            if name in self._names and offset > newest.get(partition, -1):
                yield _Record(name, partition, offset, message.timestamp()[1], bytes(message.value() or b""))

    def _kept(self, topic: Topic, only: int | None) -> Iterator["_Record"]:
        digests = {self._keys.store.digest(name): name for name in self._sessions}
        for message in self._messages(KEPT, only=only):
            name = None if message is None else digests.get(_key(message))
            if message is None or name is None:
                continue
            kept = self._plain.decode(KeptRecord, message.value())
            value = restored(self._keys, name, kept) if kept.topic == topic else None
            if value is not None:
                yield _Record(name, kept.partition, kept.offset, kept.published_at_ms, value)

    def _messages(
        self, topic: Topic, *, only: int | None = None, until: Callable[[], bool] | None = None
    ) -> Iterator[Message | None]:
        """What stands in the partitions now; with ``until``, and what comes until that holds. None: nothing new."""
        chosen = self._partitions if only is None else [only]
        ranges = offset_ranges(self._settings, topic)
        ends = {partition: ranges[partition][1] for partition in chosen if ranges[partition][1] > ranges[partition][0]}
        reader = consumer(self._settings, "record", fetch_wait_max_ms=50, queued_min_messages=20_000)
        try:
            reader.assign([TopicPartition(self._settings.topic(topic), number, OFFSET_BEGINNING) for number in chosen])
            while ends or (until is not None and not until()):
                batch = reader.consume(READ_AT_ONCE, READ_S)
                if not batch:
                    yield None
                for message in batch:
                    error = message.error()
                    if error is not None:
                        raise RecordingError(f"{topic} cannot be read: {error}")
                    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                    if partition in ends and offset + 1 >= ends[partition]:
                        del ends[partition]
                    yield message
        finally:
            reader.close()


def _key(message: Message) -> str:
    key = message.key() or b""
    return key.decode(errors="replace") if isinstance(key, bytes) else key
