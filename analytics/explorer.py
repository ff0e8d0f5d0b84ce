"""Sessions to choose from: found by words and properties, sorted by what came of them, a page at a time."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from analytics.answers import Json, as_dicts, epoch_ms
from analytics.database import Database
from schemas.vocabulary import EMOTIONS

SortKey = Literal[
    "started", "duration", "frames", "valence", "arousal", "latency", "dropped", "rating", "opt_outs", "gaps"
]
Lasting = Literal["ended", "open"]

SORTED_BY: Final[dict[SortKey, str]] = {
    "started": "started_at_ms",
    "duration": "duration_s",
    "frames": "frames",
    "valence": "valence",
    "arousal": "arousal",
    "latency": "face_total_p95_ms",
    "dropped": "dropped",
    "rating": "mean_rating",
    "opt_outs": "opt_outs",
    "gaps": "discontinuities",
}
MOST_WORDS: Final = 5
MOST_ROWS: Final = 200
NAMES_OFFERED: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions, in which order. Instants are of their start, milliseconds since the Unix epoch."""

    from_ms: int
    to_ms: int
    search: str = ""
    """Words that all stand in a session's id, mapping, experiment, variant or timeline; case does not matter."""
    mapping: str = ""
    experiment: str = ""
    lasting: Lasting | None = None
    sort: SortKey = "started"
    descending: bool = True
    offset: int = 0
    limit: int = 50
    tag: str = ""
    """Only sessions whose ids begin so: see :mod:`runtime.tenancy`."""


class Explorer:
    """Thread-safe: each call borrows a read-only client. Raises DatabaseUnavailable when none is free."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, wanted: Wanted) -> Json:
        """One page: ``total``, ``rows``, and the ``mappings`` and ``experiments`` that there are in the period.

        ``dropped`` counts items that any stage dropped; ``top`` is the emotion with the highest mean score. What comes
        of frames is null until the first of them are aggregated.
        """
        conditions, parameters = _conditions(wanted)
        order = f"{SORTED_BY[wanted.sort]} {'DESC' if wanted.descending else 'ASC'} NULLS LAST, session_id"
        means = ", ".join(f"if(t.frames = 0, NULL, t.emotion_{name}) AS emotion_{name}" for name in EMOTIONS)
        with self._database.reader() as client:
            rows = as_dicts(
                client,
                f"""
                WITH chosen AS
                (
                    SELECT * FROM session_list
                    WHERE session_id IN
                    (
                        SELECT session_id FROM sessions
                        WHERE kind = 'started' AND captured_at >= fromUnixTimestamp64Milli({{from_ms:Int64}})
                          AND captured_at < fromUnixTimestamp64Milli({{to_ms:Int64}})
                          AND startsWith(session_id, {{tag:String}})
                    ) {conditions}
                )
                SELECT l.session_id AS session_id, {epoch_ms("l.started_at")} AS started_at_ms,
                       {epoch_ms("l.ended_at")} AS ended_at_ms,
                       if(isNull(l.ended_at), NULL, dateDiff('millisecond', l.started_at, l.ended_at) / 1000)
                           AS duration_s,
                       l.timeline AS timeline, l.mapping AS mapping, l.smoothing AS smoothing,
                       l.experiment AS experiment, l.variant AS variant, l.end_reason AS end_reason,
                       l.audio_consented AS audio, l.video_consented AS video, t.frames AS frames,
                       t.discontinuities AS discontinuities, {means},
                       if(t.frames = 0, NULL, t.valence) AS valence, if(t.frames = 0, NULL, t.arousal) AS arousal,
                       if(t.frames = 0, NULL, t.face_total_p95_ms) AS face_total_p95_ms,
                       if(t.frames = 0, NULL, t.speech_total_p95_ms) AS speech_total_p95_ms,
                       d.dropped AS dropped, e.opt_outs AS opt_outs,
                       if(e.ratings = 0, NULL, e.rated / e.ratings) AS mean_rating,
                       count() OVER () AS total
                FROM chosen AS l
                LEFT JOIN (SELECT * FROM session_totals WHERE session_id IN (SELECT session_id FROM chosen)) AS t
                    ON t.session_id = l.session_id
                LEFT JOIN
                (
                    SELECT session_id, sum(count) AS dropped FROM ledger FINAL
                    WHERE outcome != 'used' AND session_id IN (SELECT session_id FROM chosen) GROUP BY session_id
                ) AS d ON d.session_id = l.session_id
                LEFT JOIN
                (
                    SELECT session_id, countIf(kind = 'opt_out') AS opt_outs,
                           countIf(kind = 'rating' AND value IS NOT NULL) AS ratings,
                           sumIf(value, kind = 'rating') AS rated
                    FROM client_events FINAL
                    WHERE kind IN ('opt_out', 'rating') AND session_id IN (SELECT session_id FROM chosen)
                    GROUP BY session_id
                ) AS e ON e.session_id = l.session_id
                ORDER BY {order} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
                """,
                **parameters,
            )
            (offered,) = as_dicts(
                client,
                f"""
                SELECT arraySort(groupUniqArray({NAMES_OFFERED})(mapping)) AS mappings,
                       arraySort(groupUniqArrayIf({NAMES_OFFERED})(experiment, experiment != '')) AS experiments
                FROM sessions WHERE kind = 'started' AND captured_at >= fromUnixTimestamp64Milli({{from_ms:Int64}})
                  AND captured_at < fromUnixTimestamp64Milli({{to_ms:Int64}})
                  AND startsWith(session_id, {{tag:String}})
                """,
                from_ms=wanted.from_ms,
                to_ms=wanted.to_ms,
                tag=wanted.tag,
            )
        total = rows[0]["total"] if rows else 0
        return {"total": total, "rows": [_shaped(row) for row in rows], **offered}


def _conditions(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {
        "from_ms": wanted.from_ms, "to_ms": wanted.to_ms, "limit": wanted.limit, "offset": wanted.offset,
        "tag": wanted.tag,
    }  # fmt: skip
    conditions = []
    for n, word in enumerate(wanted.search.split()[:MOST_WORDS]):
        parameters[f"word{n}"] = word
        text = "concat(session_id, ' ', mapping, ' ', experiment, ' ', variant, ' ', timeline)"
        conditions.append(f"positionCaseInsensitiveUTF8({text}, {{word{n}:String}}) > 0")
    for name in ("mapping", "experiment"):
        if value := getattr(wanted, name):
            parameters[name] = value
            conditions.append(f"{name} = {{{name}:String}}")
    if wanted.lasting is not None:
        conditions.append(f"isNull(ended_at) = {int(wanted.lasting == 'open')}")
    return "".join(f" AND {condition}" for condition in conditions), parameters


def _shaped(row: Json) -> Json:
    emotions = {name: row.pop(f"emotion_{name}") for name in EMOTIONS}
    del row["total"]
    known = {name: score for name, score in emotions.items() if score is not None}
    return {
        **row,
        "emotions": emotions if known else None,
        "top": max(known, key=lambda n: known[n]) if known else None,
    }
