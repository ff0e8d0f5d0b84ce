"""Reading a recording, from anybody: every length is checked before it is believed, and nothing grows without bound."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import fastavro
from backports.zstd import ZstdDecompressor, ZstdError

from analytics.recordings.container import (
    CODEC,
    HEADER_KEY,
    PARSED,
    SUMMARY,
    Digest,
    Entry,
    Header,
    RecordingError,
    Summary,
)
from analytics.recordings.sealed import opened
from runtime.keystore import KeyStore
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, topic_specs

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
MAX_METADATA_BYTES: Final = 4_194_304
MAX_METADATA_ENTRIES: Final = 64
MAX_BLOCK_BYTES: Final = 67_108_864
"""Of a block, compressed or not: our writer's have a quarter of a MiB, and one record has at most one."""
MAX_ENTRIES: Final = 50_000_000
VARINT_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class Recording:
    """A file whose header was read and found good."""

    path: Path
    header: Header
    begin: int
    """Where the first block stands."""
    sync: bytes
    told: bytes
    """The header as it stands in the file."""
    keys: KeyStore | None = None
    """Opens it, if it is sealed."""

    def entries(self) -> Iterator[Entry]:
        """Every record, in the file's order; streams, so that a long recording needs no memory.

        Raises RecordingError at the first thing that is wrong, and at the end if the file was cut there.
        """
        counts: Counter[str] = Counter()
        digest = Digest(self.told)
        known = topic_specs()
        newest: dict[tuple[str, int], int] = {}
        with self._open() as stream:
            stream.seek(self.begin)
            for place, entry in _blocks(self.path, stream, self.sync):
                if entry.topic == SUMMARY:
                    self._check(Summary.from_json(entry.value), counts, digest)
                    if stream.read(1) or place.left:
                        raise RecordingError(f"{self.path}: something stands behind the end of the recording")
                    return
                if entry.topic not in known:
                    raise RecordingError(f"{self.path}: {place}: topic {entry.topic[:60]!r} is not known")
                at = (entry.topic, entry.partition)
                if entry.offset <= newest.get(at, -1):
                    where = f"{entry.topic}[{entry.partition}]"
                    raise RecordingError(f"{self.path}: {place}: offset {entry.offset} of {where} is out of order")
                newest[at] = entry.offset
                counts[entry.topic] += 1
                digest.add(entry)
                yield entry
        raise RecordingError(
            f"{self.path}: the recording was cut: it ends after {counts.total()} records without an end"
        )

    def of(self, *topics: str) -> Iterator[Entry]:
        """The records of these topics; the whole file is checked nevertheless."""
        return (entry for entry in self.entries() if entry.topic in topics)

    @property
    def has_media(self) -> bool:
        """Whether the header says that there are sound or pictures."""
        return self.header.media

    def _open(self) -> BinaryIO:
        try:
            return opened(self.path, self.keys)
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from error

    def _check(self, summary: Summary, counts: Mapping[str, int], digest: Digest) -> None:
        if dict(summary.counts) != dict(counts) or summary.entries != sum(counts.values()):
            told = ", ".join(f"{topic}: {count}" for topic, count in sorted(summary.counts.items()))
            found = ", ".join(f"{topic}: {count}" for topic, count in sorted(counts.items()))
            raise RecordingError(f"{self.path}: records are missing: its end counts {told}; there are {found}")
        if summary.sha256 != digest.hex():
            raise RecordingError(f"{self.path}: the recording was altered: its SHA-256 is not the one at its end")
        if not self.header.media and (counts.get(MEDIA_AUDIO) or counts.get(MEDIA_VIDEO)):
            raise RecordingError(f"{self.path}: sound or pictures are in it, although its header says that none are")


