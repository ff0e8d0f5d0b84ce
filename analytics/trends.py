"""What many sessions were like in a period: feelings, latency, drops, opt-outs, durations along time."""

from typing import Final

from analytics.answers import Json, as_columns, as_dicts, epoch_ms
from analytics.database import Client, Database
from analytics.queries import HOPS
from schemas.vocabulary import EMOTIONS, Modality

Parameters = dict[str, int | str]

STEPS_S: Final = (60, 300, 900, 3_600, 21_600, 86_400, 604_800)
"""Widths that a point of a trend may have."""
MOST_POINTS: Final = 170
SESSIONS_SHOWN: Final = 400
"""Sessions whose emotions are shown one by one: the newest of the period."""
DURATION_EDGES_S: Final = (0, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 86_400)
"""Edges of the classes of the durations' histogram, seconds; each holds its lower edge."""

MILLIS = "fromUnixTimestamp64Milli({from_ms:Int64})", "fromUnixTimestamp64Milli({to_ms:Int64})"
_TAGGED: Final = "startsWith(session_id, {tag:String})"
_MINUTES: Final = f"{_TAGGED} AND minute >= toDateTime({{from_s:Int64}}) AND minute < toDateTime({{to_s:Int64}})"


def step_of(span_s: float) -> int:
    """Seconds that a point stands for in a period of ``span_s``: the least that gives at most MOST_POINTS."""
    return next((step for step in STEPS_S if span_s / step <= MOST_POINTS), STEPS_S[-1])


