"""The keys of sessions: made when a session starts, destroyed when it is erased or a consent is withdrawn.

A session has a key for each :data:`Purpose`. What is sealed with a key is unreadable from the moment when the key is
destroyed, wherever a copy of it lies. That a key was destroyed is remembered, so that nothing makes it anew.

The store never holds a session's id, but a keyed digest of it, and never logs either. :class:`SqliteKeyStore` is a
file that the roles of one machine share; :class:`MemoryKeyStore` passes the same contract suite and is for tests.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

from runtime.errors import KeyStoreError
from runtime.sealing import Seal, new_key
from schemas.vocabulary import Modality

Purpose = Literal["audio", "video", "record"]
"""What a key seals: the session's sound; its pictures; its recordings and what is kept of its log.

The last is destroyed when the whole session is erased, and only then."""

PURPOSES: Final[tuple[Purpose, ...]] = ("audio", "video", "record")
PURPOSE_OF: Final[Mapping[Modality, Purpose]] = {Modality.SPEECH: "audio", Modality.FACE: "video"}
NAME: Final = "keys.sqlite3"
BUSY_S: Final = 10.0
DIGEST_BYTES: Final = 16
CACHED_SESSIONS: Final = 20_000


class KeyStore(Protocol):
    """Where keys are. Thread-safe; each call blocks for a moment. Raises KeyStoreError if the store cannot be used."""

    def digest(self, session_id: str) -> str:
        """Names a session in the store, in journals and in audits: says nothing without the store's own secret."""
        ...

    def create(self, session_id: str) -> None:
        """Make the keys that the session does not have; those that were destroyed stay so."""
        ...

    def keys(self, session_id: str) -> Mapping[Purpose, bytes]:
        """The session's keys; without those that were destroyed, and empty if it never had any."""
        ...

    def key_of(self, digest: str, purpose: Purpose) -> bytes | None:
        """One key of the session with this digest, for who knows no more of it."""
        ...

    def destroyed(self, session_id: str) -> frozenset[Purpose]:
        """Which of its keys were destroyed."""
        ...

    def destroy(self, session_id: str, purposes: Collection[Purpose] = PURPOSES) -> int:
        """Destroy keys for good, whether they exist or not; returns how many existed. Twice is the same as once."""
        ...

    def generation(self) -> int:
        """Grows whenever a key is destroyed: a cache of keys is good while this stays the same."""
        ...

    def destroyed_digests(self, purpose: Purpose) -> frozenset[str]:
        """Digests of all sessions whose key for this was destroyed; for ``record``: of all that were erased."""
        ...


def keyed_digest(secret: bytes, session_id: str) -> str:
    """HMAC-SHA-256, cut to 128 bits, as hex."""
    return hmac.new(secret, session_id.encode(), hashlib.sha256).hexdigest()[: 2 * DIGEST_BYTES]


class MemoryKeyStore:
    """Keys of one process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._keys: dict[tuple[str, Purpose], bytes | None] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def digest(self, session_id: str) -> str:
        return keyed_digest(self._secret, session_id)

    def create(self, session_id: str) -> None:
        name = self.digest(session_id)
        with self._lock:
            for purpose in PURPOSES:
                self._keys.setdefault((name, purpose), new_key())

    def keys(self, session_id: str) -> Mapping[Purpose, bytes]:
        name = self.digest(session_id)
        with self._lock:
            found = {purpose: self._keys.get((name, purpose)) for purpose in PURPOSES}
        return {purpose: key for purpose, key in found.items() if key is not None}

    def key_of(self, digest: str, purpose: Purpose) -> bytes | None:
        with self._lock:
            return self._keys.get((digest, purpose))

    def destroyed(self, session_id: str) -> frozenset[Purpose]:
        name = self.digest(session_id)
        with self._lock:
            return frozenset(p for p in PURPOSES if self._keys.get((name, p), b"") is None)

    def destroy(self, session_id: str, purposes: Collection[Purpose] = PURPOSES) -> int:
        name = self.digest(session_id)
        with self._lock:
            count = sum(self._keys.get((name, purpose)) is not None for purpose in purposes)
            self._keys.update({(name, purpose): None for purpose in purposes})
            self._generation += 1
        return count

    def generation(self) -> int:
        return self._generation

    def destroyed_digests(self, purpose: Purpose) -> frozenset[str]:
        with self._lock:
            return frozenset(name for (name, p), key in self._keys.items() if p == purpose and key is None)


SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    digest TEXT NOT NULL, purpose TEXT NOT NULL, key BLOB, changed_at_s INTEGER NOT NULL,
    PRIMARY KEY (digest, purpose)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generation (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO generation VALUES (1, 0);
CREATE INDEX IF NOT EXISTS destroyed ON keys (digest) WHERE key IS NULL;
"""


