"""The recovery store: one folder a group of partitions, made once, held by one process, never begun anew in silence."""

import fcntl
import json
import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from bytewax.recovery import init_db_dir

from runtime.errors import BrokerError, RecoveryError
from runtime.kafka import KafkaException, TopicPartition, committed_offsets, consumer
from runtime.settings import Settings
from runtime.topics import topic_ids
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

GROUP: Final = "fusion"
"""Consumer group whose committed offsets tell lag tools, and a start without its store, how far fusion got."""
IDENTITY: Final = "store.json"
DATABASE: Final = "part-0.sqlite3"
PAGE_BYTES: Final = 65_536


class Store:
    """An existing store, held by this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said: dict[str, Any] = read_identity(path)

    @property
    def owned(self) -> Sequence[int]:
        """The partitions whose state it keeps."""
        return [int(partition) for partition in self._said["owned"]]

    @property
    def title(self) -> str:
        """The partitions, for people."""
        return partitions_title(self.owned)

    @property
    def store_id(self) -> str:
        """Names the store: a copy of it has the same."""
        return str(self._said["store"])

    @property
    def claims(self) -> Sequence[str]:
        """The claims that Kafka may name for it: the newest, and those before, should the newest not have got there.

        :mod:`dataflows.ownership` says what a claim is.
        """
        return [str(claim) for claim in self._said["claims"]]

    def claim(self, token: str, *, proven: Sequence[str]) -> None:
        """Write a new claim down, durably, beside those that Kafka names by now."""
        self._said["claims"] = [token, *proven]
        write_identity(self.path, self._said)


def partitions_title(partitions: Sequence[int]) -> str:
    """0-5 for a range, 0,2,5 for others."""
    first, last = min(partitions), max(partitions)
    if len(partitions) == last - first + 1:
        return f"{first}-{last}" if last > first else str(first)
    return ",".join(map(str, sorted(partitions)))


def store_path(settings: Settings, owned: Sequence[int]) -> Path:
    """Where the store of these partitions lies."""
    first, last = min(owned), max(owned)
    name = f"{first}-{last}" if len(owned) == last - first + 1 else "-".join(map(str, sorted(owned)))
    return settings.data_dir / "fusion" / f"{settings.topic_prefix}{name}"


@contextmanager
def opened_store(settings: Settings, owned: Sequence[int], partitions: int) -> Iterator[Store]:
    """The store, held until the end of the block; created if fusion has never run.

    Raises RecoveryError if another process holds it, if it belongs to another topic or another number of partitions,
    or if it is missing although Kafka knows that fusion got somewhere.
    """
    path = store_path(settings, owned)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path):
        identity = {
            "topic": settings.topic(SIGNALS),
            "topic_id": topic_ids(settings, [SIGNALS])[SIGNALS],
            "partitions": partitions,
            "owned": list(owned),
        }
        if not path.exists():
            _refuse_known_progress(settings, owned, path)
            _create(path, identity)
        else:
            _check(path, identity)
        yield Store(path)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes of this machine away from the store; RecoveryError if one has it."""
    lock = path.with_name(path.name + ".lock")
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise RecoveryError(f"process {owner} fuses these partitions already: {lock} is locked") from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _create(path: Path, identity: dict[str, object]) -> None:
    """Make the store beside its place and move it there, so that a crash leaves none that is half made."""
    draft = path.with_name(path.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    init_database(draft)
    write_identity(draft, {**identity, "store": secrets.token_hex(8), "claims": []})
    draft.rename(path)
    log.info("recovery store created: %s", path)


def init_database(folder: Path) -> None:
    """Make Bytewax's database in an empty folder, with the largest pages: snapshots are megabytes, not rows."""
    init_db_dir(folder, 1)
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")  # the size of pages cannot change under a write-ahead log
        database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        database.execute("VACUUM")
        database.execute("PRAGMA journal_mode = WAL")


def write_identity(path: Path, said: Mapping[str, object]) -> None:
    """Write what the store says of itself, so that a crash leaves either the old or the new text."""
    draft = path / (IDENTITY + ".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path / IDENTITY)


def read_identity(path: Path) -> dict[str, Any]:
    """What a store says of itself; RecoveryError if it says nothing that can be used."""
    try:
        found = json.loads((path / IDENTITY).read_text(encoding="utf-8"))
        if not isinstance(found["claims"], list) or not isinstance(found["store"], str):
            raise TypeError("it is not of this version")  # noqa: TRY301 - said with the others below
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecoveryError(f"{path} is no recovery store of fusion: {IDENTITY} cannot be used ({error})") from error
    return dict(found)


def _check(path: Path, identity: dict[str, object]) -> None:
    found = read_identity(path)
    if not (path / DATABASE).is_file() or (path / DATABASE).stat().st_size == 0:
        raise RecoveryError(f"the recovery store {path} has lost {DATABASE}: put it back")
    for name, value in identity.items():
        if found.get(name) != value:
            msg = (
                f"the recovery store {path} belongs to {found}, but {name} is now {value}. Nothing was changed; to "
                "begin anew, move the store away"
            )
            raise RecoveryError(msg)


def _refuse_known_progress(settings: Settings, owned: Sequence[int], path: Path) -> None:
    """Kafka's consumer group remembers that there was a store."""
    reader = consumer(settings, GROUP)
    try:
        places = committed_offsets(reader, [TopicPartition(settings.topic(SIGNALS), p) for p in owned])
    except KafkaException as error:
        raise BrokerError(f"cannot ask for fusion's committed offsets: {error}") from error
    finally:
        reader.close()
    known = {place.partition: place.offset for place in places if place.offset >= 0}
    if known:
        msg = (
            f"fusion has run before (committed offsets by partition: {known}), but its recovery store {path} is "
            f"missing. Put it back; or, to fuse the whole log again, delete the consumer group "
            f"{settings.topic_prefix}{GROUP} first"
        )
        raise RecoveryError(msg)
