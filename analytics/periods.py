"""The rows behind :mod:`analytics.drift`: each session's frames counted by class, two a second."""

from typing import Any, Final

import numpy as np

from analytics.answers import Json
from analytics.database import Database
from analytics.drift import (
    CHANNELS,
    DEALS,
    FEWEST_SESSIONS,
    LARGE_PSI,
    MODERATE_PSI,
    SIGNIFICANT,
    Channel,
    Period,
    compare,
)
from schemas.vocabulary import EMOTIONS

MOST_SESSIONS: Final = 2_000
"""Of a period: the newest."""
EVERY_TICKS: Final = 15
"""Frames a thirtieth of a second apart say the same: every 15th is counted."""

_LATENCY: Final = (
    "(toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at) + {}_age_us) / 1000"
)
_VALUES: Final[dict[str, str]] = {
    **{f"emotion_{name}": f"emotion_{name} / 255" for name in EMOTIONS},
    "valence": "valence / 10000",
    "arousal": "arousal / 10000",
    "face_confidence": "if(face_live, face_confidence / 255, NULL)",
    "speech_confidence": "if(speech_live, speech_confidence / 255, NULL)",
    "face_total_ms": _LATENCY.format("face"),
    "speech_total_ms": _LATENCY.format("speech"),
}
"""Each channel's value in its unit; null: it was not there."""


class Drift:
    """Thread-safe: each call borrows a read-only client. Raises DatabaseUnavailable when none is free."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def between(self, period: tuple[int, int], reference: tuple[int, int], *, tag: str = "") -> Json:
        """Both are [from, to), milliseconds since the Unix epoch; a session belongs to the one in which it started.

        ``tag``: only sessions whose ids begin so.
        """
        now, before = self.read(*period, tag=tag), self.read(*reference, tag=tag)
        return {
            "period": _described(period, now),
            "reference": _described(reference, before),
            "channels": compare(now, before),
            "moderate_psi": MODERATE_PSI,
            "large_psi": LARGE_PSI,
            "significant_p": SIGNIFICANT,
            "deals": DEALS,
            "fewest_sessions": FEWEST_SESSIONS,
            "most_sessions": MOST_SESSIONS,
        }

    def read(self, from_ms: int, to_ms: int, *, tag: str = "") -> Period:
        """Counts and sums of the newest sessions that started then."""
        wanted = ", ".join(f"{_counted(c)} AS c{n}, {_summed(c)} AS s{n}" for n, c in enumerate(CHANNELS))
        with self._database.reader() as client:
            rows = client.query(
                f"""
                SELECT count(), {wanted} FROM
                (
                    SELECT * FROM avatar_frames
                    WHERE sequence % {EVERY_TICKS} = 0 AND session_id IN
                    (
                        SELECT session_id FROM sessions
                        WHERE kind = 'started' AND captured_at >= fromUnixTimestamp64Milli({{from_ms:Int64}})
                          AND captured_at < fromUnixTimestamp64Milli({{to_ms:Int64}})
                          AND startsWith(session_id, {{tag:String}})
                        GROUP BY session_id ORDER BY max(captured_at) DESC LIMIT {MOST_SESSIONS}
                    )
                    ORDER BY session_id, sequence, topic_id, partition, offset
                    LIMIT 1 BY session_id, sequence
                )
                GROUP BY session_id ORDER BY session_id
                """,
                parameters={"from_ms": from_ms, "to_ms": to_ms, "tag": tag},
            ).result_rows
        return Period(
            sessions=len(rows),
            frames=sum(row[0] for row in rows),
            counts={c.name: _matrix([row[1 + 2 * n] for row in rows], c.classes) for n, c in enumerate(CHANNELS)},
            sums={c.name: np.array([row[2 + 2 * n] or 0.0 for row in rows], float) for n, c in enumerate(CHANNELS)},
        )


def _matrix(rows: list[Any], classes: int) -> Any:
    return np.array(rows, float).reshape(len(rows), classes)


def _counted(channel: Channel) -> str:
    """The expression for how many frames fell into each class."""
    if channel.words:
        scores = ", ".join(f"emotion_{word}" for word in channel.words)
        place = f"indexOf([{scores}], arrayMax([{scores}])) - 1"
    else:
        edges = ", ".join(str(float(edge)) for edge in channel.edges[:-1])
        # Null is in no class. What is beyond the last edge belongs to the last class.
        place = f"arrayCount(edge -> ifNull({_VALUES[channel.name]} >= edge, 0), [{edges}]) - 1"
    return f"sumForEach(arrayMap(n -> toUInt32(n = {place}), range({channel.classes})))"


def _summed(channel: Channel) -> str:
    return "0" if channel.words else f"sum({_VALUES[channel.name]})"


def _described(span: tuple[int, int], period: Period) -> Json:
    return {"from_ms": span[0], "to_ms": span[1], "sessions": period.sessions, "frames": period.frames}
