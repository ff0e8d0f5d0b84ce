import re

import pyarrow as pa

from analytics.aggregates import SESSIONS_AT_ONCE, SETTINGS, STATEMENT, Aggregator
from analytics.migrations import read_migrations


class Recorder:
    """Keeps what it is told, as a ClickHouse that does it all at once."""

    def __init__(self) -> None:
        self.computed: list[tuple[list[str], int]] = []
        self.reached: list[list[object]] = []

    def command(self, sql: str, parameters: dict, settings: dict) -> None:
        assert (sql, settings) == (STATEMENT, SETTINGS)
        self.computed.append((parameters["sessions"], parameters["since"]))

    def insert(self, table: str, rows: list[list[object]], column_names: list[str]) -> None:
        assert (table, len(column_names)) == ("aggregate_progress", 4)
        self.reached += rows


def frames(*rows: tuple[str, int]) -> pa.Table:
    return pa.table(
        {
            "session_id": pa.array([session for session, _ in rows]).dictionary_encode(),
            "captured_at": pa.array([at for _, at in rows], pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )


def test_the_statement_fills_every_column_of_the_table() -> None:
    ddl = next(s for m in read_migrations() for s in m.statements if s.startswith("CREATE TABLE minute_aggregates"))
    columns = re.findall(r"^    `(\w+)` ", ddl, flags=re.MULTILINE)
    filled = re.search(r"INSERT INTO minute_aggregates \((.*?)\)", STATEMENT)
    assert filled is not None
    assert sorted([*filled[1].split(", "), "computed_at"]) == sorted(columns)


def test_sessions_are_computed_from_their_earliest_new_minute_on() -> None:
    aggregator = Aggregator("t", "i")
    minute = 60_000_000
    aggregator.inserted(frames(("a", 10 * minute + 5), ("b", 12 * minute)), {0: 7})
    aggregator.inserted(frames(("a", 9 * minute + 59_000_000), ("a", 11 * minute)), {0: 9, 1: 3})
    client = Recorder()
    assert aggregator.compute(client) == 2
    assert client.computed == [(["a", "b"], 9 * minute)]
    assert client.reached == [["t", "i", 0, 9], ["t", "i", 1, 3]]
    assert not aggregator.waiting
    assert aggregator.compute(client) == 0
    assert len(client.computed) == 1


def test_a_session_filtered_away_is_not_computed_and_many_are_in_pieces() -> None:
    aggregator = Aggregator("t", "i")
    table = frames(("kept", 5), ("gone", 6))
    aggregator.inserted(table.slice(0, 1), {})
    names = [f"s{n}" for n in range(SESSIONS_AT_ONCE)]
    aggregator.inserted(frames(*((name, 7) for name in names)), {})
    client = Recorder()
    assert aggregator.compute(client) == SESSIONS_AT_ONCE + 1
    assert [len(sessions) for sessions, _ in client.computed] == [SESSIONS_AT_ONCE, 1]
    assert not any("gone" in sessions for sessions, _ in client.computed)


def test_a_long_backlog_is_computed_a_piece_at_a_time() -> None:
    aggregator = Aggregator("t", "i")
    aggregator.inserted(frames(*((f"s{n}", n) for n in range(3 * SESSIONS_AT_ONCE))), {0: 5})
    client = Recorder()
    assert aggregator.compute(client, enough=lambda: True) == SESSIONS_AT_ONCE
    assert aggregator.waiting
    assert client.reached == []
    assert aggregator.compute(client) == 2 * SESSIONS_AT_ONCE
    assert client.reached == [["t", "i", 0, 5]]
