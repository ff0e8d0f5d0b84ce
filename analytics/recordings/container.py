"""The recording's file format: an Avro object container, zstd-compressed, extension ``.afr``.

Any Avro library reads it: the container holds the schema of its entries, and its metadata ``affectstream.header``
(JSON) holds the schema of every record in them, the sessions with their configuration, and the versions of everything.
An entry is one record of Kafka, its value byte for byte as it stood there (Avro single-object encoding), so that a
replay has the very bytes of the log. The last entry, topic ``summary``, says how many came before it, and the SHA-256
of header and entries: a file without it was cut, one that differs was altered.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import fastavro

from runtime.errors import AffectstreamError

EXTENSION: Final = ".afr"
FORMAT: Final = 1
HEADER_KEY: Final = "affectstream.header"
CODEC: Final = "zstandard"
SUMMARY: Final = "summary"
"""Topic of the last entry; its value is a :class:`Summary` as JSON."""

ENTRY_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "record",
    "name": "Entry",
    "namespace": "affectstream.recording",
    "doc": "One record of the log.",
    "fields": [
        {"name": "topic", "type": "string", "doc": "Without the deployment's prefix; summary: the end of the file."},
        {"name": "partition", "type": "int", "doc": "Where it stood."},
        {"name": "offset", "type": "long", "doc": "Where it stood; rises within a partition."},
        {"name": "published_at_ms", "type": "long", "doc": "Kafka's timestamp: milliseconds since the epoch."},
        {"name": "session_id", "type": "string", "doc": "The record's key."},
        {"name": "value", "type": "bytes", "doc": "Avro single-object encoding; the header names the schemas."},
    ],
}
PARSED: Final = fastavro.parse_schema(json.loads(json.dumps(ENTRY_SCHEMA)))


class RecordingError(AffectstreamError):
    """A file that is no recording, or that was cut or altered; the message says which, where and what."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the log."""

    topic: str
    partition: int
    offset: int
    published_at_ms: int
    session_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What the header says of a session."""

    session_id: str
    started_at_us: int
    timeline: str
    config: Mapping[str, Any]
    """Version, mapping, smoothing and every parameter, as in its SessionStarted."""
    consent: Mapping[str, bool]
    ended: bool
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording says of itself before its entries."""

    product: str
    """Version of affectstream that recorded it."""
    recorded_at_us: int
    sessions: Sequence[RecordedSession]
    engines: Sequence[str]
    """Every source of signals, name@version."""
    media: bool = False
    """Whether sound or pictures are among the entries."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """SHA-256 of each model file of the installation that recorded, by name (by platform, where builds differ)."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    """Each schema of the entries' values by its CRC-64-AVRO fingerprint (hex, as in the encoding)."""
    replay_of: Mapping[str, Any] | None = None
    """Of a replay: what was replayed and how."""
    format: int = FORMAT

    def to_json(self) -> bytes:
        """For the container's metadata."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Header":
        """The inverse; RecordingError if it says what it must not, or leaves something out."""
        try:
            raw = json.loads(data)
            version = raw["format"]
            if version != FORMAT:
                raise RecordingError(f"the recording has format {version!r}, this version reads format {FORMAT}")
            sessions = tuple(RecordedSession(**session) for session in raw.pop("sessions"))
            header = cls(sessions=sessions, **raw)
            named = [session.session_id for session in sessions]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"the recording's header cannot be read: {error!r}") from error
        if not all(isinstance(name, str) for name in (*named, *header.engines, header.product)):
            raise RecordingError("the recording's header names a session or an engine that is no text")
        return header


@dataclass(frozen=True, slots=True)
class Summary:
    """What the last entry says of all before it."""

    entries: int
    counts: Mapping[str, int]
    """Entries by topic."""
    sha256: str
    """Of the header and every entry before this one: see :class:`Digest`."""

    def to_json(self) -> bytes:
        """For the last entry's value."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Summary":
        """The inverse; RecordingError."""
        try:
            raw = json.loads(data)
            counts = {str(topic): int(count) for topic, count in raw["counts"].items()}
            return cls(int(raw["entries"]), counts, str(raw["sha256"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"the recording's last entry cannot be read: {error!r}") from error


class Digest:
    """SHA-256 over the header's JSON as in the file, then of each entry its fields, one a line, and its value."""

    def __init__(self, header: bytes) -> None:
        self._sum = hashlib.sha256(header)

    def add(self, entry: Entry) -> None:
        """Take the next entry."""
        place = (entry.topic, entry.partition, entry.offset, entry.published_at_ms, entry.session_id, len(entry.value))
        self._sum.update("\n".join(map(str, place)).encode() + b"\n" + entry.value)

    def hex(self) -> str:
        """The sum so far."""
        return self._sum.hexdigest()
