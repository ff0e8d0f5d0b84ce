"""Writing a recording: complete under its name, or not there at all."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final, cast

from fastavro.write import Writer

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
from analytics.recordings.sealed import SealedWriter, Sealing

BLOCK_BYTES: Final = 262_144
"""Uncompressed size of a block: large enough to compress well, small enough to be read by the piece."""
LEVEL: Final = 9


class RecordingWriter:
    """Takes entries in the order in which they are to be replayed: of each partition by rising offset."""

    def __init__(self, out: BinaryIO, header: Header) -> None:
        told = header.to_json()
        metadata = {HEADER_KEY: told.decode()}
        self._writer = Writer(
            out, PARSED, codec=CODEC, sync_interval=BLOCK_BYTES, metadata=metadata, compression_level=LEVEL
        )
        self._counts: Counter[str] = Counter()
        self._digest = Digest(told)

    def add(self, entry: Entry) -> None:
        """Write one entry."""
        self._writer.write(asdict(entry))
        self._counts[entry.topic] += 1
        self._digest.add(entry)

    def finish(self) -> Summary:
        """Write the last entry and everything that waits."""
        summary = Summary(self._counts.total(), dict(self._counts), self._digest.hex())
        self._writer.write(asdict(Entry(SUMMARY, 0, 0, 0, "", summary.to_json())))
        self._writer.flush()
        return summary


@contextmanager
def writing(path: Path, header: Header, sealing: Sealing | None = None) -> Iterator[RecordingWriter]:
    """A writer of ``path``, which appears whole when the block has ended, and not at all if it failed.

    ``sealing``: the file is sealed with it. Raises RecordingError if the file cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out = partial.open("xb")
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with out:
            sealed = None if sealing is None else SealedWriter(out, sealing)
            writer = RecordingWriter(out if sealed is None else cast("BinaryIO", sealed), header)
            yield writer
            writer.finish()
            if sealed is not None:
                sealed.close()
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
