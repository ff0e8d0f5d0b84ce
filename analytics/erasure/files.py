"""Files of erased sessions on this machine: fusion's recovery stores, recordings and reports."""

import logging
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from runtime.settings import Settings

log = logging.getLogger(__name__)

STORES: Final = "fusion"
ASIDE: Final = ".replaced-"
FOLDERS: Final = ("recordings", "reports")
"""Within ``data_dir``: where recordings and reports lie unless the operator says otherwise."""
BUSY_S: Final = 20.0
PIECE: Final = 1 << 20


def contains(path: Path, *words: bytes) -> bool:
    """Whether a file holds one of the words; False if it cannot be read, or went meanwhile."""
    longest = max(map(len, words))
    try:
        with path.open("rb") as file:
            tail = b""
            while piece := file.read(PIECE):
                held = tail + piece
                if any(word in held for word in words):
                    return True
                tail = held[-longest:]
    except OSError:
        return False
    return False


def scrub_recovery_stores(data_dir: Path, words: Iterable[bytes]) -> int:
    """Leave nothing in fusion's recovery stores but what their newest snapshots hold; returns how many stores.

    SQLite keeps the bytes of deleted rows in free pages: the file is written anew, and its write-ahead log emptied,
    while fusion goes on (both wait for each other). Stores that were set aside and hold a session are deleted.
    """
    count = 0
    wanted = [*words]
    for database in sorted((data_dir / STORES).glob("*/*.sqlite3")):
        folder = database.parent
        if ASIDE in folder.name:
            if wanted and any(contains(path, *wanted) for path in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
            continue
        with closing(sqlite3.connect(database, timeout=BUSY_S)) as store:
            store.execute("PRAGMA secure_delete=ON")
            store.execute("VACUUM")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        count += 1
    return count


def folders(settings: Settings) -> list[Path]:
    """Where files of sessions may lie that are to be deleted with them."""
    more = [Path(part.strip()) for part in settings.erase_in.split(",") if part.strip()]
    return [*(settings.data_dir / name for name in FOLDERS), *more]


def files_of(settings: Settings, words: Iterable[str]) -> Iterator[Path]:
    """Files in those folders whose name or content holds one of the words."""
    wanted = [word for word in words if word]
    sought = [word.encode() for word in wanted]
    for folder in folders(settings):
        for path in sorted(folder.rglob("*")) if wanted and folder.is_dir() else ():
            if path.is_file() and (any(word in path.name for word in wanted) or contains(path, *sought)):
                yield path


def delete_files(settings: Settings, words: Iterable[str]) -> int:
    """Delete those files; returns how many."""
    count = 0
    for path in list(files_of(settings, words)):
        path.unlink(missing_ok=True)
        count += 1
    return count
