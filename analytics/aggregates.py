"""Frames by session and minute: ``minute_aggregates``, computed from deduplicated rows.

Materialised views see inserted blocks, and would count a frame twice that a restarted fusion published twice. So the
sink notes which sessions have new frames and since when, and every few seconds computes those minutes anew: the newest
row of a session and minute counts. ``aggregate_progress`` says up to which offsets that has been done; a restarted
sink asks for the sessions of the rows beyond. Doing it twice changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from analytics.database import Client
from schemas.vocabulary import EMOTIONS, Modality

TABLE: Final = "avatar_frames"
MINUTE_US: Final = 60_000_000
SESSIONS_AT_ONCE: Final = 50
"""In one statement: bounds its memory, which grows with the frames that it tells apart."""

FLAGS: Final = ("discontinuity", "closed_by_max_wait", "face_live", "speech_live", "viseme_mouth")
COUNT_OF: Final = {"discontinuity": "discontinuities"}
MEANS: Final = {
    **{f"emotion_{name}": 255 for name in EMOTIONS},
    **dict.fromkeys(("valence", "arousal", "dominance"), 10_000),
    **dict.fromkeys(("face_weight", "speech_weight"), 255),
}
"""Column to what it counts in."""
HOPS: Final = ("transport", "ingest", "queue", "inference")


def statement() -> str:
    """Computes the minutes of ``{sessions:Array(String)}`` from ``{since:Int64}`` on, µs since the epoch."""
    wanted = ["session_id", "toStartOfMinute(captured_at) AS minute", "count() AS frames"]
    wanted += [f"countIf({flag}) AS {COUNT_OF.get(flag, flag)}" for flag in FLAGS]
    wanted.append("countIf(speaking_probability > 127) AS speaking")
    wanted += [f"avg({column}) / {unit} AS {column}" for column, unit in MEANS.items()]
    for modality in (m.value for m in Modality):
        total = f"(fused_us - captured_us + {modality}_age_us)"
        known = " - ".join(f"{modality}_{hop}_us" for hop in HOPS)
        hops = {**{hop: f"{modality}_{hop}_us" for hop in HOPS}, "fusion": f"({total} - {known})"}
        for hop, us in hops.items():
            for level, name in ((0.5, "p50"), (0.95, "p95")):
                wanted.append(f"quantileOrNull({level})({us} / 1000) AS {modality}_{hop}_{name}_ms")
        wanted.append(f"quantilesTDigestState(0.5, 0.95, 0.99)({total} / 1000) AS {modality}_total_ms")
    names = [column.rpartition(" AS ")[2] for column in wanted]
    return f"""
        INSERT INTO minute_aggregates ({", ".join(names)})
        SELECT {", ".join(wanted)}
        FROM
        (
            SELECT *, toUnixTimestamp64Micro(captured_at) AS captured_us,
                   toUnixTimestamp64Milli(fused_at) * 1000 AS fused_us
            FROM {TABLE}
            WHERE session_id IN {{sessions:Array(String)}}
              AND captured_at >= fromUnixTimestamp64Micro({{since:Int64}})
            ORDER BY session_id, sequence, topic_id, partition, offset
            LIMIT 1 BY session_id, sequence
        )
        GROUP BY session_id, minute
        """


STATEMENT: Final = statement()
SETTINGS: Final = {"max_threads": 1}
"""Nobody waits for it: on a machine of few cores analysts' questions, which somebody waits for, keep the others."""


class Aggregator:
    """Knows what is to be computed anew. Owned by the sink's thread; raises what the client raises, losing nothing."""

    def __init__(self, topic: str, topic_id: str) -> None:
        """``topic``: the Kafka name of ``avatar.frames``."""
        self._topic = topic
        self._topic_id = topic_id
        self._since_us: dict[str, int] = {}
        self._next: dict[int, int] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is something to compute."""
        return bool(self._since_us)

    def resume(self, client: Client) -> None:
        """Note the sessions of rows that a predecessor did not come to."""
        keys = {"topic": self._topic, "id": self._topic_id}
        known = client.query(
            "SELECT partition, next_offset FROM aggregate_progress FINAL "
            "WHERE topic = {topic:String} AND topic_id = {id:String}",
            parameters=keys,
        ).result_rows
        done = " OR ".join(f"(partition = {int(p)} AND offset < {int(offset)})" for p, offset in known) or "false"
        rows = client.query(
            f"""
            SELECT session_id, toUnixTimestamp64Micro(min(captured_at)), partition, max(offset) + 1 FROM {TABLE}
            WHERE topic = {{topic:String}} AND topic_id = {{id:String}} AND NOT ({done})
            GROUP BY session_id, partition
            """,
            parameters=keys,
        ).result_rows
        for session, captured_us, partition, offset in rows:
            self._note(str(session), int(captured_us))
            self._next[int(partition)] = max(self._next.get(int(partition), 0), int(offset))

    def inserted(self, frames: pa.Table, next_offsets: Mapping[int, int]) -> None:
        """Note rows that ClickHouse has now; ``next_offsets``: by partition, how far they reach."""
        if len(frames):
            sessions = frames["session_id"].combine_chunks()
            never = np.iinfo(np.int64).max
            earliest = np.full(len(sessions.dictionary), never)
            captured = frames["captured_at"].cast(pa.int64()).to_numpy()
            np.minimum.at(earliest, sessions.indices.to_numpy(), captured)
            for session, captured_us in zip(sessions.dictionary.to_pylist(), earliest.tolist(), strict=True):
                if captured_us < never:
                    self._note(session, captured_us)
        self._next.update(next_offsets)

    def compute(self, client: Client, enough: Callable[[], bool] = lambda: False) -> int:
        """Compute what is to be computed; returns how many sessions that were. Blocks while ClickHouse works.

        Stops after a statement when ``enough`` says so; the rest waits for the next time.
        """
        count = 0
        for sessions, since_us in self._chunks():
            client.command(STATEMENT, parameters={"sessions": sessions, "since": since_us}, settings=SETTINGS)
            for session in sessions:
                del self._since_us[session]
            count += len(sessions)
            if enough():
                break
        if self._next and not self._since_us:
            rows = [[self._topic, self._topic_id, p, offset] for p, offset in sorted(self._next.items())]
            client.insert("aggregate_progress", rows, column_names=["topic", "topic_id", "partition", "next_offset"])
            self._next = {}
        return count

    def _chunks(self) -> Iterator[tuple[list[str], int]]:
        """Sessions that began to change at about the same time, and that time's minute."""
        waiting = sorted(self._since_us.items(), key=lambda item: item[1])
        for begin in range(0, len(waiting), SESSIONS_AT_ONCE):
            chunk = waiting[begin : begin + SESSIONS_AT_ONCE]
            yield [session for session, _ in chunk], chunk[0][1] // MINUTE_US * MINUTE_US

    def _note(self, session: str, captured_us: int) -> None:
        self._since_us[session] = min(self._since_us.get(session, captured_us), captured_us)
