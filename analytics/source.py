"""Where a command gets figures from: a running role's API, or the database itself."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from analytics import runfile
from analytics.client import AnalyticsClient
from analytics.database import Database, connect, endpoint_of
from analytics.errors import SessionUnknown
from analytics.queries import ExportFormat, Queries
from runtime.settings import Settings

Json = dict[str, Any]
NEWEST = "latest"


class Source(Protocol):
    """What :class:`~analytics.client.AnalyticsClient` and :class:`~analytics.queries.Queries` both offer."""

    def sessions(self, *, limit: int) -> list[Json]: ...

    def summary(self, session_id: str) -> Json: ...

    def timeline(self, session_id: str, *, points: int) -> Json: ...

    def sql(self, statement: str) -> Json: ...

    def export(self, statement: str, kind: ExportFormat) -> bytes: ...


@contextlib.contextmanager
def open_source(settings: Settings) -> Iterator[Source]:
    """The API of the analytics role that runs on ``data_dir``; without one, the database that the settings name.

    A server is only read from: it is neither created nor migrated here. Raises DatabaseUnavailable if neither can be
    had.
    """
    running = runfile.read(settings.data_dir)
    if running is not None:
        with AnalyticsClient(running.url, running.token) as client:
            yield client
        return
    database = Database(endpoint_of(settings)) if settings.clickhouse_dsn else connect(settings)
    try:
        yield Queries(database, {})
    finally:
        database.close()


def session_named(source: Source, name: str) -> str:
    """``name``, or for ``latest`` the newest session's id; raises SessionUnknown if there is none."""
    if name != NEWEST:
        return name
    found = source.sessions(limit=1)
    if not found:
        raise SessionUnknown("there is no session yet")
    return str(found[0]["session_id"])
