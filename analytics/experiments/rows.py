"""Experiments in ClickHouse: who was given what, who saw it, and the metrics of their sessions from deduplicated rows.

What is computed of a session that has ended is kept in memory: asking again costs only what is new.
"""

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.database import Client, Database
from analytics.errors import ExperimentUnknown
from analytics.experiments.analysis import Arms, Counts, Json, Observation, Settings, analyse, summary_of
from analytics.experiments.metrics import SessionFacts, values_of
from analytics.experiments.tracks import COLUMNS, TICKS_A_SECOND, Track, heard_at, openness_of, track_of_columns
from runtime.clock import Clock
from runtime.experiments import read_experiments
from schemas.experiments import Catalogue, Correction
from schemas.vocabulary import VISEMES

MOST_SESSIONS: Final = 50_000
"""Of one experiment: the newest ones."""
FRAMES_AT_ONCE: Final = 200_000
SETTLED_MS: Final = 300_000
"""So long after a session's end its frames are all here, and its values are kept."""
BEFORE_DAYS: Final = 90

Values = Mapping[str, float | None]


class ExperimentQueries:
    """Thread-safe. Raises DatabaseUnavailable, SettingsError if the folder of experiments cannot be read."""

    def __init__(self, database: Database, folder: str, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._known: dict[tuple[str, str], dict[str, tuple[str, Values]]] = {}
        # By experiment, tag and session: what the viewers had said then, and the values.
        self._computing = threading.Lock()

    def experiments(self, *, tag: str = "") -> Json:
        """Every experiment that is defined or that rows of sessions know whose ids begin with ``tag``, newest first."""
        catalogue = read_experiments(self._folder)
        with self._database.reader() as client:
            rows = _rows(
                client,
                """
                SELECT experiment, salt, variant, uniqExact(a.session_id) AS sessions,
                       uniqExact(if(subject = '', a.session_id, subject)) AS units,
                       uniqExactIf(a.session_id, seen) AS exposed,
                       toUnixTimestamp64Milli(min(assigned_at)) AS first_ms,
                       toUnixTimestamp64Milli(max(assigned_at)) AS last_ms
                FROM
                (
                    SELECT *, session_id IN (SELECT session_id FROM client_events WHERE kind = 'exposure') AS seen
                    FROM experiment_assignments WHERE startsWith(session_id, {tag:String})
                ) AS a
                GROUP BY experiment, salt, variant ORDER BY last_ms DESC
                """,
                tag=tag,
            )
        found: dict[str, Json] = {}
        for name in [*dict.fromkeys(row["experiment"] for row in rows), *(each.name for each in catalogue)]:
            if name not in found:
                mine = [row for row in rows if row["experiment"] == name]
                salt = self._salt(catalogue, name, mine)
                mine = [row for row in mine if row["salt"] == salt]
                counts = {row["variant"]: Counts(row["sessions"], row["units"], row["exposed"]) for row in mine}
                arms = _arms(catalogue, name, salt, counts)
                first = min((row["first_ms"] for row in mine), default=None)
                found[name] = summary_of(arms, counts, first, max((row["last_ms"] for row in mine), default=None))
        return {"experiments": list(found.values())}

    @staticmethod
    def _salt(catalogue: Catalogue, name: str, rows: Sequence[Json]) -> str:
        """The definition's; without one that of the newest assignment."""
        defined = catalogue.get(name)
        return defined.salt if defined is not None else str(rows[0]["salt"])

    def experiment(
        self, name: str, *, confidence: float = 0.95, correction: Correction = "holm", tag: str = ""
    ) -> Json:
        """What came of one: :func:`analytics.experiments.analysis.analyse`. Raises ExperimentUnknown.

        ``tag``: only of sessions whose ids begin so.
        """
        settings = Settings(confidence, correction)
        catalogue = read_experiments(self._folder)
        with self._database.reader() as client:
            newest = _rows(
                client,
                "SELECT salt FROM experiment_assignments WHERE experiment = {name:String} "
                "AND startsWith(session_id, {tag:String}) ORDER BY assigned_at DESC LIMIT 1",
                name=name,
                tag=tag,
            )
            if not newest and catalogue.get(name) is None:
                where = (
                    f"in {self._folder}" if self._folder else "in a folder (AFFECTSTREAM_EXPERIMENTS_DIR names none)"
                )
                raise ExperimentUnknown(f"no experiment {name}: neither {where} nor in any row")
            salt = self._salt(catalogue, name, newest)
            sessions = _sessions(client, name, salt, tag)
            told = _told(client, name, salt, tag)
            before = _before(client, name, salt, tag)
        values = self._values((name, tag), [row for row in sessions if row["exposed"]], told)
        observations = [
            Observation(
                row["session_id"], row["unit"], row["variant"], row["assigned_at_ms"], bool(row["exposed"]),
                row["declared_group"] or None, values.get(row["session_id"], {}),
            )
            for row in sessions
        ]  # fmt: skip
        arms = _arms(catalogue, name, salt, {row["variant"] for row in sessions})
        return analyse(arms, observations, before, now_ms=self._clock.now_us() // 1_000, settings=settings)

    def _values(
        self, name: tuple[str, str], sessions: Sequence[Json], told: Mapping[str, "_Told"]
    ) -> Mapping[str, Values]:
        settled_ms = self._clock.now_us() // 1_000 - SETTLED_MS
        with self._computing:
            known = self._known.get(name, {})
            # Sessions that are no longer listed were erased, or are too old: nothing of them stays.
            kept: dict[str, tuple[str, Values]] = {}
            found: dict[str, Values] = {}
            fresh = []
            for row in sessions:
                session, said = row["session_id"], repr(told.get(row["session_id"]))
                if session in known and known[session][0] == said:
                    kept[session] = known[session]
                    found[session] = known[session][1]
                else:
                    fresh.append(row)
            for row, facts in self._facts(fresh, told):
                session = row["session_id"]
                found[session] = values_of(facts)
                if row["ended_at_ms"] is not None and row["ended_at_ms"] < settled_ms:
                    kept[session] = repr(told.get(session)), found[session]
            self._known[name] = kept
        return found

    def _facts(
        self, sessions: Sequence[Json], told: Mapping[str, "_Told"]
    ) -> Iterator[tuple[Json, SessionFacts]]:  # fmt: skip
        if not sessions:
            return
        with self._database.exporter() as client:
            for chunk in _chunks(client, sessions):
                tracks = _tracks(client, [row["session_id"] for row in chunk])
                for row in chunk:
                    said = told.get(row["session_id"], _Told())
                    ended = row["ended_at_ms"]
                    yield (
                        row,
                        SessionFacts(
                            track=tracks.get(row["session_id"]),
                            duration_s=None if ended is None else (ended - row["assigned_at_ms"]) / 1_000,
                            ratings=said.ratings,
                            opted_out=said.opted_out,
                            felt=[
                                (
                                    int((at_ms - row["assigned_at_ms"]) * TICKS_A_SECOND / 1_000)
                                    if tick is None
                                    else tick,
                                    word,
                                )
                                for tick, at_ms, word in said.felt
                            ],
                        ),
                    )


class _Told:
    """What the viewers of a session said."""

    def __init__(self) -> None:
        self.ratings: list[float] = []
        self.opted_out = False
        self.felt: list[tuple[int | None, int, str]] = []

    def __repr__(self) -> str:
        return repr((self.ratings, self.opted_out, self.felt))


def _arms(catalogue: Catalogue, name: str, salt: str, variants: Iterable[str]) -> Arms:
    defined = catalogue.get(name)
    return Arms.seen(name, salt, variants) if defined is None else Arms.of(defined)


def _sessions(client: Client, name: str, salt: str, tag: str) -> list[Json]:
    return _rows(
        client,
        """
        SELECT a.session_id AS session_id, a.variant AS variant, if(a.subject = '', a.session_id, a.subject) AS unit,
               toUnixTimestamp64Milli(a.assigned_at) AS assigned_at_ms,
               toUnixTimestamp64Milli(l.ended_at) AS ended_at_ms,
               g.declared_group AS declared_group,
               a.session_id IN (SELECT session_id FROM client_events WHERE kind = 'exposure') AS exposed
        FROM experiment_assignments AS a
        LEFT JOIN session_list AS l ON l.session_id = a.session_id
        LEFT JOIN declared_groups AS g ON g.session_id = a.session_id
        WHERE a.experiment = {name:String} AND a.salt = {salt:String} AND startsWith(a.session_id, {tag:String})
        ORDER BY a.assigned_at DESC, a.session_id LIMIT {most:UInt32}
        """,
        name=name,
        salt=salt,
        tag=tag,
        most=MOST_SESSIONS,
    )


def _told(client: Client, name: str, salt: str, tag: str) -> Mapping[str, _Told]:
    found: dict[str, _Told] = defaultdict(_Told)
    for row in _rows(
        client,
        """
        SELECT session_id, kind, value, detail, frame_sequence, toUnixTimestamp64Milli(captured_at) AS at_ms
        FROM client_events FINAL
        WHERE kind IN ('rating', 'opt_out') AND session_id IN
            (SELECT session_id FROM experiment_assignments
             WHERE experiment = {name:String} AND salt = {salt:String} AND startsWith(session_id, {tag:String}))
        ORDER BY session_id, captured_at, partition, offset LIMIT 100000
        """,
        name=name,
        salt=salt,
        tag=tag,
    ):
        told = found[row["session_id"]]
        if row["kind"] == "opt_out":
            told.opted_out = True
            continue
        if row["value"] is not None:
            told.ratings.append(row["value"])
        if row["detail"]:
            told.felt.append((row["frame_sequence"], row["at_ms"], row["detail"]))
    return found


def _before(client: Client, name: str, salt: str, tag: str) -> Mapping[str, Mapping[str, float]]:
    """Ratings and durations of each subject's sessions in the 90 days before their first one in the experiment."""
    rows = _rows(
        client,
        """
        WITH first AS
        (
            SELECT subject, min(assigned_at) AS since FROM experiment_assignments
            WHERE experiment = {name:String} AND salt = {salt:String} AND subject != ''
              AND startsWith(session_id, {tag:String}) GROUP BY subject
        )
        SELECT subject, avgOrNull(rating) AS rating,
               avgOrNull(dateDiff('millisecond', started_at, ended_at) / 1000) AS duration
        FROM
        (
            SELECT l.subject AS subject, l.session_id AS session_id, l.started_at AS started_at, l.ended_at AS ended_at
            FROM session_list AS l INNER JOIN first AS f ON f.subject = l.subject
            WHERE startsWith(l.session_id, {tag:String}) AND l.started_at < f.since
              AND l.started_at > f.since - toIntervalDay({days:UInt32})
        ) AS s
        LEFT JOIN
        (
            SELECT session_id, avgOrNull(value) AS rating FROM client_events FINAL WHERE kind = 'rating'
            GROUP BY session_id
        ) AS r ON r.session_id = s.session_id
        GROUP BY subject LIMIT 100000
        """,
        name=name,
        salt=salt,
        tag=tag,
        days=BEFORE_DAYS,
    )
    return {
        row["subject"]: {key: float(row[key]) for key in ("rating", "duration") if row[key] is not None} for row in rows
    }


def _chunks(client: Client, sessions: Sequence[Json]) -> Iterator[Sequence[Json]]:
    """Sessions whose frames fit into one answer."""
    counts = {
        row["session_id"]: row["frames"]
        for row in _rows(
            client,
            "SELECT session_id, uniqExact(sequence) AS frames FROM avatar_frames "
            "WHERE session_id IN {ids:Array(String)} GROUP BY session_id",
            ids=[row["session_id"] for row in sessions],
        )
    }
    chunk: list[Json] = []
    frames = 0
    for row in sessions:
        count = counts.get(row["session_id"], 0)
        if chunk and frames + count > FRAMES_AT_ONCE:
            yield chunk
            chunk, frames = [], 0
        chunk.append(row)
        frames += count
    if chunk:
        yield chunk


def _tracks(client: Client, session_ids: Sequence[str]) -> Mapping[str, Track]:
    shown = ", ".join(f"`{name}`" for name in COLUMNS)
    frames = _arrow(
        client,
        f"SELECT session_id, toUnixTimestamp64Micro(captured_at) AS at_us, {shown} FROM frames "
        "WHERE session_id IN {ids:Array(String)} ORDER BY session_id, sequence",
        session_ids,
    )
    visemes = ", ".join(f"viseme_{name}" for name in VISEMES)
    speech = _arrow(
        client,
        f"SELECT session_id, toUnixTimestamp64Micro(captured_at) AS at_us, {visemes} FROM signals_speech "
        "WHERE session_id IN {ids:Array(String)} ORDER BY session_id, captured_at, sequence",
        session_ids,
    )
    heard = _by_session(speech)
    tracks = {}
    for name, columns in _by_session(frames).items():
        hops_us, openness = np.zeros(0, np.int64), np.zeros(0)
        if name in heard:
            hops_us = heard[name]["at_us"].astype(np.int64)
            openness = openness_of(np.stack([heard[name][f"viseme_{viseme}"] for viseme in VISEMES], axis=1))
        tracks[name] = track_of_columns(columns, heard_at(columns["at_us"].astype(np.int64), hops_us, openness))
    return tracks


def _by_session(table: pa.Table) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Columns by session, of a table that is sorted by it."""
    names = np.array(table.column("session_id").to_pylist(), object)
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name != "session_id"}
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)] if len(names) else []
    return {
        str(names[begin]): {name: values[begin:end] for name, values in columns.items()}
        for begin, end in itertools.pairwise(edges)
    }


def _arrow(client: Client, sql: str, ids: Sequence[str]) -> pa.Table:
    return client.query_arrow(sql, parameters={"ids": list(ids)}, use_strings=True)


def _rows(client: Client, sql: str, **parameters: Any) -> list[Json]:
    answer = client.query(sql, parameters=parameters)
    return [dict(zip(answer.column_names, row, strict=True)) for row in answer.result_rows]
