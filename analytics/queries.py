"""What the API, the report and the demo ask of the rows. Instants are integer milliseconds since the Unix epoch."""

import math
from collections.abc import Mapping
from typing import Final, Literal

import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.answers import Json
from analytics.answers import as_columns as _columns
from analytics.answers import as_dicts as _dicts
from analytics.answers import epoch_ms as _ms
from analytics.answers import number as _number
from analytics.answers import one as _one
from analytics.balance import NOTHING, SHOWN_RANGES, Entry, Facts, Ranges, account, balance, fusion_counts, unseen
from analytics.database import Client, Database
from analytics.errors import QueryRefused, SessionUnknown
from analytics.rows import HOP_COLUMNS, TABLES_OF
from analytics.statement import read_only
from schemas.topics import Topic
from schemas.vocabulary import EMOTIONS, Modality, Stage

SESSIONS_SHOWN: Final = 200
TIMELINE_POINTS: Final = 600
LONGEST_SESSION_MS: Final = 86_400_000
TICKS_A_SECOND: Final = 30
HOPS: Final = (*HOP_COLUMNS, "fusion")
LIMIT_CODES: Final = {
    158: "too many rows were read",
    159: "it ran for too long",
    241: "it needed too much memory",
    396: "the result is too large: add LIMIT, or export a session at a time",
    497: "not allowed",
    164: "only reading is allowed",
}
"""ClickHouse's error codes for limits and refusals."""

ExportFormat = Literal["parquet", "arrow"]
EXPORT_FORMATS: Final[Mapping[ExportFormat, str]] = {"parquet": "Parquet", "arrow": "Arrow"}


