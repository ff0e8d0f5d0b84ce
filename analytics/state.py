"""What a ClickHouse server says of itself, for who looks after it: version, migrations, disk. Changes nothing."""

from dataclasses import dataclass, replace

from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.database import Client, Database, endpoint_of
from analytics.errors import DatabaseUnavailable, MigrationError
from analytics.migrations import Applied, plan, read_migrations
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class ServerState:
    """One look at a server. ``problem`` is empty if its migrations are ours, as far as they go."""

    version: str
    applied: int
    known: int
    free_bytes: int
    problem: str


def inspect(settings: Settings) -> ServerState:
    """Ask the server of ``clickhouse_dsn``. Raises SettingsError for a bad DSN, DatabaseUnavailable if it is away."""
    endpoint = endpoint_of(settings)
    # Ours may not be there yet; this one always is.
    database = Database(replace(endpoint, database="default"))
    try:
        return _state(database.writer(), endpoint.database)
    except ClickHouseError as error:
        raise DatabaseUnavailable(f"{endpoint.describe()}: {str(error).splitlines()[0]}") from error
    finally:
        database.close()


def _state(client: Client, name: str) -> ServerState:
    version = str(client.command("SELECT version()"))
    free = int(client.command("SELECT min(free_space) FROM system.disks"))
    migrations = read_migrations()
    there = client.query(
        "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'schema_migrations'",
        parameters={"name": name},
    ).result_rows[0][0]
    applied: dict[int, Applied] = {}
    if there:
        rows = client.query(
            f"SELECT number, name, sha256, statements, finished FROM `{name}`.schema_migrations FINAL"
        ).result_rows
        applied = {int(r[0]): Applied(str(r[1]), str(r[2]), int(r[3]), bool(r[4])) for r in rows}
    problem = ""
    try:
        plan(migrations, applied)
    except MigrationError as error:
        problem = str(error)
    finished = sum(state.finished for state in applied.values())
    return ServerState(version, finished, len(migrations), free, problem)
