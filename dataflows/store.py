"""The recovery store: one folder a group of partitions, made once, held by one process, never begun anew in silence."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bytewax.recovery import init_db_dir

from dataflows.source import GROUP
from runtime.errors import BrokerError, RecoveryError
from runtime.kafka import KafkaException, TopicPartition, consumer, topic_ids
from runtime.settings import Settings
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

IDENTITY: Final = "store.json"
DATABASE: Final = "part-0.sqlite3"


def store_path(settings: Settings, owned: Sequence[int]) -> Path:
    """Where the store of these partitions lies."""
    first, last = min(owned), max(owned)
    name = f"{first}-{last}" if len(owned) == last - first + 1 else "-".join(map(str, sorted(owned)))
    return settings.data_dir / "fusion" / f"{settings.topic_prefix}{name}"


@contextmanager
def opened_store(settings: Settings, owned: Sequence[int], partitions: int) -> Iterator[Path]:
    """The folder of the store, held until the end of the block; created if fusion has never run.

    Raises RecoveryError if another process holds it, if it belongs to another topic or another number of partitions,
    or if it is missing although Kafka knows that fusion got somewhere.
    """
    path = store_path(settings, owned)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.with_name(path.name + ".lock")):
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
        yield path


@contextmanager
def _held(lock: Path) -> Iterator[None]:
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
    init_db_dir(draft, 1)
    (draft / IDENTITY).write_text(json.dumps(identity), encoding="utf-8")
    draft.rename(path)
    log.info("recovery store created: %s", path)


def _check(path: Path, identity: dict[str, object]) -> None:
    try:
        found = json.loads((path / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecoveryError(f"{path} is no recovery store of fusion: {IDENTITY} cannot be read ({error})") from error
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
        places = reader.committed([TopicPartition(settings.topic(SIGNALS), p) for p in owned], timeout=10.0)
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