class Queries:
    """Thread-safe: each call borrows a read-only client. Raises DatabaseUnavailable when none is free."""

    def __init__(self, database: Database, topics: Mapping[Topic, tuple[str, str]]) -> None:
        """``topics``: Kafka name and id of each topic, for :meth:`counts`."""
        self._database = database
        self._topics = topics

    @property
    def database(self) -> Database:
        """What it asks."""
        return self._database

    def alive(self) -> None:
        """Raise if ClickHouse does not answer."""
        with self._database.reader() as client:
            client.command("SELECT 1")

    def sessions(self, *, limit: int = SESSIONS_SHOWN, tag: str = "") -> list[Json]:
        """The newest sessions first, those whose ids begin with ``tag``."""
        with self._database.reader() as client:
            return _dicts(
                client,
                f"""
                SELECT session_id, {_ms("started_at")} AS started_at_ms, {_ms("ended_at")} AS ended_at_ms,
                       tenant, timeline, mapping, smoothing, experiment, variant, end_reason
                FROM session_list WHERE startsWith(session_id, {{tag:String}})
                ORDER BY started_at DESC LIMIT {{limit:UInt32}}
                """,
                limit=limit,
                tag=tag,
            )

    def wall(self, *, now_ms: int, ended_within_s: int, limit: int, tag: str = "") -> list[Json]:
        """Sessions that have not ended, and those that ended lately, the newest first; nothing that names a person.

        Those whose ids begin with ``tag``. No session outlives its token, which lives for a day at most: an older one
        whose end was lost is left out.
        """
        with self._database.reader() as client:
            return _dicts(
                client,
                f"""
                SELECT session_id, {_ms("started_at")} AS started_at_ms, {_ms("ended_at")} AS ended_at_ms,
                       timeline, audio_consented, video_consented, mapping, experiment, variant, end_reason
                FROM session_list
                WHERE session_id IN (
                    SELECT session_id FROM sessions
                    WHERE kind = 'started' AND published_at > fromUnixTimestamp64Milli({{since:Int64}})
                      AND startsWith(session_id, {{tag:String}})
                ) AND (ended_at IS NULL OR ended_at > fromUnixTimestamp64Milli({{ended:Int64}}))
                ORDER BY started_at DESC LIMIT {{limit:UInt32}}
                """,
                since=now_ms - LONGEST_SESSION_MS,
                ended=now_ms - ended_within_s * 1_000,
                limit=limit,
                tag=tag,
            )

    def session(self, session_id: str) -> Json:
        """Identity, consent and configuration; raises SessionUnknown."""
        with self._database.reader() as client:
            return self._session(client, session_id)

    def _session(self, client: Client, session_id: str) -> Json:
        rows = _dicts(
            client,
            f"""
            SELECT session_id, {_ms("started_at")} AS started_at_ms, {_ms("ended_at")} AS ended_at_ms, tenant, timeline,
                   audio_consented, video_consented, store_raw_consented, mapping, smoothing, config_version,
                   experiment, variant, end_reason
            FROM session_list WHERE session_id = {{session:String}}
            """,
            session=session_id,
        )
        if not rows:
            raise SessionUnknown(f"no session {session_id}")
        return rows[0]

    def summary(self, session_id: str) -> Json:
        """Everything that the report's table shows; raises SessionUnknown."""
        with self._database.reader() as client:
            session = self._session(client, session_id)
            frames = self._frame_figures(client, session_id)
            entries = self._entries(client, session_id)
            return {
                "session": session,
                "frames": frames,
                "emotions": self._emotions(client, session_id),
                "signals": self._signal_counts(client, session_id),
                "latency_ms": self._latency(client, session_id),
                "outcomes": outcomes(entries, _ranges(client, "face_signals", session_id)),
                "events": self._events(client, session_id),
            }

    def _frame_figures(self, client: Client, session_id: str) -> Json:
        (figures,) = _dicts(
            client,
            f"""
            SELECT count() AS count, min(sequence) AS first_sequence, max(sequence) AS last_sequence,
                   countIf(discontinuity) AS discontinuities, avg(closed_by_max_wait) AS closed_by_max_wait_share,
                   avg(face_live) AS face_live_share, avg(speech_live) AS speech_live_share,
                   avg(viseme_mouth) AS viseme_mouth_share,
                   {_ms("min(captured_at)")} AS first_at_ms, {_ms("max(captured_at)")} AS last_at_ms
            FROM frames WHERE session_id = {{session:String}}
            """,
            session=session_id,
        )
        records = _one(
            client, "SELECT count() FROM avatar_frames WHERE session_id = {session:String}", session=session_id
        )
        gaps = self._gaps(client, session_id)
        figures["records"] = records
        figures["repeated"] = records - figures["count"]
        figures["missing"] = sum(g["ticks"] for g in gaps if not g["flagged"])
        figures["skipped"] = sum(g["ticks"] for g in gaps if g["flagged"])
        return figures

    def _gaps(self, client: Client, session_id: str) -> list[Json]:
        """Where the sequence is not consecutive; ``flagged``: the frame after it says so."""
        return _dicts(
            client,
            f"""
            SELECT before + 1 AS first_sequence, sequence - 1 AS last_sequence, sequence - before - 1 AS ticks,
                   {_ms("before_at")} AS from_ms, {_ms("captured_at")} AS to_ms, toBool(discontinuity) AS flagged
            FROM
            (
                SELECT sequence, captured_at, discontinuity,
                       lagInFrame(sequence, 1, sequence - 1) OVER consecutive AS before,
                       lagInFrame(captured_at, 1, captured_at) OVER consecutive AS before_at
                FROM frames WHERE session_id = {{session:String}}
                WINDOW consecutive AS (ORDER BY sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
            )
            WHERE sequence != before + 1 ORDER BY sequence LIMIT 1000
            """,
            session=session_id,
        )

    def _emotions(self, client: Client, session_id: str) -> Json:
        means = ", ".join(f"avg(emotion_{name}) AS {name}" for name in EMOTIONS)
        (mean,) = _dicts(
            client, f"SELECT {means} FROM frames WHERE session_id = {{session:String}}", session=session_id
        )
        (rest,) = _dicts(
            client,
            """
            SELECT avg(valence) AS valence, avg(arousal) AS arousal, avg(dominance) AS dominance,
                   avg(speaking_probability > 0.5) AS speaking_share, avg(face_weight) AS face_weight,
                   avg(speech_weight) AS speech_weight
            FROM frames WHERE session_id = {session:String}
            """,
            session=session_id,
        )
        known = {name: value for name, value in mean.items() if value is not None}
        return {"mean": mean, "top": max(known, key=lambda name: known[name]) if known else None, **rest}

    def _signal_counts(self, client: Client, session_id: str) -> Json:
        return {
            modality: {
                "records": _one(
                    client, f"SELECT count() FROM {table} WHERE session_id = {{session:String}}", session=session_id
                ),
                "distinct": _one(
                    client,
                    f"SELECT uniqExact(sequence) FROM {table} WHERE session_id = {{session:String}}",
                    session=session_id,
                ),
            }
            for modality, table in (("face", "face_signals"), ("speech", "speech_signals"))
        }

    def _latency(self, client: Client, session_id: str) -> Json:
        result: Json = {}
        for modality in Modality:
            names = [*HOPS, "total"]
            wanted = ", ".join(f"quantilesOrNull(0.5, 0.95)({modality.value}_{hop}_ms) AS {hop}" for hop in names)
            (row,) = _dicts(
                client, f"SELECT {wanted} FROM frames WHERE session_id = {{session:String}}", session=session_id
            )
            result[modality.value] = {hop: _p50_p95(row[hop]) for hop in names}
        (acks,) = _dicts(
            client,
            """
            SELECT quantilesOrNull(0.5, 0.95)((toUnixTimestamp64Micro(relayed_at)
                       - toUnixTimestamp64Micro(frame_captured_at)) / 1000) AS relayed,
                   quantilesOrNull(0.5, 0.95)((toUnixTimestamp64Micro(rendered_at)
                       - toUnixTimestamp64Micro(frame_captured_at)) / 1000) AS rendered
            FROM client_events FINAL WHERE session_id = {session:String} AND kind = 'ack'
            """,
            session=session_id,
        )
        result["client"] = {hop: _p50_p95(value) for hop, value in acks.items()}
        return result

    def _events(self, client: Client, session_id: str) -> Json:
        rows = _dicts(
            client,
            """
            SELECT kind, count() AS count, avgOrNull(if(kind = 'rating', value, NULL)) AS mean_rating
            FROM client_events FINAL WHERE session_id = {session:String} GROUP BY kind ORDER BY kind
            """,
            session=session_id,
        )
        ratings = [row["mean_rating"] for row in rows if row["kind"] == "rating"]
        return {"by_kind": {r["kind"]: r["count"] for r in rows}, "mean_rating": ratings[0] if ratings else None}

    def timeline(self, session_id: str, *, points: int = TIMELINE_POINTS) -> Json:
        """The session along time in at most about ``points`` buckets of equal ticks; raises SessionUnknown.

        ``columns``: parallel lists, one item a bucket. ``gaps``: where ticks are missing. ``events``: what clients did.
        """
        with self._database.reader() as client:
            session = self._session(client, session_id)
            (span,) = _dicts(
                client,
                "SELECT min(sequence) AS first, max(sequence) AS last FROM frames WHERE session_id = {session:String}",
                session=session_id,
            )
            width = max(1, math.ceil((span["last"] - span["first"] + 1) / max(1, points)))
            emotions = ", ".join(f"avg(emotion_{name}) AS emotion_{name}" for name in EMOTIONS)
            hops = ", ".join(
                f"avgOrNull({m.value}_{hop}_ms) AS {m.value}_{hop}_ms" for m in Modality for hop in (*HOPS, "total")
            )
            columns = _columns(
                client,
                f"""
                SELECT {_ms("min(captured_at)")} AS at_ms, count() AS frames, {emotions}, avg(valence) AS valence,
                       avg(arousal) AS arousal, avg(dominance) AS dominance,
                       avg(speaking_probability) AS speaking_probability, avg(viseme_mouth) AS viseme_mouth,
                       avg(face_weight) AS face_weight, avg(speech_weight) AS speech_weight, {hops}
                FROM frames WHERE session_id = {{session:String}}
                GROUP BY intDiv(sequence, {{width:Int64}}) AS bucket ORDER BY bucket
                """,
                session=session_id,
                width=width,
            )
            events = _dicts(
                client,
                f"""
                SELECT kind, {_ms("captured_at")} AS at_ms, value,
                       if(kind = 'rating' AND detail != '', detail, NULL) AS felt
                FROM client_events FINAL WHERE session_id = {{session:String}} AND kind != 'ack'
                ORDER BY captured_at LIMIT 1000
                """,
                session=session_id,
            )
            return {
                "session": session,
                "bucket_ticks": width,
                "bucket_ms": width * 1000 / TICKS_A_SECOND,
                "columns": columns,
                "gaps": self._gaps(client, session_id),
                "events": events,
            }

    def counts(self) -> Json:
        """Rows against records, by topic and partition.

        ``records`` were taken from Kafka and ``unreadable`` of them gave no row; ``rows`` are counted where they lie,
        up to ``next_offset``, and ``distinct`` are their different offsets. ``equal``: rows = distinct = records -
        unreadable, in every partition. For "every record of Kafka is a row", also compare ``next_offset`` with
        Kafka's end offsets.
        """
        with self._database.reader() as client:
            topics = {topic: self._topic_counts(client, topic) for topic in self._topics}
        return {"topics": topics, "equal": all(t["equal"] for t in topics.values())}

    def _topic_counts(self, client: Client, topic: Topic) -> Json:
        name, topic_id = self._topics[topic]
        # The progress first: what is inserted meanwhile lies beyond it, and is not counted.
        partitions = _dicts(
            client,
            """
            SELECT partition, first_offset, next_offset, records, unreadable FROM sink_progress FINAL
            WHERE topic = {topic:String} AND topic_id = {id:String} ORDER BY partition
            """,
            topic=name,
            id=topic_id,
        )
        for partition in partitions:
            partition["rows"] = partition["distinct"] = 0
        by_number = {p["partition"]: p for p in partitions}
        bounds = " OR ".join(f"(partition = {p['partition']} AND offset < {p['next_offset']})" for p in partitions)
        tables = {}
        for table in TABLES_OF[topic]:
            tables[table] = 0
            if not partitions:
                continue
            for found in _dicts(
                client,
                f"""
                SELECT partition, count() AS rows, uniqExact(offset) AS distinct FROM {table}
                WHERE topic = {{topic:String}} AND topic_id = {{id:String}} AND ({bounds}) GROUP BY partition
                """,
                topic=name,
                id=topic_id,
            ):
                tables[table] += found["rows"]
                by_number[found["partition"]]["rows"] += found["rows"]
                by_number[found["partition"]]["distinct"] += found["distinct"]
        return {
            "tables": tables,
            **{key: sum(p[key] for p in partitions) for key in ("rows", "distinct", "records", "unreadable")},
            "partitions": partitions,
            "equal": all(p["rows"] == p["distinct"] == p["records"] - p["unreadable"] for p in partitions),
        }

    def ledger(self, session_id: str) -> Json:
        """Items by stage, modality and outcome, and the entries themselves."""
        with self._database.reader() as client:
            entries = self._entries(client, session_id)
            signals = _ranges(client, "face_signals", session_id)
        shown = [{name: getattr(e, name) for name in Entry.__dataclass_fields__} for e in entries]
        return {"session_id": session_id, "outcomes": outcomes(entries, signals), "entries": shown}

    def _entries(self, client: Client, session_id: str) -> list[Entry]:
        rows = client.query(
            """
            SELECT toUnixTimestamp64Micro(recorded_at), stage, modality, outcome, count, first_sequence, last_sequence
            FROM ledger FINAL WHERE session_id = {session:String} ORDER BY recorded_at, stage, modality, outcome
            """,
            parameters={"session": session_id},
        ).result_rows
        return [Entry(*row) for row in rows]

    def balance(self, session_id: str, media: Mapping[Modality, Ranges] | None = None) -> Json:
        """The checks of :mod:`analytics.balance` on one session; raises SessionUnknown.

        A session that lives, or whose last entries are under way, does not balance yet: ask again until ``balanced``.
        """
        with self._database.reader() as client:
            session = self._session(client, session_id)
            entries = self._entries(client, session_id)
            gaps = self._gaps(client, session_id)
            facts = Facts(
                face_signals=_ranges(client, "face_signals", session_id),
                signal_records={
                    key: _one(
                        client,
                        f"SELECT count() FROM {table} FINAL WHERE session_id = {{session:String}}",
                        session=session_id,
                    )
                    for key, table in (("", "sessions"), ("face", "face_signals"), ("speech", "speech_signals"))
                },
                frames=_one(
                    client,
                    "SELECT uniqExact(sequence) FROM avatar_frames WHERE session_id = {session:String}",
                    session=session_id,
                ),
                frame_gaps=Ranges((g["first_sequence"], g["last_sequence"]) for g in gaps if not g["flagged"]),
                media=media or {},
                on_device=frozenset(
                    modality
                    for modality in Modality
                    if _one(
                        client,
                        f"""
                        SELECT count() FROM {modality.value}_signals
                        WHERE session_id = {{session:String}} AND startsWith(source, 'client:')
                        """,
                        session=session_id,
                    )
                ),
            )
        checks = balance(entries, facts)
        return {
            "session_id": session_id,
            "ended": session["ended_at_ms"] is not None,
            "balanced": all(check.balanced for check in checks),
            "checks": [check.as_dict() for check in checks],
            "unseen": {
                modality.value: {"items": len(numbers), "examples": [list(r) for r in numbers.ranges[:SHOWN_RANGES]]}
                for modality, numbers in unseen(entries, facts).items()
            },
        }

    def sql(self, statement: str) -> Json:
        """The answer to one SELECT: ``columns`` (name, type) and ``rows``; raises QueryRefused with the reason."""
        text = read_only(statement)
        with self._database.reader() as client:
            try:
                raw = client.raw_query(text, fmt="JSONCompact")
            except ClickHouseError as error:
                raise QueryRefused(_reason(error)) from error
        answer = orjson.loads(raw)
        return {"columns": answer["meta"], "rows": answer["data"]}

    def export(self, statement: str, kind: ExportFormat) -> bytes:
        """The answer to one SELECT as a Parquet or Arrow file, within :data:`EXPORT_LIMITS`; raises QueryRefused."""
        text = read_only(statement)
        with self._database.exporter() as client:
            try:
                return bytes(client.raw_query(text, fmt=EXPORT_FORMATS[kind]))
            except ClickHouseError as error:
                raise QueryRefused(_reason(error)) from error


