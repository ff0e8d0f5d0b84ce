"""The same statements for a replicated cluster: ``CLICKHOUSE_DSN=…/database?cluster=NAME``. Pure.

The migrations are written for one server. On a cluster, tables are created on every replica and their engines are the
replicated ones, whose path in Keeper is ClickHouse's default (by the table's UUID); views and changes go to every
replica, too. One shard: all replicas hold everything.
"""

import re
from typing import Final

from runtime.errors import SettingsError

NAME: Final = re.compile(r"^[A-Za-z0-9_{}.-]{1,64}$")
OBJECT: Final = re.compile(
    r"^(?P<head>(?:CREATE (?:TABLE|VIEW|DATABASE)(?: IF NOT EXISTS)?|ALTER TABLE|DROP (?:TABLE|VIEW)(?: IF EXISTS)?)\s+"
    r"(?:`[^`]+`|\w+))",
    re.IGNORECASE,
)
ENGINE: Final = re.compile(r"^ENGINE = (?=\w*MergeTree)", re.MULTILINE)
WINDOW: Final = "non_replicated_deduplication_window"


def checked(cluster: str) -> str:
    """``cluster`` if it can be a cluster's name (macros such as ``{cluster}`` included); raises SettingsError."""
    if not NAME.match(cluster):
        raise SettingsError(f"CLICKHOUSE_DSN: {cluster!r} cannot be a cluster's name")
    return cluster


def for_cluster(statement: str, cluster: str) -> str:
    """``statement`` as a cluster needs it; without a cluster (empty) as it is."""
    if not cluster:
        return statement
    text, found = OBJECT.subn(rf"\g<head> ON CLUSTER '{cluster}'", statement.strip(), count=1)
    if not found:
        raise ValueError(f"no statement that a cluster can run: {statement.strip()[:60]}")
    return ENGINE.sub("ENGINE = Replicated", text).replace(WINDOW, "replicated_deduplication_window")
