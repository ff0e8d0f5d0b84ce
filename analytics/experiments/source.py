"""Where a command gets experiments from: a running role's API, or the database itself."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from analytics import runfile
from analytics.client import AnalyticsClient
from analytics.database import Database, connect, endpoint_of
from analytics.experiments.rows import ExperimentQueries
from runtime.clock import SystemClock
from runtime.settings import Settings
from schemas.experiments import Correction

Json = dict[str, Any]


class ExperimentSource(Protocol):
    """What :class:`~analytics.client.AnalyticsClient` and :class:`ExperimentQueries` both offer."""

    def experiments(self) -> Json: ...

    def experiment(self, name: str, *, confidence: float, correction: Correction) -> Json: ...


@contextlib.contextmanager
def open_experiments(settings: Settings) -> Iterator[ExperimentSource]:
    """As :func:`analytics.source.open_source`; raises DatabaseUnavailable if neither can be had."""
    running = runfile.read(settings.data_dir)
    if running is not None:
        with AnalyticsClient(running.url, running.token) as client:
            yield client
        return
    database = Database(endpoint_of(settings)) if settings.clickhouse_dsn else connect(settings)
    try:
        yield ExperimentQueries(database, settings.experiments_dir, SystemClock())
    finally:
        database.close()
