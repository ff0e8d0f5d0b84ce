"""A shard's snapshot: plain bytes that say what they mean, or cannot be restored.

A header in JSON, the sessions' names, then, compressed, the rows of their state and the samples that their rings hold.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from backports import zstd

from dataflows import layout
from dataflows.layout import FACE, OUTCOMES, RING, ROW, SPEECH, State
from runtime.errors import RecoveryError
from schemas.fusion_config import PARAMETERS
from schemas.vocabulary import BLENDSHAPES

MAGIC: Final = b"affectstream-shard\n"
SNAPSHOT_VERSION: Final = 3
QUICKLY: Final = -20
"""Level at which snapshots are compressed: to 0.4 of their size, in half of the time that SQLite takes for the rest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the log a shard is: its partition, of how many, and the offset of the next message to take."""

    partition: int
    partitions: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read back."""

    place: Place
    capacity: int
    """Rows that the shard had room for."""
    rows: layout.Int64s
    """The rows that sessions have, and their sessions."""
    sessions: Sequence[bytes]
    clock: Sequence[int]
    _body: "_Body"

    def fill(self, state: State) -> None:
        """Write it into an empty state with room for ``capacity`` rows; raises RecoveryError if bytes are missing."""
        body, rows = self._body, self.rows
        state.partition[:] = self.clock
        packed = np.frombuffer(body.take(ROW.itemsize * len(rows)), ROW)
        state.rows[rows] = packed
        for modality, values, stamps in _rings(state):
            which, slot = _used_slots(rows, packed, modality)
            hops = np.frombuffer(body.take(8 * layout.N_HOPS * len(which)), np.int64)
            stamps[which, slot] = hops.reshape(-1, layout.N_HOPS)
            width = values.shape[2]
            values[which, slot] = np.frombuffer(body.take(4 * width * len(which)), np.float32).reshape(-1, width)
        body.end()


def layout_digest() -> str:
    """Names the meaning of a snapshot's bytes: what differs cannot be restored."""
    shape = (ROW.descr, RING, layout.F_WIDTH, layout.S_WIDTH, list(PARAMETERS), BLENDSHAPES, OUTCOMES)
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:16]


def pack(place: Place, state: State, rows: layout.Int64s, sessions: Sequence[bytes]) -> bytes:
    """The bytes of these rows of a state, (n,), and of their sessions."""
    header = {
        "version": SNAPSHOT_VERSION,
        "layout": layout_digest(),
        "partition": place.partition,
        "partitions": place.partitions,
        "next_offset": place.next_offset,
        "capacity": len(state.rows),
        "clock": state.partition.tolist(),
        "sessions": len(rows),
        "ids": [len(session) for session in sessions],
    }
    packed = state.rows[rows]
    parts: list[Any] = [rows, packed.view(np.uint8)]
    for modality, values, stamps in _rings(state):
        which, slot = _used_slots(rows, packed, modality)
        parts += [stamps[which, slot], values[which, slot]]
    text = json.dumps(header).encode()
    # Sessions are named outside of what is compressed: who looks for one in a store's files must find it.
    body = [struct.pack("<I", len(text)), text, *sessions, zstd.compress(b"".join(parts), QUICKLY)]
    checksum = 0
    for part in body:
        checksum = zlib.crc32(part, checksum)
    return b"".join([MAGIC, struct.pack("<I", checksum), *body])


def unpack(data: bytes, partitions: int) -> Snapshot:
    """Read a snapshot for a process that has so many partitions; raises RecoveryError if it cannot go on from it."""
    header, sessions, body = _opened(data, partitions)
    place = Place(header["partition"], partitions, header["next_offset"])
    rows = np.frombuffer(body.take(8 * header["sessions"]), np.int64)
    return Snapshot(place, header["capacity"], rows, sessions, header["clock"], body)


def _rings(state: State) -> tuple[tuple[int, Any, Any], ...]:
    return (
        (FACE, state.face_values, state.face_stamps),
        (SPEECH, state.speech_values, state.speech_stamps),
    )


def _used_slots(rows: layout.Int64s, packed: Any, modality: int) -> tuple[layout.Int64s, layout.Int64s]:
    """Row and ring slot of every sample that these sessions hold of a modality."""
    counts = packed["count"][:, modality]
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(rows, counts), (np.repeat(packed["head"][:, modality], counts) + nth) % RING


class _Body:
    """Bytes to take from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise RecoveryError("the snapshot ends early")
        self._at += size
        return taken

    def rest(self) -> bytes:
        """What was not taken yet."""
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

    def end(self) -> None:
        if self._at != len(self._data):
            raise RecoveryError("the snapshot has bytes left over")


def _opened(data: bytes, partitions: int) -> tuple[dict[str, Any], list[bytes], _Body]:
    """A snapshot's header, sessions and arrays, checked against what this process is to restore."""
    if not isinstance(data, bytes) or not data.startswith(MAGIC):
        raise RecoveryError("what the recovery store holds is no snapshot of a fusion shard")
    start = len(MAGIC) + 4
    body = data[start:]
    if len(body) < 4 or struct.pack("<I", zlib.crc32(body)) != data[len(MAGIC) : start]:
        raise RecoveryError("a fusion shard's snapshot is damaged: its checksum differs")
    plain = _Body(body)
    (length,) = struct.unpack("<I", plain.take(4))
    header: dict[str, Any] = json.loads(plain.take(length))
    if header["version"] != SNAPSHOT_VERSION or header["layout"] != layout_digest():
        msg = (
            f"partition {header['partition']}: the snapshot was written by another version of the product (version "
            f"{header['version']}, layout {header['layout']}; this one: {SNAPSHOT_VERSION}, {layout_digest()})"
        )
        raise RecoveryError(msg)
    if header["partitions"] != partitions:
        msg = (
            f"partition {header['partition']}: the snapshot was taken when the topic had {header['partitions']} "
            f"partitions; now it has {partitions}, and sessions lie elsewhere"
        )
        raise RecoveryError(msg)
    sessions = [plain.take(length) for length in header["ids"]]
    try:
        return header, sessions, _Body(zstd.decompress(plain.rest()))
    except zstd.ZstdError as error:
        raise RecoveryError(f"a fusion shard's snapshot is damaged: {error}") from error