class Trends:
    """Thread-safe: each call borrows a read-only client. Raises DatabaseUnavailable when none is free."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def over(self, from_ms: int, to_ms: int, *, tag: str = "") -> Json:
        """The period [from_ms, to_ms), milliseconds since the Unix epoch; sessions whose ids begin with ``tag``.

        ``along``: parallel lists, a point every ``step_s`` seconds in which there were frames; emotions are means
        weighted by frames. ``hops``: p50 and p95 in ms of each hop: medians over minutes, weighted by frames, of a
        minute's p50 and p95; of ``total`` the quantiles of all frames. ``drops``: items by stage, modality and outcome,
        with the share of what that stage accounted for. ``opt_outs`` and ``durations``: of sessions that started then.
        """
        step_s = step_of((to_ms - from_ms) / 1_000)
        period: Parameters = {"from_ms": from_ms, "to_ms": to_ms, "tag": tag}
        minutes: Parameters = {"from_s": from_ms // 60_000 * 60, "to_s": -(-to_ms // 1_000), "tag": tag}
        with self._database.reader() as client:
            return {
                "from_ms": from_ms,
                "to_ms": to_ms,
                "step_s": step_s,
                "along": _along(client, step_s, minutes),
                "hops": _hops(client, minutes),
                "drops": _drops(client, period),
                "dropped_along": _dropped_along(client, step_s, period),
                "started": _started(client, step_s, period),
                "durations": _durations(client, period),
                "sessions": _sessions(client, period),
            }


def _along(client: Client, step_s: int, minutes: Parameters) -> Json:
    def mean(name: str) -> str:
        return f"sum(m.{name} * m.frames) / sum(m.frames) AS {name}"

    means = ", ".join(mean(name) for name in (*(f"emotion_{name}" for name in EMOTIONS), "valence", "arousal"))
    totals = ", ".join(
        f"arrayElement(quantilesTDigestMerge(0.5, 0.95, 0.99)(m.{modality.value}_total_ms), {place})"
        f" AS {modality.value}_total_{name}_ms"
        for modality in Modality
        for place, name in ((1, "p50"), (2, "p95"))
    )
    hops = ", ".join(
        f"quantileExactWeighted(0.5)(m.{modality.value}_{hop}_p50_ms, m.frames) AS {modality.value}_{hop}_ms"
        for modality in Modality
        for hop in HOPS[1:]
    )
    return as_columns(
        client,
        f"""
        SELECT toUnixTimestamp(toStartOfInterval(minute, INTERVAL {{step:UInt32}} SECOND)) * 1000 AS at_ms,
               uniqExact(session_id) AS sessions, sum(m.frames) AS frames, {means}, {totals}, {hops},
               sum(m.speaking) / sum(m.frames) AS speaking_share
        FROM minute_aggregates AS m FINAL WHERE {_MINUTES} GROUP BY at_ms ORDER BY at_ms
        """,
        step=step_s,
        **minutes,
    )


def _hops(client: Client, minutes: Parameters) -> list[Json]:
    found = []
    for modality in Modality:
        wanted = ", ".join(
            f"quantileExactWeighted(0.5)({modality.value}_{hop}_{name}_ms, frames) AS {hop}_{name}"
            for hop in HOPS[1:]
            for name in ("p50", "p95")
        )
        (row,) = as_dicts(
            client,
            f"""
            SELECT {wanted}, quantilesTDigestMerge(0.5, 0.95, 0.99)({modality.value}_total_ms) AS totals,
                   sum({modality.value}_live) AS live
            FROM minute_aggregates FINAL WHERE {_MINUTES}
            """,
            **minutes,
        )
        if not row["live"]:
            continue
        found += [
            {"modality": modality.value, "hop": hop, "p50": row[f"{hop}_p50"], "p95": row[f"{hop}_p95"]}
            for hop in HOPS[1:]
        ]
        p50, p95, p99 = row["totals"]
        found.append({"modality": modality.value, "hop": "total", "p50": p50, "p95": p95, "p99": p99})
    return found


def _drops(client: Client, period: Parameters) -> list[Json]:
    return as_dicts(
        client,
        f"""
        SELECT stage, modality, outcome, items, sessions, items / of AS share FROM
        (
            SELECT stage, modality, outcome, sum(count) AS items, uniqExact(session_id) AS sessions,
                   sum(items) OVER (PARTITION BY stage, modality) AS of
            FROM ledger FINAL WHERE {_TAGGED} AND recorded_at >= {MILLIS[0]} AND recorded_at < {MILLIS[1]}
            GROUP BY stage, modality, outcome
        )
        WHERE outcome != 'used' AND items > 0 ORDER BY items DESC, stage, modality, outcome LIMIT 200
        """,
        **period,
    )


def _dropped_along(client: Client, step_s: int, period: Parameters) -> Json:
    return as_columns(
        client,
        f"""
        SELECT toUnixTimestamp(toStartOfInterval(recorded_at, INTERVAL {{step:UInt32}} SECOND)) * 1000 AS at_ms,
               sumIf(count, outcome != 'used') AS dropped, sum(count) AS items
        FROM ledger FINAL WHERE {_TAGGED} AND recorded_at >= {MILLIS[0]} AND recorded_at < {MILLIS[1]}
        GROUP BY at_ms ORDER BY at_ms
        """,
        step=step_s,
        **period,
    )


def _started(client: Client, step_s: int, period: Parameters) -> Json:
    """Sessions that started, and of these how many someone opted out of or withdrew consent from."""
    return as_columns(
        client,
        f"""
        SELECT toUnixTimestamp(toStartOfInterval(l.started_at, INTERVAL {{step:UInt32}} SECOND)) * 1000 AS at_ms,
               count() AS sessions, countIf(e.opted_out) AS opted_out,
               countIf(l.end_reason = 'consent_withdrawn') AS withdrawn
        FROM
        (
            SELECT * FROM session_list WHERE {_TAGGED} AND started_at >= {MILLIS[0]} AND started_at < {MILLIS[1]}
        ) AS l
        LEFT JOIN
        (
            SELECT session_id, toBool(1) AS opted_out FROM client_events FINAL
            WHERE kind = 'opt_out' GROUP BY session_id
        ) AS e ON e.session_id = l.session_id
        GROUP BY at_ms ORDER BY at_ms
        """,
        step=step_s,
        **period,
    )


def _durations(client: Client, period: Parameters) -> Json:
    edges = ", ".join(str(edge) for edge in DURATION_EDGES_S)
    (row,) = as_dicts(
        client,
        f"""
        SELECT count() AS ended, quantilesOrNull(0.25, 0.5, 0.75, 0.95)(seconds) AS quantiles,
               sumForEach(arrayMap((low, high) -> toUInt32(seconds >= low AND seconds < high),
                                   arrayPopBack([{edges}]), arrayPopFront([{edges}]))) AS counts
        FROM
        (
            SELECT dateDiff('millisecond', started_at, assumeNotNull(ended_at)) / 1000 AS seconds FROM session_list
            WHERE {_TAGGED} AND isNotNull(ended_at) AND started_at >= {MILLIS[0]} AND started_at < {MILLIS[1]}
        )
        """,
        **period,
    )
    names = ("p25", "p50", "p75", "p95")
    quantiles = row["quantiles"] or [None] * len(names)
    return {
        "ended": row["ended"],
        "edges_s": list(DURATION_EDGES_S),
        "counts": row["counts"] or [0] * (len(DURATION_EDGES_S) - 1),
        **dict(zip(names, quantiles, strict=True)),
    }


def _sessions(client: Client, period: Parameters) -> Json:
    """Mean emotions of each of the newest sessions, in the order of their start."""
    means = ", ".join(f"t.emotion_{name} AS emotion_{name}" for name in EMOTIONS)
    return as_columns(
        client,
        f"""
        SELECT * FROM
        (
            SELECT l.session_id AS session_id, {epoch_ms("l.started_at")} AS at_ms, {means}, t.valence AS valence,
                   t.arousal AS arousal
            FROM
            (
                SELECT session_id, started_at FROM session_list
                WHERE {_TAGGED} AND started_at >= {MILLIS[0]} AND started_at < {MILLIS[1]}
                ORDER BY started_at DESC LIMIT {SESSIONS_SHOWN}
            ) AS l
            INNER JOIN
            (
                SELECT * FROM session_totals WHERE session_id IN
                (
                    SELECT session_id FROM sessions
                    WHERE {_TAGGED} AND kind = 'started' AND captured_at >= {MILLIS[0]} AND captured_at < {MILLIS[1]}
                )
            ) AS t ON t.session_id = l.session_id
        )
        ORDER BY at_ms, session_id
        """,
        **period,
    )
