"""What analysts ask, timed on many rows, which the engine makes itself of the frames that were taken in."""

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from analytics.aggregates import SETTINGS, STATEMENT
from analytics.cookbook import recipes
from analytics.database import Client, Database
from analytics.queries import Queries
from analytics.sink import INSERT_SETTINGS
from benchmarks.processes import CandidateError

COPY_EVERY_S: Final = 300
"""The copies of the log lie so far apart in event time; the newest ends about now."""
FUSED_AFTER_MS: Final = 45
TIMES: Final = 7
"""How often each question is asked."""


@dataclass(frozen=True)
class Answers:
    """How long answers took, ms: by question."""

    ms: Mapping[str, Sequence[float]]

    def p95(self) -> float:
        """Over all answers."""
        return _p95([value for values in self.ms.values() for value in values])

    def by_question(self) -> dict[str, float]:
        """The 95th percentile of each."""
        return {name: round(_p95(values), 1) for name, values in self.ms.items()}


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


class Multiplier:
    """Copies of the base log in the database: sessions with names and times of their own, aggregates included."""

    def __init__(self, client: Client) -> None:
        self._client = client
        ((self.base_rows, first_us, last_us),) = client.query(
            "SELECT count(), toUnixTimestamp64Micro(min(captured_at)), toUnixTimestamp64Micro(max(captured_at)) "
            "FROM avatar_frames"
        ).result_rows
        self._sessions = [row[0] for row in client.query("SELECT DISTINCT session_id FROM sessions").result_rows]
        self._shift_us = time.time_ns() // 1_000 - last_us
        self._length_us = last_us - first_us
        self.copies = 0

    @property
    def rows(self) -> int:
        """Frames that should be in the database now."""
        return int(self.base_rows) * (1 + self.copies)

    def check(self) -> None:
        """Raise CandidateError unless they are there."""
        ((found,),) = self._client.query("SELECT count() FROM avatar_frames").result_rows
        if found != self.rows:
            raise CandidateError(f"{self.rows:,} frames were made, and {found:,} are there")

    def copy(self) -> None:
        """Add one copy."""
        number = self.copies + 1
        shift_us = self._shift_us - number * max(COPY_EVERY_S * 1_000_000, self._length_us)
        moved = f"captured_at + toIntervalMicrosecond({shift_us})"
        named = f"concat(session_id, '-{number}') AS session_id"
        base = f"session_id IN ({', '.join(repr(name) for name in self._sessions)})"
        self._client.command(
            f"INSERT INTO avatar_frames SELECT * REPLACE({named}, {moved} AS captured_at, "
            f"toDateTime64({moved}, 3, 'UTC') + toIntervalMillisecond({FUSED_AFTER_MS}) AS fused_at, "
            f"offset + {number} * 1000000000 AS offset) FROM (SELECT * FROM avatar_frames WHERE {base})",
            settings={**INSERT_SETTINGS, **SETTINGS},
        )
        self._client.command(
            f"INSERT INTO sessions SELECT * REPLACE({named}, {moved} AS captured_at, "
            f"offset + {number} * 1000000000 AS offset) FROM (SELECT * FROM sessions WHERE {base})"
        )
        copied = [f"{name}-{number}" for name in self._sessions]
        self._client.command(STATEMENT, parameters={"sessions": copied, "since": 0}, settings=SETTINGS)
        self.copies = number

    def session(self, rng: random.Random) -> str:
        """The id of any session that was copied."""
        return f"{rng.choice(self._sessions)}-{rng.randint(1, max(1, self.copies))}"


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
        "session summary": queries.summary,
        "session timeline": lambda session: queries.timeline(session, points=600),
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