class SqliteKeyStore:
    """Keys in one SQLite file, readable by its user only (mode 0600), shared by the processes of one machine.

    It is opened at its first use. What is destroyed is overwritten in the file, and the write-ahead log is emptied
    before :meth:`destroy` returns; what a file system or a disk keeps of overwritten blocks is beyond it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._secret = b""

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone until the block ends; a transaction that is kept if it succeeds."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                raise KeyStoreError(f"the key store {self.path} cannot be used: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its other files the mode of this one.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self.path.chmod(0o600)
        except OSError as error:
            raise KeyStoreError(f"the key store {self.path} cannot be used: {error.strerror}") from error
        connection = sqlite3.connect(self.path, timeout=BUSY_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        # A key that is lost in a crash of the machine would make media unreadable that nobody wanted erased.
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(SCHEMA)
        connection.execute("INSERT OR IGNORE INTO secrets VALUES ('digest', ?)", (secrets.token_bytes(32),))
        connection.commit()
        (self._secret,) = connection.execute("SELECT value FROM secrets WHERE name = 'digest'").fetchone()
        return connection

    def digest(self, session_id: str) -> str:
        if not self._secret:
            with self.opened():
                pass
        return keyed_digest(self._secret, session_id)

    def create(self, session_id: str) -> None:
        name = self.digest(session_id)
        with self.opened() as db:
            db.executemany(
                "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, unixepoch())", [(name, p, new_key()) for p in PURPOSES]
            )

    def keys(self, session_id: str) -> Mapping[Purpose, bytes]:
        name = self.digest(session_id)
        with self.opened() as db:
            rows = db.execute("SELECT purpose, key FROM keys WHERE digest = ? AND key IS NOT NULL", (name,)).fetchall()
        return dict(rows)

    def key_of(self, digest: str, purpose: Purpose) -> bytes | None:
        with self.opened() as db:
            row = db.execute("SELECT key FROM keys WHERE digest = ? AND purpose = ?", (digest, purpose)).fetchone()
        return None if row is None else row[0]

    def destroyed(self, session_id: str) -> frozenset[Purpose]:
        name = self.digest(session_id)
        with self.opened() as db:
            rows = db.execute("SELECT purpose FROM keys WHERE digest = ? AND key IS NULL", (name,)).fetchall()
        return frozenset(purpose for (purpose,) in rows)

    def destroy(self, session_id: str, purposes: Collection[Purpose] = PURPOSES) -> int:
        name = self.digest(session_id)
        with self.opened() as db:
            count = destroy_in(db, name, purposes)
        self.forget_overwritten()
        return count

    def forget_overwritten(self) -> None:
        """Empty the write-ahead log, in which what was overwritten still stands."""
        with self.opened() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def generation(self) -> int:
        with self.opened() as db:
            return int(db.execute("SELECT value FROM generation").fetchone()[0])

    def destroyed_digests(self, purpose: Purpose) -> frozenset[str]:
        with self.opened() as db:
            rows = db.execute("SELECT digest FROM keys WHERE key IS NULL AND purpose = ?", (purpose,)).fetchall()
        return frozenset(name for (name,) in rows)


def destroy_in(db: sqlite3.Connection, digest: str, purposes: Collection[Purpose]) -> int:
    """Destroy keys within a transaction that somebody else ends; returns how many existed."""
    count = 0
    for purpose in purposes:
        count += db.execute(
            "SELECT count(*) FROM keys WHERE digest = ? AND purpose = ? AND key IS NOT NULL", (digest, purpose)
        ).fetchone()[0]
        db.execute(
            "INSERT INTO keys VALUES (?, ?, NULL, unixepoch()) "
            "ON CONFLICT DO UPDATE SET key = NULL, changed_at_s = excluded.changed_at_s WHERE key IS NOT NULL",
            (digest, purpose),
        )
    db.execute("UPDATE generation SET value = value + 1")
    return count


def key_store(data_dir: Path) -> SqliteKeyStore:
    """The store of the roles that share ``data_dir``."""
    return SqliteKeyStore(data_dir / NAME)


class KeyRing:
    """A process's seals, by session and purpose: asks the store once for each, and again after keys were destroyed.

    :meth:`refresh` must be called now and then, or what was destroyed goes on being used. Not thread-safe.
    """

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self._generation = -1
        self._held: dict[str, Mapping[Purpose, Seal]] = {}

    def refresh(self) -> bool:
        """Forget every key if some were destroyed since the last call; returns whether that is so."""
        now = self.store.generation()
        before, self._generation = self._generation, now
        if now == before:
            return False
        self._held.clear()
        return before >= 0

    def seal(self, session_id: str, purpose: Purpose) -> Seal | None:
        """The seal, or None if there is no such key (any more)."""
        held = self._held.get(session_id)
        if held is None:
            if len(self._held) >= CACHED_SESSIONS:
                self._held.clear()
            held = {name: Seal(key) for name, key in self.store.keys(session_id).items()}
            if held:
                self._held[session_id] = held
        return held.get(purpose)

    def made(self, session_id: str, purpose: Purpose) -> Seal | None:
        """The seal, which is made if the session never had one; None if it was destroyed."""
        found = self.seal(session_id, purpose)
        if found is None and purpose not in self.store.destroyed(session_id):
            self.store.create(session_id)
            self._held.pop(session_id, None)
            found = self.seal(session_id, purpose)
        return found

    def erased(self, session_id: str) -> bool:
        """Whether the session was erased."""
        return "record" in self.store.destroyed(session_id)
