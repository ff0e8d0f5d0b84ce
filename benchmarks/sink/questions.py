"""What analysts ask, timed on many rows, which the engine makes itself of the frames that were taken in."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.aggregates import SETTINGS, STATEMENT
from analytics.cookbook import recipes
from analytics.database import Client, Database
from analytics.queries import Queries
from analytics.sink import INSERT_SETTINGS
from benchmarks.processes import CandidateError

COPY_EVERY_S: Final = 300
"""The copies of the log lie so far apart in event time; the newest ends about now."""
FUSED_AFTER_MS: Final = 45
TIMES: Final = 10
"""How often each question is asked."""
SIGNAL_COPIES: Final = 5
"""So many copies have signals, too; they are asked for by session only."""
MINUTE_US: Final = 60_000_000
LEDGER: Final = """
    INSERT INTO ledger (session_id, recorded_at, stage, modality, outcome, count, first_sequence, last_sequence,
                        topic, topic_id, partition, offset, published_at)
    SELECT session_id, captured_at, e.1, e.2, e.3, e.4, sequence, sequence + e.4 - 1,
           'ledger', 'made', partition, offset * 8 + e.5, now64(3)
    FROM (SELECT * FROM avatar_frames WHERE session_id IN {names:Array(String)} AND sequence % 30 = 0)
    ARRAY JOIN
        arrayConcat(
            [
                ('ingest', 'face', 'used', 30, 1), ('ingest', 'speech', 'used', 50, 2),
                ('face_worker', 'face', if(cityHash64(session_id, sequence) % 50 = 0, 'stale', 'used'), 30, 3),
                ('speech_worker', 'speech', if(cityHash64(session_id, sequence) % 500 = 1, 'gap', 'used'), 50, 4)
            ],
            if(sequence % 300 = 0, [('fusion', 'face', 'used', 300, 5), ('fusion', 'speech', 'used', 250, 6)], [])
        ) AS e
    """
"""As edge and workers account for a session once a second and fusion every ten; some pictures are given up."""
EVENTS: Final = """
    INSERT INTO client_events (session_id, sequence, captured_at, received_at, kind, client_id, frame_sequence,
                               frame_captured_at, relayed_at, rendered_at, value, detail,
                               topic, topic_id, partition, offset, published_at)
    SELECT session_id, intDiv(sequence, 30), captured_at, captured_at, e.1, 'viewer', sequence,
           captured_at, captured_at, captured_at, e.2, '',
           'client.events', 'made', partition, offset * 8 + e.3, now64(3)
    FROM (SELECT * FROM avatar_frames WHERE session_id IN {names:Array(String)} AND sequence % 30 = 0)
    ARRAY JOIN
        arrayConcat(
            [('ack', CAST(NULL AS Nullable(Float64)), 1)],
            if(sequence = 300, [('rating', toNullable(toFloat64(1 + cityHash64(session_id) % 5)), 2)], []),
            if(sequence = 600 AND cityHash64(session_id) % 50 = 0, [('opt_out', CAST(0 AS Nullable(Float64)), 3)], [])
        ) AS e
    """
"""A viewer's acknowledgement a second, a rating, and now and then somebody who opts out."""


@dataclass(frozen=True)
class Answers:
    """How long answers took, ms: by question."""

    ms: Mapping[str, Sequence[float]]

    def p95(self) -> float:
        """The worst question's 95th percentile: no kind of question may be slow behind many quick ones."""
        return max(self.by_question(0.95).values())

    def by_question(self, level: float) -> dict[str, float]:
        """A quantile of each."""
        return {name: round(float(np.quantile(values, level)), 1) for name, values in self.ms.items()}


