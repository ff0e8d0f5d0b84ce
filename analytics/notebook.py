"""Analytics in a notebook: questions in, DataFrames out.

    from analytics.notebook import open_analytics

    with open_analytics() as analytics:
        sessions = analytics.sessions()
        frames = analytics.frames(sessions.session_id[0], columns=["captured_at", "emotion_happy", "AU12"])
        by_mapping = analytics.sql("SELECT mapping, avg(face_total_ms) AS ms FROM frames GROUP BY mapping")

``open_analytics()`` finds the analytics role that runs on this machine, or else opens the database; with ``url`` and
``token`` it asks a role elsewhere, with ``dsn`` a ClickHouse server. It only reads.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from analytics.client import AnalyticsClient
from analytics.errors import QueryRefused
from analytics.source import Source, open_source
from runtime.settings import Settings

DataFrame = Any
"""A pandas.DataFrame; timestamps in UTC, one row a row of the answer."""

COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def literal(text: str) -> str:
    """``text`` as a string in SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Analytics:
    """Answers as DataFrames. Raises what the source raises: QueryRefused with the reason, DatabaseUnavailable."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def arrow(self, statement: str) -> pa.Table:
        """The answer to one SELECT as an Arrow table."""
        return pa.ipc.open_file(self._source.export(statement, "arrow")).read_all()

    def sql(self, statement: str) -> DataFrame:
        """The answer to one SELECT."""
        return self.arrow(statement).to_pandas()

    def sessions(self, *, limit: int = 1_000) -> DataFrame:
        """Sessions, the newest first: :sql:`session_list`."""
        return self.sql(f"SELECT * FROM session_list ORDER BY started_at DESC LIMIT {int(limit)}")

    def frames(self, session_id: str, *, columns: Sequence[str] = ()) -> DataFrame:
        """Frames of one session in order, each once, in units; ``columns``: only these."""
        return self._of_session("frames", session_id, columns)

    def signals(
        self, session_id: str, modality: Literal["face", "speech"], *, columns: Sequence[str] = ()
    ) -> DataFrame:
        """Signals of one session in order, each once."""
        return self._of_session(f"signals_{modality}", session_id, columns)

    def minutes(self, session_id: str | None = None) -> DataFrame:
        """Aggregates by minute, of one session or of all."""
        where = "" if session_id is None else f" WHERE session_id = {literal(session_id)}"
        return self.sql(f"SELECT * FROM session_minutes{where} ORDER BY session_id, minute")

    def _of_session(self, view: str, session_id: str, columns: Sequence[str]) -> DataFrame:
        for column in columns:
            if not COLUMN.fullmatch(column):
                raise QueryRefused(f"{column!r} is not a column's name")
        wanted = ", ".join(f"`{column}`" for column in columns) or "*"
        return self.sql(f"SELECT {wanted} FROM {view} WHERE session_id = {literal(session_id)} ORDER BY sequence")


@contextlib.contextmanager
def open_analytics(
    *, url: str = "", token: str = "", dsn: str = "", data_dir: Path | str | None = None
) -> Iterator[Analytics]:
    """Where to ask, in this order: ``url`` with an operator's ``token``; ``dsn``; what the environment says.

    Raises DatabaseUnavailable, SettingsError.
    """
    if url:
        with AnalyticsClient(url, token) as client:
            yield Analytics(client)
        return
    settings = Settings.from_env(
        os.environ, clickhouse_dsn=dsn or None, data_dir=None if data_dir is None else Path(data_dir)
    )
    with open_source(settings) as source:
        yield Analytics(source)
