"""The one door to ClickHouse: a server by DSN, or the embedded engine (chDB) in ``data_dir/clickhouse``.

The same code serves both. Clients are not shared between threads: :meth:`Database.writer` makes one that its caller
owns, :meth:`Database.reader` lends a read-only one from a small pool.

One process owns the embedded engine; a second one on the same folder gets :class:`DatabaseUnavailable`, which says so.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.cluster import checked, for_cluster
from analytics.errors import DatabaseUnavailable
from runtime.errors import SettingsError
from runtime.settings import Settings

log = logging.getLogger(__name__)

Client = Any
"""A clickhouse_connect client (the library carries no usable types)."""

DEFAULT_DATABASE: Final = "affectstream"
EVERYWHERE: Final = {
    # It remembers where a condition matched nothing, and rows that are there were not found any more.
    "use_query_condition_cache": 0,
}
READERS: Final = 4
READER_WAIT_S: Final = 10.0
READER_LIMITS: Final = {
    "max_execution_time": 30,
    "max_result_rows": 100_000,
    "max_memory_usage": 2_000_000_000,
    "result_overflow_mode": "throw",
    # Last: from here on the engine refuses every change, of data and of these limits.
    "readonly": 1,
}
EXPORT_LIMITS: Final = {
    "max_execution_time": 600,
    "max_result_rows": 20_000_000,
    "max_result_bytes": 2_000_000_000,
    "max_memory_usage": 6_000_000_000,
    "result_overflow_mode": "throw",
    "readonly": 1,  # last, as above
}
"""Of exports, which run one at a time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where ClickHouse is. ``host`` empty: embedded, at ``path``."""

    database: str = DEFAULT_DATABASE
    path: Path | None = None
    host: str = ""
    port: int = 0
    username: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    cluster: str = ""
    """Of replicas: where its tables are created. Empty: one server."""
    options: dict[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """The endpoint for people, without the password."""
        if self.path is not None:
            return f"embedded ClickHouse in {self.path}"
        return f"ClickHouse at {self.username}@{self.host}:{self.port}/{self.database}"


SCHEMES: Final = {
    "clickhouse": False,
    "clickhouses": True,
    "http": False,
    "https": True,
    "clickhouse+http": False,
    "clickhouse+https": True,
}
NATIVE_PORTS: Final = frozenset({9000, 9440})
KNOWN_OPTIONS: Final = frozenset(
    {"cluster", "secure", "verify", "ca_cert", "client_cert", "client_cert_key", "server_host_name"}
)


def parse_dsn(dsn: str) -> Endpoint:
    """The server that ``dsn`` names: ``clickhouse[s]://user:password@host:port/database?option=value``.

    ``clickhouses``, ``https``, ``secure=true`` or port 8443 mean TLS. Options: :data:`KNOWN_OPTIONS`. Raises
    SettingsError, which never repeats the password.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"CLICKHOUSE_DSN: {error}") from error
    if parts.scheme not in SCHEMES:
        msg = f"CLICKHOUSE_DSN: scheme {parts.scheme or '(none)'!r} is not one of {', '.join(SCHEMES)}"
        raise SettingsError(msg)
    if not parts.hostname:
        raise SettingsError("CLICKHOUSE_DSN: no host; expected clickhouse://user:password@host:8123/database")
    if port in NATIVE_PORTS:
        msg = f"CLICKHOUSE_DSN: port {port} is ClickHouse's native protocol; give its HTTP port, 8123 or 8443"
        raise SettingsError(msg)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - KNOWN_OPTIONS)
    if unknown:
        msg = f"CLICKHOUSE_DSN: unknown option {', '.join(unknown)}; known: {', '.join(sorted(KNOWN_OPTIONS))}"
        raise SettingsError(msg)
    cluster = options.pop("cluster", "")
    wanted = options.pop("secure", "").lower() in {"1", "true", "yes"}
    secure = SCHEMES[parts.scheme] or wanted or port == 8443
    database = unquote(parts.path.strip("/")) or DEFAULT_DATABASE
    if "/" in database or "`" in database:
        raise SettingsError(f"CLICKHOUSE_DSN: {database!r} cannot be a database's name")
    return Endpoint(
        database=database,
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=secure,
        cluster=checked(cluster) if cluster else "",
        options=options,
    )


def endpoint_of(settings: Settings) -> Endpoint:
    """The server of ``clickhouse_dsn``, or the embedded engine in ``data_dir/clickhouse``."""
    if settings.clickhouse_dsn:
        return parse_dsn(settings.clickhouse_dsn)
    return Endpoint(path=settings.data_dir / "clickhouse")


