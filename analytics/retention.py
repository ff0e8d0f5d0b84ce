"""How long rows are kept: the policy, and bringing the tables' TTL in line with it.

The defaults are those of the migrations. ``AFFECTSTREAM_RETENTION_DAYS=avatar_frames=30,face_signals=14`` changes them
for the tables named; ClickHouse removes what is older when it merges, and at once where a policy became shorter.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from analytics.cluster import for_cluster
from analytics.database import Client
from runtime.errors import SettingsError

POLICY: Final[Mapping[str, int]] = {
    "sessions": 365,
    "minute_aggregates": 365,
    "avatar_frames": 90,
    "speech_signals": 90,
    "face_signals": 90,
    "client_events": 180,
    "ledger": 180,
    "dead_letters": 90,
}
"""Days by table."""
LONGEST_DAYS: Final = 36_500
AGE_OF: Final[Mapping[str, str]] = {"avatar_frames": "toDateTime(fused_at)", "minute_aggregates": "minute"}
"""What a row's age is counted from, where it is not its publishing."""
TTL: Final = re.compile(r"\bTTL .*? \+ (?:toIntervalDay\((\d+)\)|INTERVAL (\d+) DAY)")


def parse_policy(text: str) -> dict[str, int]:
    """The policy with the changes in ``text``, TABLE=DAYS with commas between; raises SettingsError."""
    policy = dict(POLICY)
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        table, _, days = part.partition("=")
        if table.strip() not in policy:
            raise SettingsError(f"retention_days: no table {table.strip()!r}; known: {', '.join(POLICY)}")
        if not days.strip().isdecimal() or not 1 <= int(days) <= LONGEST_DAYS:
            raise SettingsError(f"retention_days: {part!r} is not TABLE=DAYS with 1 to {LONGEST_DAYS} days")
        policy[table.strip()] = int(days)
    return policy


def enforced(client: Client) -> dict[str, int]:
    """The days that each table's TTL says now."""
    rows = client.query(
        "SELECT name, engine_full FROM system.tables "
        "WHERE database = currentDatabase() AND name IN {names:Array(String)}",
        parameters={"names": list(POLICY)},
    ).result_rows
    return enforced_days(rows)


def enforced_days(rows: Iterable[Sequence[object]]) -> dict[str, int]:
    """The days in the engines of tables; ``rows``: name and engine, in full."""
    found = {str(name): TTL.search(str(engine)) for name, engine in rows}
    return {name: int(match[1] or match[2]) for name, match in found.items() if match and name in POLICY}


def enforce(client: Client, policy: Mapping[str, int], cluster: str = "") -> list[str]:
    """Give every table the TTL of ``policy``; returns the tables that were changed."""
    now = enforced(client)
    changed = [table for table, days in policy.items() if now.get(table) != days]
    for table in changed:
        age = AGE_OF.get(table, "toDateTime(published_at)")
        client.command(for_cluster(f"ALTER TABLE {table} MODIFY TTL {age} + INTERVAL {policy[table]} DAY", cluster))
    return changed
