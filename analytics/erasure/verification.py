"""What is left of a session, store by store: everything is read, nothing is believed."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.database import Client
from analytics.erasure.files import STORES, contains, files_of
from runtime.errors import BrokerError
from runtime.kafka import TopicPartition, consumer
from runtime.keystore import KeyStore
from runtime.settings import Settings
from runtime.topics import offset_ranges
from schemas.topics import Topic, topic_specs

READ_AT_ONCE: Final = 10_000
READ_S: Final = 0.2
SILENT_S: Final = 30.0
BROKER: Final = "kafka"
"""Of the embedded broker, in ``data_dir``: its segments are files that Kafka does not serve any more."""
DATABASE: Final = "clickhouse"


@dataclass(frozen=True, slots=True)
class Looked:
    """One store that was searched."""

    store: str
    searched: str
    """How much was looked at."""
    found: int
    """Records, rows or files that hold the session's id or its keys."""
    where: str = ""
    waits: str = ""
    """Of what is found only where no interface of the product reads: until when it lies there."""

    @property
    def clean(self) -> bool:
        """Whether nothing of the session can be read here."""
        return not self.found or bool(self.waits)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verification found."""

    looked: tuple[Looked, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing readable is left anywhere."""
        return all(each.clean for each in self.looked)

    def keys(self) -> Mapping[str, Any]:
        """The JSON object; it does not name the session."""
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 2),
            "stores": [
                {"store": each.store, "searched": each.searched, "found": each.found, "where": each.where,
                 "waits": each.waits}
                for each in self.looked
            ],
        }  # fmt: skip


def verify(settings: Settings, client: Client, store: KeyStore, session_id: str) -> Proof:
    """Search every store for a session's id. Blocks: it reads all of them. Raises BrokerError, ClickHouseError."""
    began_s = time.monotonic()
    looked = [
        _keys(store, session_id),
        *(_topic(settings, topic, session_id.encode()) for topic in topic_specs()),
        *_tables(client, session_id),
        *_files(settings, session_id),
    ]
    return Proof(tuple(looked), time.monotonic() - began_s)


def _keys(store: KeyStore, session_id: str) -> Looked:
    held = store.keys(session_id)
    return Looked("keys", "the session's digest", len(held), ", ".join(held))


def _topic(settings: Settings, topic: str, word: bytes) -> Looked:
    """Every record of a topic, its key and its value."""
    name = cast("Topic", topic)
    ranges = offset_ranges(settings, name)
    ends = {partition: high for partition, (low, high) in ranges.items() if high > low}
    reader = consumer(settings, "erasure-verify", fetch_wait_max_ms=20, queued_min_messages=50_000)
    records = 0
    found: Counter[int] = Counter()
    try:
        reader.assign([TopicPartition(settings.topic(name), p, ranges[p][0]) for p in ends])
        until = time.monotonic() + SILENT_S
        while ends:
            batch = reader.consume(READ_AT_ONCE, READ_S)
            if batch:
                until = time.monotonic() + SILENT_S
            elif time.monotonic() > until:
                raise BrokerError(f"{topic} cannot be read to its end")
            for message in batch:
                if message.error() is not None:
                    continue
                partition = int(message.partition() or 0)
                if partition not in ends:
                    continue
                if int(message.offset() or 0) + 1 >= ends[partition]:
                    del ends[partition]
                records += 1
                if word in bytes(message.value() or b"") or word in bytes(message.key() or b""):
                    found[partition] += 1
    finally:
        reader.close()
    where = ", ".join(f"partition {partition}" for partition in sorted(found))
    return Looked(f"topic {topic}", f"{records:,} records", found.total(), where)


def _tables(client: Client, session_id: str) -> Iterator[Looked]:
    """Every text column of every table of the database, and what ClickHouse remembers of statements."""
    columns = client.query(
        "SELECT c.table, groupArray(c.name), any(t.total_rows) FROM system.columns AS c "
        "INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table "
        "WHERE c.database = currentDatabase() AND t.engine LIKE '%MergeTree' AND c.type LIKE '%String%' "
        "AND c.type NOT LIKE 'Map%' AND c.type NOT LIKE 'Array%' GROUP BY c.table ORDER BY c.table"
    ).result_rows
    for table, names, total in columns:
        clause = " OR ".join(f"position(`{name}`, {{word:String}}) > 0" for name in names)
        count = client.query(
            f"SELECT count() FROM `{table}` WHERE {clause}",
            parameters={"word": session_id},
        ).result_rows[0][0]
        yield Looked(f"table {table}", f"{int(total or 0):,} rows, {len(names)} columns", int(count))
    count = client.query(
        "SELECT count() FROM system.mutations WHERE position(command, {word:String}) > 0",
        parameters={"word": session_id},
    ).result_rows[0][0]
    yield Looked("ClickHouse's mutations", "all", int(count))
    try:
        count = client.query(
            "SELECT count() FROM system.query_log WHERE position(query, {word:String}) > 0 "
            "AND query NOT LIKE '%system.query_log%'",
            parameters={"word": session_id},
        ).result_rows[0][0]
    except ClickHouseError:
        return  # the embedded engine keeps none, and who may not read it cannot say
    yield Looked("ClickHouse's query log", "all", int(count), waits="its own retention" if count else "")


def _files(settings: Settings, session_id: str) -> Iterator[Looked]:
    """Every file of the data folder, and of the folders for recordings and reports."""
    word = session_id.encode()
    groups: dict[str, list[Path]] = {"recovery stores": [], "logs": [], "ClickHouse's files": [], "other files": []}
    broker: list[Path] = []
    kinds = {STORES: "recovery stores", "logs": "logs", DATABASE: "ClickHouse's files"}
    for path in sorted(settings.data_dir.rglob("*")):
        if not path.is_file():
            continue
        top = path.relative_to(settings.data_dir).parts[0]
        if top == BROKER:
            broker.append(path)
        else:
            groups["logs" if path.suffix == ".log" else kinds.get(top, "other files")].append(path)
    for name, paths in groups.items():
        hits = [path for path in paths if contains(path, word) or session_id in path.name]
        where = ", ".join(str(path.relative_to(settings.data_dir)) for path in hits[:5])
        yield Looked(name, f"{len(paths):,} files", len(hits), where)
    elsewhere = list(files_of(settings, [session_id]))
    yield Looked("recordings and reports", "their folders", len(elsewhere), ", ".join(map(str, elsewhere[:5])))
    if broker:
        hits = [path for path in broker if contains(path, word)]
        waits = "the broker deletes the segment; it serves nothing of it" if hits else ""
        yield Looked("the embedded broker's files", f"{len(broker):,} files", len(hits), "", waits)