class Database:
    """Makes clients. Thread-safe; each client belongs to one thread at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._idle: queue.LifoQueue[Client | None] = queue.LifoQueue()
        self._all: list[Client] = []
        self._lock = threading.Lock()
        self._exporting = threading.Lock()
        for _ in range(READERS):
            self._idle.put(None)

    @property
    def embedded(self) -> bool:
        """Whether this process owns the engine."""
        return self.endpoint.path is not None

    def writer(self) -> Client:
        """A client that may write, for one thread. Blocks while connecting; raises DatabaseUnavailable."""
        return self._client({})

    @contextlib.contextmanager
    def reader(self) -> Iterator[Client]:
        """Lend a client whose session is read-only and limited (:data:`READER_LIMITS`).

        At most :data:`READERS` are lent at once; raises DatabaseUnavailable when none came back within
        :data:`READER_WAIT_S` seconds. A client on which anything failed is thrown away: an aborted statement can leave
        output behind that the next one would read.
        """
        try:
            client = self._idle.get(timeout=READER_WAIT_S)
        except queue.Empty:
            raise DatabaseUnavailable(f"{READERS} queries run already; none ended in {READER_WAIT_S:g} s") from None
        keep: Client | None = None
        try:
            if client is None:
                client = self._client(READER_LIMITS)
            yield client
            keep = client
        finally:
            if keep is None and client is not None:
                self.discard(client)
            self._idle.put(keep)

    @contextlib.contextmanager
    def exporter(self) -> Iterator[Client]:
        """Lend a client whose session is read-only with wider limits (:data:`EXPORT_LIMITS`).

        One at a time; raises DatabaseUnavailable when the one before has not ended within :data:`READER_WAIT_S`.
        """
        if not self._exporting.acquire(timeout=READER_WAIT_S):
            raise DatabaseUnavailable(f"another export runs; it did not end in {READER_WAIT_S:g} s")
        try:
            client = self._client(EXPORT_LIMITS)
            try:
                yield client
            finally:
                self.discard(client)
        finally:
            self._exporting.release()

    def close(self) -> None:
        """Close every client, and with the last one the embedded engine."""
        with self._lock:
            clients, self._all = self._all, []
        for client in clients:
            client.close()

    def discard(self, client: Client) -> None:
        """Close a client that its owner does not need any more."""
        with self._lock:
            if client in self._all:
                self._all.remove(client)
        client.close()

    def _client(self, limits: dict[str, Any], database: str | None = None) -> Client:
        client = _open(self.endpoint, limits, self.endpoint.database if database is None else database)
        with self._lock:
            self._all.append(client)
        return client

    def create(self) -> None:
        """Create the database if it does not exist."""
        client = self._client({}, database="default")
        try:
            statement = f"CREATE DATABASE IF NOT EXISTS `{self.endpoint.database}`"
            client.command(for_cluster(statement, self.endpoint.cluster))
        except ClickHouseError as error:
            raise DatabaseUnavailable(f"{self.endpoint.describe()}: {error}") from error
        finally:
            self.discard(client)


def _open(endpoint: Endpoint, limits: dict[str, Any], database: str) -> Client:
    limits = {**EVERYWHERE, **limits}  # in this order: nothing can be set after ``readonly``
    try:
        if endpoint.path is not None:
            endpoint.path.mkdir(parents=True, exist_ok=True)
            return clickhouse_connect.get_client(
                interface="chdb", path=str(endpoint.path), database=database, settings=limits
            )
        return clickhouse_connect.get_client(
            host=endpoint.host,
            port=endpoint.port,
            username=endpoint.username,
            password=endpoint.password,
            secure=endpoint.secure,
            database=database,
            settings=limits,
            # A client of ours stays in one thread; sessions would only serialise its queries.
            autogenerate_session_id=False,
            connect_timeout=5,
            send_receive_timeout=60,
            **endpoint.options,
        )
    except (ClickHouseError, OSError) as error:
        reason = str(error).splitlines()[0]
        if endpoint.path is not None and "EmbeddedServer" in reason:
            reason = (
                "the engine cannot start; the usual reason is that another process has this folder open (one process "
                "owns an embedded ClickHouse): ask its HTTP API instead, or stop the analytics role"
            )
        raise DatabaseUnavailable(f"{endpoint.describe()}: {reason}") from error


def connect(settings: Settings) -> Database:
    """Open the database that the settings name, create it, migrate it to the newest version, enforce the retention.

    Blocks (about 1.3 s for the embedded engine). Raises SettingsError for a bad DSN or policy, DatabaseUnavailable,
    MigrationError.
    """
    # They need the names above.
    from analytics.migrations import apply_optional_settings, migrate  # noqa: PLC0415
    from analytics.retention import enforce, parse_policy  # noqa: PLC0415

    policy = parse_policy(settings.retention_days)
    database = Database(endpoint_of(settings))
    cluster = database.endpoint.cluster
    try:
        database.create()
        writer = database.writer()
        applied = migrate(writer, cluster=cluster)
        apply_optional_settings(writer, cluster=cluster)
        changed = enforce(writer, policy, cluster)
        database.discard(writer)
    except BaseException:
        database.close()
        raise
    if applied:
        log.info("%s: applied %s", database.endpoint.describe(), ", ".join(applied))
    if changed:
        kept = ", ".join(f"{table} {policy[table]} days" for table in changed)
        log.info("%s: rows are now kept: %s", database.endpoint.describe(), kept)
    return database