def open_recording(path: Path, keys: KeyStore | None = None) -> Recording:
    """A recording whose header is good; RecordingError if the file is none, or sealed and ``keys`` do not open it."""
    try:
        with opened(path, keys) as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise RecordingError(f"{path} is no recording: it does not begin as an Avro object container")
            metadata = _metadata(path, stream)
            sync = stream.read(SYNC_BYTES)
            begin = stream.tell()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    if len(sync) != SYNC_BYTES:
        raise RecordingError(f"{path}: the file ends within its header")
    codec = metadata.get("avro.codec", b"null").decode(errors="replace")
    if codec != CODEC:
        raise RecordingError(f"{path}: compressed by {codec[:40]!r}; recordings are by {CODEC}")
    try:
        schema = fastavro.schema.to_parsing_canonical_form(json.loads(metadata["avro.schema"]))
    except Exception as error:  # fastavro raises many kinds for what is no schema
        raise RecordingError(f"{path}: its schema cannot be read: {type(error).__name__}") from error
    if schema != fastavro.schema.to_parsing_canonical_form(PARSED):
        raise RecordingError(f"{path} is an Avro file, but no recording: its entries have another schema")
    if HEADER_KEY not in metadata:
        raise RecordingError(f"{path} is no recording: it lacks {HEADER_KEY}")
    return Recording(path, Header.from_json(metadata[HEADER_KEY]), begin, sync, metadata[HEADER_KEY], keys)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry stands, for messages."""

    byte: int
    number: int
    left: int
    """Entries behind it in its block."""

    def __str__(self) -> str:
        return f"entry {self.number} of the block at byte {self.byte}"


def _blocks(path: Path, stream: BinaryIO, sync: bytes) -> Iterator[tuple[_Place, Entry]]:
    total = 0
    while True:
        byte = stream.tell()
        where = f"{path}: block at byte {byte}"
        count = _long(stream, where, at_end=True)
        if count is None:
            return
        size = _long(stream, where)
        assert size is not None
        total += max(0, count)
        if not 0 < count <= MAX_ENTRIES or total > MAX_ENTRIES or not 0 <= size <= MAX_BLOCK_BYTES:
            raise RecordingError(f"{where}: {count} entries in {size} bytes cannot be")
        packed = stream.read(size)
        if len(packed) != size or len(mark := stream.read(SYNC_BYTES)) != SYNC_BYTES:
            raise RecordingError(f"{where}: the recording was cut: the file ends within it")
        if mark != sync:
            raise RecordingError(f"{where}: damaged: the marker behind it is another")
        decompressor = ZstdDecompressor()
        try:
            data = decompressor.decompress(packed, MAX_BLOCK_BYTES)
        except ZstdError as error:
            raise RecordingError(f"{where}: damaged: it cannot be decompressed") from error
        if not decompressor.eof or decompressor.unused_data:
            raise RecordingError(f"{where}: damaged, or larger than {MAX_BLOCK_BYTES} bytes when decompressed")
        body = io.BytesIO(data)
        for number in range(count):
            try:
                entry = Entry(**fastavro.schemaless_reader(body, PARSED, None))
            except Exception as error:  # fastavro raises many kinds for bytes that do not fit
                raise RecordingError(f"{where}: entry {number} cannot be read: {type(error).__name__}") from error
            yield _Place(byte, number, count - number - 1), entry
        if body.read(1):
            raise RecordingError(f"{where}: bytes are left over behind its {count} entries")


def _long(stream: BinaryIO, where: str, *, at_end: bool = False) -> int | None:
    """A zigzag varint; None at the end of the file if that may be here."""
    value = 0
    for group in range(VARINT_BYTES):
        byte = stream.read(1)
        if not byte:
            if at_end and group == 0:
                return None
            raise RecordingError(f"{where}: the recording was cut: the file ends within it")
        value |= (byte[0] & 0x7F) << (7 * group)
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
    raise RecordingError(f"{where}: damaged: a number does not end")


def _metadata(path: Path, stream: BinaryIO) -> dict[str, bytes]:
    """The container's metadata: a map of bytes, in blocks."""
    where = f"{path}: header"
    found: dict[str, bytes] = {}
    left = MAX_METADATA_BYTES
    while True:
        count = _long(stream, where)
        assert count is not None
        if count == 0:
            return found
        if count < 0:
            # A block that says its size, too.
            count = -count
            _long(stream, where)
        for _ in islice(range(count), MAX_METADATA_ENTRIES + 1):
            parts: list[bytes] = []
            for _part in ("key", "value"):
                size = _long(stream, where)
                assert size is not None
                left -= max(0, size)
                if size < 0 or left < 0 or len(found) >= MAX_METADATA_ENTRIES:
                    raise RecordingError(f"{where}: too large, or damaged")
                parts.append(stream.read(size))
                if len(parts[-1]) != size:
                    raise RecordingError(f"{where}: the file ends within it")
            found[parts[0].decode(errors="replace")] = parts[1]
