"""A session's avatar frames tick by tick, as Arrow columns: what the analyst page replays and draws.

Values are as they stand in the log (:mod:`schemas.vocabulary`): scores, levels, blendshapes and visemes in 255ths,
affect in ten-thousandths, angles in hundredths of a degree. So the page shows exactly what a client was sent.
"""

from typing import Any, Final, Literal

import pyarrow as pa

from analytics.database import Database
from analytics.errors import SessionUnknown
from analytics.rows import EMOTION_COLUMNS, VISEME_COLUMNS
from schemas.vocabulary import AFFECT, ANGLES, AUS, BLENDSHAPES, LEVELS, Modality

TickColumns = Literal["pose", "series"]

FLAG_COLUMNS: Final = ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait")
POSE_COLUMNS: Final = (*EMOTION_COLUMNS, *AFFECT, *LEVELS, *AUS, *ANGLES, *BLENDSHAPES, *VISEME_COLUMNS)
"""Everything of a frame but its flags, its instants and its hops."""
SERIES_COLUMNS: Final = (
    *EMOTION_COLUMNS,
    "valence",
    "arousal",
    "speaking_probability",
    "face_weight",
    "speech_weight",
    "face_confidence",
    "speech_confidence",
)
"""What is drawn along a whole session, besides capture-to-fused latency in us by modality."""
PAGE_TICKS: Final = 9_000
"""Ticks of one answer with everything: five minutes, about 1.2 MB."""
SERIES_TICKS: Final = 100_000
"""Ticks of one series at most, an hour's; of a longer session every nth is given."""

_LATENCIES: Final = ", ".join(
    f"toInt32(toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at)"
    f" + {modality.value}_age_us) AS {modality.value}_total_us"
    for modality in Modality
)
_FLAGS: Final = ", ".join(f"toUInt8({name}) AS {name}" for name in FLAG_COLUMNS)
_SELECTED: Final = {
    "pose": f"{_FLAGS}, {', '.join(POSE_COLUMNS)}",
    "series": f"toUInt8(discontinuity) AS discontinuity, {', '.join(SERIES_COLUMNS)}, {_LATENCIES}",
}


class Ticks:
    """Thread-safe: each call borrows a read-only client. Raises DatabaseUnavailable when none is free."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def span(self, session_id: str) -> tuple[int, int, int]:
        """First and last sequence and how many frames there are; raises SessionUnknown if there is none."""
        with self._database.reader() as client:
            first, last, count = client.query(
                "SELECT min(sequence), max(sequence), uniqExact(sequence) FROM avatar_frames"
                " WHERE session_id = {session:String}",
                parameters={"session": session_id},
            ).result_rows[0]
        if not count:
            raise SessionUnknown(f"no frame of session {session_id}")
        return int(first), int(last), int(count)

    def read(self, session_id: str, columns: TickColumns, *, first: int, last: int, stride: int = 1) -> pa.Table:
        """The ticks from ``first`` to ``last``, both included, whose sequence ``stride`` divides; each once, in order.

        ``sequence`` and ``at_us`` (microseconds since the Unix epoch, as float64, which holds them exactly) come first.
        Empty if there is none.
        """
        with self._database.reader() as client:
            raw = client.raw_query(
                f"""
                SELECT toInt32(sequence) AS sequence, toFloat64(toUnixTimestamp64Micro(captured_at)) AS at_us,
                       {_SELECTED[columns]}
                FROM
                (
                    SELECT * FROM avatar_frames
                    WHERE session_id = {{session:String}} AND sequence BETWEEN {{first:Int64}} AND {{last:Int64}}
                      AND sequence % {{stride:Int64}} = 0
                    ORDER BY sequence, topic_id, partition, offset
                    LIMIT 1 BY sequence
                )
                ORDER BY sequence
                """,
                parameters={"session": session_id, "first": first, "last": last, "stride": stride},
                fmt="ArrowStream",
            )
        return pa.ipc.open_stream(raw).read_all()


def of_frames(rows: pa.Table) -> pa.Table:
    """The same columns as :meth:`Ticks.read` gives for ``pose``, of rows of the table avatar_frames."""
    columns: dict[str, Any] = {
        "sequence": rows["sequence"].cast(pa.int32()),
        "at_us": rows["captured_at"].cast(pa.int64()).cast(pa.float64()),
        **{name: rows[name].cast(pa.uint8()) for name in FLAG_COLUMNS},
        **{name: rows[name] for name in POSE_COLUMNS},
    }
    return pa.table(columns).sort_by("sequence")


def stream(table: pa.Table, metadata: dict[str, str] | None = None) -> bytes:
    """The table as an Arrow IPC stream of one batch, not compressed: browsers read it without copying."""
    table = table.combine_chunks().replace_schema_metadata(metadata or {})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