def outcomes(entries: list[Entry], face_signals: Ranges) -> Json:
    """Items by stage, modality and outcome. What was noted twice by a restarted worker counts once.

    ``face_signals``: sequences of the session's FaceSignals, each the proof that a picture was used.
    """
    result: dict[str, dict[str, dict[str, int]]] = {}
    for stage in Stage:
        modalities = sorted({e.modality for e in entries if e.stage == stage.value})
        for modality in modalities:
            if stage is Stage.FUSION:
                by_outcome = dict(fusion_counts(entries).get(modality, {}))
            else:
                is_face = stage is Stage.FACE_WORKER and modality == Modality.FACE.value
                by_outcome = dict(account(entries, stage, modality, face_signals if is_face else NOTHING).by_outcome)
            result.setdefault(stage.value, {})[modality] = by_outcome
    return result


def _reason(error: ClickHouseError) -> str:
    code = getattr(error, "code", None)
    known = LIMIT_CODES.get(code) if isinstance(code, int) else None
    text = " ".join(str(error).split())[:500]
    return f"{known}: {text}" if known else text


def _ranges(client: Client, table: str, session_id: str) -> Ranges:
    rows = client.query(
        f"""
        SELECT min(sequence), max(sequence) FROM
        (
            SELECT sequence, sequence - row_number() OVER (ORDER BY sequence) AS island
            FROM (SELECT DISTINCT sequence FROM {table} WHERE session_id = {{session:String}})
        )
        GROUP BY island
        """,
        parameters={"session": session_id},
    ).result_rows
    return Ranges((int(first), int(last)) for first, last in rows)


def _p50_p95(pair: list[float | None] | None) -> Json:
    p50, p95 = pair or (None, None)
    return {"p50": _number(p50), "p95": _number(p95)}
