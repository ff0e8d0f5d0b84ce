"""Rows of erased sessions: leaving them out of what is inserted, and deleting them from every table."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.database import Client
from runtime.keystore import KeyStore, Purpose

log = logging.getLogger(__name__)

PURPOSE_OF_TABLE: Final[Mapping[str, Purpose]] = {"speech_signals": "audio", "face_signals": "video"}
"""Tables of one modality; of all others, rows go when the whole session does."""
QUICK: Final[Mapping[str, str]] = {
    "old_parts_lifetime": "1",
    "cleanup_delay_period": "1",
    "max_cleanup_delay_period": "2",
    "cleanup_delay_period_random_add": "0",
    "merge_tree_clear_old_parts_interval_seconds": "1",
    "finished_mutations_to_keep": "0",
}
"""Settings of tables of sessions: ClickHouse keeps replaced parts, and what statements said, for minutes otherwise."""
GONE_S: Final = 30.0
ASK_S: Final = 0.25
CACHED: Final = 200_000


class Gate:
    """Between the sink and the eraser: rows of erased sessions do not pass, whatever was read before.

    The sink holds :attr:`lock` from building rows until they are inserted. So when an eraser that has destroyed the
    keys gets the lock, no row of the session is on its way, and none comes any more.
    """

    def __init__(self, store: KeyStore) -> None:
        self.lock = threading.Lock()
        self._store = store
        self._generation = -1
        self._destroyed: Mapping[Purpose, frozenset[str]] = {}
        self._digest = lru_cache(maxsize=CACHED)(store.digest)
        self.late: set[str] = set()
        """Digests of erased sessions of which something was left out; the eraser empties it."""

    def refresh(self) -> None:
        """Look whether keys were destroyed; once for each batch of rows."""
        now = self._store.generation()
        if now != self._generation:
            self._generation = now
            purposes: tuple[Purpose, ...] = ("audio", "video", "record")
            self._destroyed = {purpose: self._store.destroyed_digests(purpose) for purpose in purposes}

    def passing(self, table: str, rows: pa.Table) -> pa.Table:
        """``rows`` without those of sessions that were erased."""
        purpose = PURPOSE_OF_TABLE.get(table, "record")
        erased = self._destroyed.get(purpose)
        if not erased or "session_id" not in rows.column_names or not len(rows):
            return rows
        sessions = rows["session_id"].combine_chunks()
        if not pa.types.is_dictionary(sessions.type):
            sessions = sessions.dictionary_encode()
        names = sessions.dictionary.to_pylist()
        digests = [self._digest(name) for name in names]
        gone = [digest in erased for digest in digests]
        if not any(gone):
            return rows
        keep = pa.array([not out for out in gone]).take(sessions.indices)
        used = set(sessions.indices.unique().to_pylist())
        whole = self._destroyed["record"]
        self.late.update(
            d for n, (d, out) in enumerate(zip(digests, gone, strict=True)) if out and n in used and d in whole
        )
        return rows.filter(keep)


def tables_of_sessions(client: Client) -> list[str]:
    """Every table whose rows say of which session they are; frames before what is computed from them."""
    rows = client.query(
        "SELECT c.table FROM system.columns AS c INNER JOIN system.tables AS t "
        "ON t.database = c.database AND t.name = c.table "
        "WHERE c.database = currentDatabase() AND c.name = 'session_id' AND t.engine LIKE '%MergeTree' ORDER BY c.table"
    ).result_rows
    return sorted((str(name) for (name,) in rows), key=lambda name: ("aggregate" in name, name))


def named(client: Client, store: KeyStore, digests: Iterable[str]) -> dict[str, str]:
    """Ids of the sessions with these digests, as far as a table holds one: for after a restart."""
    wanted = set(digests)
    found: dict[str, str] = {}
    for table in tables_of_sessions(client):
        if wanted - set(found):
            for (name,) in client.query(f"SELECT DISTINCT session_id FROM {table}").result_rows:
                digest = store.digest(str(name))
                if digest in wanted:
                    found[digest] = str(name)
    return found


def sessions_of_subject(client: Client, subject: str, tag: str = "") -> list[str]:
    """The sessions that were started for a subject, those whose ids begin with ``tag``."""
    rows = client.query(
        "SELECT DISTINCT session_id FROM sessions WHERE subject = {subject:String} AND startsWith(session_id, "
        "{tag:String}) ORDER BY session_id",
        parameters={"subject": subject, "tag": tag},
    ).result_rows
    return [str(name) for (name,) in rows]


def storable_sessions(client: Client) -> set[str]:
    """Sessions that consented to their raw media being stored."""
    rows = client.query("SELECT DISTINCT session_id FROM sessions WHERE store_raw_consented").result_rows
    return {str(name) for (name,) in rows}


def reached(client: Client, topics: Mapping[str, str]) -> dict[tuple[str, int], int]:
    """How far the sink has come, by Kafka topic and partition; ``topics``: name to Kafka's id."""
    rows = client.query("SELECT topic, topic_id, partition, next_offset FROM sink_progress FINAL").result_rows
    return {(str(t), int(p)): int(n) for t, topic_id, p, n in rows if topics.get(str(t)) == str(topic_id)}


def delete(client: Client, sessions: Mapping[str, frozenset[str]]) -> Counter[str]:
    """Delete the rows of sessions, by id and what of them is to go; returns how many, by table.

    Returns when every mutation is done on every replica. Statements carry a hash of the id: ClickHouse keeps them.
    """
    counts: Counter[str] = Counter()
    for table in tables_of_sessions(client):
        purpose = PURPOSE_OF_TABLE.get(table, "record")
        gone = [name for name, scopes in sessions.items() if "session" in scopes or purpose in scopes]
        if not gone:
            continue
        here = f"FROM {table} WHERE session_id IN {{gone:Array(String)}}"
        count = client.query(f"SELECT count() {here}", parameters={"gone": gone}).result_rows[0][0]
        if not count:
            continue
        hashes = client.query(
            "SELECT sipHash64(arrayJoin({gone:Array(String)}))", parameters={"gone": gone}
        ).result_rows
        listed = ", ".join(str(int(value)) for (value,) in hashes)
        client.command(
            f"ALTER TABLE {table} DELETE WHERE sipHash64(session_id) IN ({listed}) SETTINGS mutations_sync = 2"
        )
        counts[table] += int(count)
    return counts


def tidy_quickly(client: Client) -> None:
    """Have the files of replaced parts removed within seconds, in every table of sessions."""
    for table in tables_of_sessions(client):
        engine = client.query(
            "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
            parameters={"name": table},
        ).result_rows[0][0]
        missing = [f"{name} = {value}" for name, value in QUICK.items() if f"{name} = {value}" not in str(engine)]
        if missing:
            try:
                client.command(f"ALTER TABLE {table} MODIFY SETTING {', '.join(missing)}")
            except ClickHouseError as error:
                # Another version of the engine: it tidies up in its own time, and verification says what lies there.
                log.warning("%s: files of replaced parts stay for minutes: %s", table, str(error).splitlines()[0])


def wait_parts_gone(client: Client, tables: Iterable[str], *, deadline_s: float = GONE_S) -> bool:
    """Wait until the files of what was deleted are gone, too; False if some still lie there."""
    until = time.monotonic() + deadline_s
    while True:
        left = client.query(
            "SELECT count() FROM system.parts WHERE database = currentDatabase() AND NOT active "
            "AND table IN {tables:Array(String)}",
            parameters={"tables": list(tables)},
        ).result_rows[0][0]
        if not left:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(ASK_S)  # waits for ClickHouse, with a deadline