class Multiplier:
    """Copies of the base log in the database: sessions with names and times of their own, aggregates included.

    Copies that an earlier process made are known by their sessions' names. Not thread-safe.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        names = [str(row[0]) for row in client.query("SELECT DISTINCT session_id FROM sessions").result_rows]
        self._sessions = [name for name in names if "-" not in name]
        self._base = f"session_id IN ({', '.join(map(repr, self._sessions))})"
        self.copies = max((int(name.rpartition("-")[2]) for name in names if "-" in name), default=0)
        ((self.base_rows, first_us, last_us),) = client.query(
            "SELECT count(), toUnixTimestamp64Micro(min(captured_at)), toUnixTimestamp64Micro(max(captured_at)) "
            f"FROM avatar_frames WHERE {self._base}"
        ).result_rows
        # Whole minutes: then minutes can be copied, too.
        self._shift_us = (time.time_ns() // 1_000 - last_us) // MINUTE_US * MINUTE_US
        self._apart_us = max(COPY_EVERY_S * 1_000_000, -(-(last_us - first_us) // MINUTE_US) * MINUTE_US)

    @property
    def rows(self) -> int:
        """Frames that should be in the database now."""
        return int(self.base_rows) * (1 + self.copies)

    def check(self) -> None:
        """Raise CandidateError unless they are there."""
        ((found, counted),) = self._client.query(
            "SELECT (SELECT count() FROM avatar_frames), (SELECT sum(frames) FROM session_minutes)"
        ).result_rows
        if found != self.rows or counted < self.rows - self.base_rows:
            msg = f"{self.rows:,} frames were made; {found:,} are there, and minutes of {counted:,}"
            raise CandidateError(msg)

    def copy(self) -> None:
        """Add one copy."""
        number = self.copies + 1
        shift_us = self._shift_us - number * self._apart_us
        moved = f"captured_at + toIntervalMicrosecond({shift_us})"
        named = f"concat(session_id, '-{number}') AS session_id"
        offset = f"offset + {number} * 1000000000 AS offset"
        self._insert(
            "avatar_frames",
            f"{named}, {moved} AS captured_at, "
            f"toDateTime64({moved}, 3, 'UTC') + toIntervalMillisecond({FUSED_AFTER_MS}) AS fused_at, {offset}",
        )
        if number == 1:
            # The first copy's minutes are computed; the base's latencies are those of a log that was written at once.
            copied = [f"{name}-{number}" for name in self._sessions]
            self._client.command(STATEMENT, parameters={"sessions": copied, "since": 0}, settings=SETTINGS)
        else:
            self.copy_minutes(number)
        self.account(number)
        for table in ("face_signals", "speech_signals"):
            if number <= SIGNAL_COPIES:
                self._insert(table, f"{named}, {moved} AS captured_at, {offset}")
        # Last: the sessions say which copies are there.
        self._insert("sessions", f"{named}, {moved} AS captured_at, {offset}")
        self.copies = number

    def copy_minutes(self, number: int) -> None:
        """The minutes of the first copy, as those of another."""
        back_s = (number - 1) * self._apart_us // 1_000_000
        self._client.command(
            f"INSERT INTO minute_aggregates SELECT * REPLACE(concat(name, '-{number}') AS session_id, "
            f"minute - toIntervalSecond({back_s}) AS minute) EXCEPT name FROM (SELECT *, "
            "substring(session_id, 1, length(session_id) - 2) AS name FROM minute_aggregates FINAL "
            f"WHERE session_id IN ({', '.join(repr(f'{name}-1') for name in self._sessions)}))"
        )

    def account(self, number: int) -> None:
        """What the services write besides: ledger entries and client events of a copy, from its frames."""
        names = {"names": [f"{name}-{number}" for name in self._sessions]}
        self._client.command(LEDGER, parameters=names, settings=SETTINGS)
        self._client.command(EVENTS, parameters=names, settings=SETTINGS)

    def _insert(self, table: str, replaced: str) -> None:
        self._client.command(
            f"INSERT INTO {table} SELECT * REPLACE({replaced}) FROM (SELECT * FROM {table} WHERE {self._base})",
            settings={**INSERT_SETTINGS, **SETTINGS},
        )

    def session(self, rng: random.Random) -> str:
        """The id of any session that was copied with its signals, if there are copies."""
        name = rng.choice(self._sessions)
        return f"{name}-{rng.randint(1, min(self.copies, SIGNAL_COPIES))}" if self.copies else name


@contextmanager
def inserting(copier: Multiplier) -> Iterator[None]:
    """Meanwhile copies are made one after the other."""
    enough = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not enough.is_set():
                copier.copy()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
    if failed:
        raise failed[0]


def ask(database: Database, copier: Multiplier, seed: int = 1) -> Answers:
    """Ask everything that the analyst page and the cookbook ask, :data:`TIMES` times, of other sessions each time."""
    rng = random.Random(seed)
    queries = Queries(database, {})
    questions: dict[str, Callable[[str], Any]] = {
        "session list": lambda _session: queries.sessions(limit=200),
        "wall": lambda _session: queries.wall(now_ms=time.time_ns() // 1_000_000, ended_within_s=600, limit=500),
        "session summary": queries.summary,
        "session timeline": lambda session: queries.timeline(session, points=600),
        "session balance": queries.balance,
        "session ledger": queries.ledger,
    }
    for name, text in recipes().items():
        questions[name] = lambda session, text=text: queries.sql(text.replace("SESSION", session))  # type: ignore[misc]
    found: dict[str, list[float]] = {name: [] for name in questions}
    for question in questions.values():
        question(copier.session(rng))  # the first one opens files
    for _ in range(TIMES):
        for name, question in questions.items():
            session = copier.session(rng)
            begun = time.perf_counter()
            question(session)
            found[name].append((time.perf_counter() - begun) * 1_000)
    return Answers(found)
