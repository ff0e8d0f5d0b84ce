"""A recording sealed with the keys of its sessions: unreadable as soon as one of them is erased.

The file: a marker, the length of a header (4 bytes, little-endian), the header (JSON: digests of the sessions, size of
a piece), then the plain recording in pieces, each sealed by itself and bound to the header, its number, and whether it
is the last. So pieces can be read where they are needed, and none can be left out, moved or added.
"""

import hashlib
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from analytics.recordings.container import RecordingError
from runtime.errors import SealBroken
from runtime.keystore import KeyStore
from runtime.sealing import OVERHEAD, Seal, combined_key

MARKER: Final = b"AFRSEAL1"
PIECE: Final = 1 << 20
MAX_HEADER_BYTES: Final = 1 << 22
PURPOSE: Final = "recording"


@dataclass(frozen=True, slots=True)
class Sealing:
    """What seals one file."""

    header: bytes
    seal: Seal

    def binding(self, number: int, *, last: bool) -> bytes:
        """What a piece is bound to."""
        return f"{hashlib.sha256(self.header).hexdigest()}|{number}|{'last' if last else 'more'}".encode()


def sealing_for(store: KeyStore, sessions: Sequence[str]) -> Sealing:
    """Seals a recording of these sessions; RecordingError if one of them was erased. Makes keys that never were."""
    keys = []
    for session_id in sessions:
        store.create(session_id)
        key = store.keys(session_id).get("record")
        if key is None:
            raise RecordingError("one of the sessions was erased")
        keys.append(key)
    header = json.dumps({"sessions": sorted(store.digest(each) for each in sessions), "piece": PIECE}).encode()
    return Sealing(header, Seal(combined_key(keys, PURPOSE)))


def is_sealed(path: Path) -> bool:
    """Whether a file begins as a sealed recording does; RecordingError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(MARKER)) == MARKER
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


class SealedWriter:
    """Takes the bytes of a plain recording and writes them sealed; :meth:`close` writes the last piece."""

    def __init__(self, out: BinaryIO, sealing: Sealing) -> None:
        self._out = out
        self._sealing = sealing
        self._waiting = bytearray()
        self._number = 0
        out.write(MARKER + struct.pack("<I", len(sealing.header)) + sealing.header)

    def write(self, data: bytes) -> int:
        """Take more of the recording."""
        self._waiting += data
        # One piece at least waits, for only the end says which is the last.
        while len(self._waiting) > PIECE:
            self._put(bytes(self._waiting[:PIECE]), last=False)
            del self._waiting[:PIECE]
        return len(data)

    def flush(self) -> None:
        """Nothing: a piece is written when it is full."""

    def seekable(self) -> bool:
        """It only goes on."""
        return False

    def close(self) -> None:
        """Write what waits."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._out.write(self._sealing.seal.seal(piece, self._sealing.binding(self._number, last=last)))
        self._number += 1


class SealedReader(io.RawIOBase):
    """The plain bytes of a sealed recording, opened piece by piece; raises RecordingError."""

    def __init__(self, path: Path, store: KeyStore) -> None:
        super().__init__()
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._sealing = self._unlock(store)
        except BaseException:
            self._file.close()
            raise
        self._begin = self._file.tell()
        sealed = self._file.seek(0, io.SEEK_END) - self._begin
        self._pieces = max(1, -(-sealed // (PIECE + OVERHEAD)))
        self._size = sealed - self._pieces * OVERHEAD
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")
        if self._size < 0:
            raise RecordingError(f"{path}: the recording was cut: the file ends within it")

    def _unlock(self, store: KeyStore) -> Sealing:
        if self._file.read(len(MARKER)) != MARKER:
            raise RecordingError(f"{self._path} is no sealed recording")
        (length,) = struct.unpack("<I", self._file.read(4).ljust(4, b"\0"))
        header = self._file.read(length) if length <= MAX_HEADER_BYTES else b""
        try:
            said = json.loads(header)
            digests = [str(digest) for digest in said["sessions"]]
            if said["piece"] != PIECE or not digests:
                raise ValueError("another size of pieces, or no session")  # noqa: TRY301 - said with the others
        except (ValueError, KeyError, TypeError) as error:
            raise RecordingError(f"{self._path}: its header cannot be read: {error!r}") from error
        keys = [store.key_of(digest, "record") for digest in digests]
        if None in keys:
            raise RecordingError(
                f"{self._path} is sealed, and {keys.count(None)} of the keys of its {len(keys)} sessions are not in "
                "the key store: a session was erased, or it was recorded elsewhere"
            )
        return Sealing(header, Seal(combined_key(cast("list[bytes]", keys), PURPOSE)))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        number, skip = divmod(self._at, PIECE)
        part = self._piece(number)[skip : skip + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _piece(self, number: int) -> bytes:
        if self._held[0] != number:
            self._file.seek(self._begin + number * (PIECE + OVERHEAD))
            sealed = self._file.read(PIECE + OVERHEAD)
            bound_to = self._sealing.binding(number, last=number == self._pieces - 1)
            try:
                self._held = (number, self._sealing.seal.open(sealed, bound_to))
            except SealBroken as error:
                raise RecordingError(f"{self._path}: piece {number}: cut or altered: {error}") from error
        return self._held[1]

    def close(self) -> None:
        self._file.close()
        super().close()


def opened(path: Path, store: KeyStore | None) -> BinaryIO:
    """The plain bytes of a recording, sealed or not, to be closed by the caller; raises RecordingError."""
    if not is_sealed(path):
        return path.open("rb")
    if store is None:
        raise RecordingError(f"{path} is sealed: its sessions' keys are needed")
    return cast("BinaryIO", io.BufferedReader(SealedReader(path, store)))
