import re

import pytest

from analytics.cluster import checked, for_cluster
from analytics.database import parse_dsn
from analytics.migrations import TABLE, read_migrations
from runtime.errors import SettingsError

STATEMENTS = [(m.name, s) for m in read_migrations() for s in m.statements]


@pytest.mark.parametrize("name,statement", STATEMENTS)
def test_every_migration_runs_on_a_cluster(name: str, statement: str) -> None:
    text = for_cluster(statement, "main")
    assert " ON CLUSTER 'main'" in text.splitlines()[0], name
    assert not re.search(r"ENGINE = (?!Replicated)\w*MergeTree", text)
    assert "non_replicated_deduplication_window" not in text
    assert for_cluster(statement, "") == statement


def test_what_changes_and_what_stays() -> None:
    text = for_cluster(TABLE, "{cluster}")
    assert text.startswith("CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER '{cluster}'\n(")
    assert "ENGINE = ReplicatedReplacingMergeTree(statements)\n" in text
    assert for_cluster("CREATE DATABASE IF NOT EXISTS `a b`", "c").endswith("`a b` ON CLUSTER 'c'")
    assert for_cluster("ALTER TABLE x ADD INDEX y z TYPE minmax", "c").startswith("ALTER TABLE x ON CLUSTER 'c' ADD")
    with pytest.raises(ValueError, match="no statement"):
        for_cluster("SELECT 1", "c")


def test_a_cluster_is_part_of_the_dsn() -> None:
    assert parse_dsn("clickhouses://u:p@host/db?cluster=main&verify=false").cluster == "main"
    assert parse_dsn("clickhouse://host").cluster == ""
    for bad in ("a'b", "x y", "c" * 65):
        with pytest.raises(SettingsError, match="cluster"):
            checked(bad)
