"""Numbered migrations: ``infra/clickhouse/NNNN_name.sql``, applied in order, each recorded with its checksum.

A statement ends with ``;`` at the end of a line. An applied file must never change: a difference is an error, and so
is a gap in the numbers, or a database that knows migrations which these files do not.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.cluster import for_cluster
from analytics.errors import MigrationError

FOLDER: Final = Path(__file__).resolve().parent.parent / "infra" / "clickhouse"
NAME: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

EXISTS: Final = re.compile(r"ALREADY_EXISTS|already exists")
"""What ClickHouse says of an object, column or index that is there already."""

TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    `number` UInt32 COMMENT 'Number of the migration.',
    `name` String COMMENT 'Its file.',
    `sha256` String COMMENT 'Checksum of the file when it was applied.',
    `statements` UInt32 COMMENT 'Statements of the file that are done; it is applied when all are.',
    `finished` Bool COMMENT 'All are done.',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When.'
)
ENGINE = ReplacingMergeTree(statements)
ORDER BY number
COMMENT 'Which migrations this database has, and what they were.'
"""


OPTIONAL_SETTINGS: Final = {"auto_statistics_types": "''", "min_bytes_for_wide_part": "33554432"}
"""Of tables, where the engine knows them. Statistics of each of 140 columns cost as much as merging them. What is
inserted at once becomes one file, not two a column: making hundreds of files took a third of an insert's time."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sha256: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What the database says of one migration."""

    name: str
    sha256: str
    statements: int
    finished: bool


def split_statements(text: str) -> tuple[str, ...]:
    """The statements of a file: each ends with ``;`` at the end of a line; comment lines (``--``) are left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
    return tuple(part.strip() for part in parts if part.strip())


def read_migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Every migration in order; MigrationError on a misnamed file, or numbers that do not run 1, 2, 3 ..."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: migrations are named NNNN_name.sql")
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        found.append(Migration(int(match[1]), path.name, digest, split_statements(text)))
    numbers = [m.number for m in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations must be numbered 1, 2, 3 ... without gap or double, not {numbers}")
    return tuple(found)


def plan(migrations: Sequence[Migration], applied: Mapping[int, Applied]) -> list[tuple[Migration, int]]:
    """What is to be done: (migration, statements of it that are done already); raises MigrationError."""
    todo: list[tuple[Migration, int]] = []
    for migration in migrations:
        done = applied.get(migration.number)
        if done is None:
            todo.append((migration, 0))
            continue
        if (done.name, done.sha256) != (migration.name, migration.sha256):
            msg = (
                f"migration {migration.name} was changed after it had been applied (as {done.name}, sha256 "
                f"{done.sha256[:12]}, now {migration.sha256[:12]}): restore the file and add a new migration instead"
            )
            raise MigrationError(msg)
        if not done.finished:
            todo.append((migration, done.statements))
    newer = sorted(set(applied) - {m.number for m in migrations})
    if newer:
        msg = f"the database has migration {applied[newer[-1]].name}, which this version does not know: upgrade"
        raise MigrationError(msg)
    return todo


def migrate(client: Any, folder: Path = FOLDER, *, cluster: str = "") -> list[str]:
    """Apply what is missing; returns the names of the files applied. Raises MigrationError.

    ``cluster``: where tables are created on every replica; empty: one server.

    Progress is recorded after each statement, so a migration that a crash cut short goes on where it was. The one
    statement that may have been done without having been recorded is a CREATE or an ADD, which then says that the
    object exists (that is taken as done), or one that may be done twice.
    """
    client.command(for_cluster(TABLE, cluster))
    rows = client.query("SELECT number, name, sha256, statements, finished FROM schema_migrations FINAL").result_rows
    applied = {int(r[0]): Applied(str(r[1]), str(r[2]), int(r[3]), bool(r[4])) for r in rows}
    names: list[str] = []
    for migration, done in plan(read_migrations(folder), applied):
        for index, statement in enumerate(migration.statements[done:], start=done):
            try:
                client.command(for_cluster(statement, cluster))
            except ClickHouseError as error:
                resumed = index == done  # the first one after what is recorded
                if not (resumed and EXISTS.search(str(error))):
                    msg = f"{migration.name}, statement {index + 1} of {len(migration.statements)}: {error}"
                    raise MigrationError(msg) from error
            _record(client, migration, index + 1)
        names.append(migration.name)
    return names


def _record(client: Any, migration: Migration, statements: int) -> None:
    finished = statements == len(migration.statements)
    client.insert(
        "schema_migrations",
        [[migration.number, migration.name, migration.sha256, statements, finished]],
        column_names=["number", "name", "sha256", "statements", "finished"],
    )


def apply_optional_settings(client: Any, *, cluster: str = "") -> list[str]:
    """Give every table those of :data:`OPTIONAL_SETTINGS` that this engine knows; returns the tables changed."""
    known = client.query(
        "SELECT name FROM system.merge_tree_settings WHERE name IN {names:Array(String)}",
        parameters={"names": list(OPTIONAL_SETTINGS)},
    ).result_rows
    tables = client.query(
        "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    changed: list[str] = []
    for table, engine in tables:
        missing = [f"{name} = {OPTIONAL_SETTINGS[name]}" for (name,) in known if f"{name} =" not in engine]
        if missing:
            client.command(for_cluster(f"ALTER TABLE `{table}` MODIFY SETTING {', '.join(missing)}", cluster))
            changed.append(str(table))
    return changed
