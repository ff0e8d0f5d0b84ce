"""Requests to erase sessions, and how far each is done: durable, and without personal data.

A request and the destruction of the keys are one transaction: once somebody was told that their request was taken,
what is sealed is unreadable, whatever crashes next. The rest (:mod:`analytics.erasure`) goes on from here after a
restart. Only the session's keyed digest is kept (:meth:`runtime.keystore.KeyStore.digest`), so a finished request is at
the same time the audit record: who asked by role, when, what was done, what it came to.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from runtime.keystore import PURPOSES, Purpose, SqliteKeyStore, destroy_in

Scope = Literal["session", "audio", "video"]
"""What is erased: everything; or, of a session that goes on, one modality whose consent was withdrawn."""

AskedBy = Literal["operator", "owner", "consent"]
"""consent: the person withdrew a consent while the session went on."""

DESTROYED: Final[Mapping[Scope, tuple[Purpose, ...]]] = {
    "session": PURPOSES,
    "audio": ("audio",),
    "video": ("video",),
}
SHOWN: Final = 100
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, scope TEXT NOT NULL, asked_by TEXT NOT NULL,
    asked_at_us INTEGER NOT NULL, done TEXT NOT NULL, counts TEXT NOT NULL, finished_at_us INTEGER,
    problem TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS erasures_by_digest ON erasures (digest);
"""
COLUMNS: Final = "number, digest, scope, asked_by, asked_at_us, done, counts, finished_at_us, problem"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One request."""

    number: int
    digest: str
    scope: Scope
    asked_by: AskedBy
    asked_at_us: int
    done: tuple[str, ...]
    """Steps that are done, in order."""
    counts: Mapping[str, int]
    """What they came to: rows, records, files; by what."""
    finished_at_us: int | None
    problem: str
    """Why it does not go on just now; empty: it does."""

    def audit(self) -> Mapping[str, object]:
        """The audit record, without personal data."""
        return {
            "number": self.number,
            "digest": self.digest,
            "scope": self.scope,
            "asked_by": self.asked_by,
            "asked_at_us": self.asked_at_us,
            "finished_at_us": self.finished_at_us,
            "done": list(self.done),
            "counts": dict(self.counts),
            "problem": self.problem,
        }


class Erasures:
    """The requests of one key store. Thread-safe, and safe between processes; each call blocks for a moment."""

    def __init__(self, store: SqliteKeyStore) -> None:
        self.store = store
        self._ready = False

    def ask(self, session_id: str, scope: Scope, asked_by: AskedBy, *, now_us: int) -> Erasure:
        """Take a request: destroys the keys. One that asks for the same and is not finished is joined."""
        digest = self.store.digest(session_id)
        self._prepare()
        with self.store.opened() as db:
            destroyed = destroy_in(db, digest, DESTROYED[scope])
            row = db.execute(
                f"SELECT {COLUMNS} FROM erasures WHERE digest = ? AND scope = ? AND finished_at_us IS NULL",  # noqa: S608
                (digest, scope),
            ).fetchone()
            if row is None:
                row = db.execute(
                    "INSERT INTO erasures (digest, scope, asked_by, asked_at_us, done, counts, problem) "  # noqa: S608
                    f"VALUES (?, ?, ?, ?, '[]', ?, '') RETURNING {COLUMNS}",
                    (digest, scope, asked_by, now_us, json.dumps({"keys": destroyed})),
                ).fetchone()
        self.store.forget_overwritten()
        return _erasure(row)

    def unfinished(self) -> list[Erasure]:
        """Requests that are not finished, oldest first."""
        return self._select("WHERE finished_at_us IS NULL ORDER BY number")

    def newest(self, *, limit: int = SHOWN) -> list[Erasure]:
        """The newest requests, finished or not."""
        return self._select("ORDER BY number DESC LIMIT ?", limit)

    def of(self, session_id: str, scope: Scope = "session") -> Erasure | None:
        """The newest request for a session, if there is one."""
        found = self._select(
            "WHERE digest = ? AND scope = ? ORDER BY number DESC LIMIT 1", self.store.digest(session_id), scope
        )
        return found[0] if found else None

    def did(self, number: int, step: str, counts: Mapping[str, int]) -> None:
        """Note that a step is done; ``counts`` are added to those of the steps before."""
        self._prepare()
        with self.store.opened() as db:
            (done, before) = db.execute("SELECT done, counts FROM erasures WHERE number = ?", (number,)).fetchone()
            steps, total = json.loads(done), json.loads(before)
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
            db.execute(
                "UPDATE erasures SET done = ?, counts = ?, problem = '' WHERE number = ?",
                (json.dumps([*steps, *([] if step in steps else [step])]), json.dumps(total), number),
            )

    def finish(self, number: int, *, now_us: int) -> None:
        """Note that nothing is left to do."""
        self._change("finished_at_us = ?, problem = ''", now_us, number)

    def hinder(self, number: int, problem: str) -> None:
        """Note why a request does not go on for now; the text must not name the session."""
        self._change("problem = ?", problem[:500], number)

    def reopen(self, digest: str) -> bool:
        """Do a finished erasure of a whole session again: something of it came late. False if it is under way."""
        self._prepare()
        with self.store.opened() as db:
            row = db.execute(
                "SELECT number, finished_at_us FROM erasures WHERE digest = ? AND scope = 'session' "
                "ORDER BY number DESC LIMIT 1",
                (digest,),
            ).fetchone()
            if row is None or row[1] is None:
                return False
            db.execute("UPDATE erasures SET finished_at_us = NULL, done = '[]' WHERE number = ?", (row[0],))
        return True

    def _change(self, what: str, value: object, number: int) -> None:
        self._prepare()
        with self.store.opened() as db:
            db.execute(f"UPDATE erasures SET {what} WHERE number = ?", (value, number))  # noqa: S608

    def _select(self, rest: str, *values: object) -> list[Erasure]:
        self._prepare()
        with self.store.opened() as db:
            rows = db.execute(f"SELECT {COLUMNS} FROM erasures {rest}", values).fetchall()  # noqa: S608
        return [_erasure(row) for row in rows]

    def _prepare(self) -> None:
        if not self._ready:
            with self.store.opened() as db:
                db.executescript(SCHEMA)
            self._ready = True


def _erasure(row: sqlite3.Row | tuple[object, ...]) -> Erasure:
    number, digest, scope, asked_by, asked_at_us, done, counts, finished_at_us, problem = row
    return Erasure(
        number, digest, scope, asked_by, asked_at_us, tuple(json.loads(done)), json.loads(counts),  # type: ignore[arg-type]  # as the table's columns are
        finished_at_us, problem,  # type: ignore[arg-type]
    )  # fmt: skip
