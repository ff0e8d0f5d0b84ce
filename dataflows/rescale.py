"""Recovery stores for other groups of the same partitions: how one process becomes two, or four become one.

A store holds, by step and partition, what Bytewax recovers from. The state of a partition says nothing of its
neighbours, so a new store takes from each old one the partitions that it is to have. Old stores are set aside, not
deleted, and could not be started again anyway once a new one was: its claim is newer (:mod:`dataflows.ownership`).
"""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from dataflows.store import (
    DATABASE,
    IDENTITY,
    held,
    init_database,
    partitions_title,
    read_identity,
    store_path,
    write_identity,
)
from runtime.errors import RecoveryError
from runtime.settings import Settings

ASIDE: Final = ".replaced-"
"""Appended, with its id, to the name of a store that others were made from."""
EXECUTION: Final = 0
EPOCH: Final = 1
"""A new store looks as if one execution had closed this one epoch."""


class Snapshot(NamedTuple):
    """One row of Bytewax's table ``snaps``: the state of a step for a key, as it was at a resume epoch."""

    step_id: str
    state_key: str
    state: bytes


def rescale(settings: Settings, into: Sequence[Sequence[int]]) -> list[Path]:
    """Make stores for the groups ``into`` from the stores in ``data_dir``; returns where they lie.

    The old ones must hold exactly the partitions of the new ones, and no process may run on them. Raises RecoveryError
    otherwise, or if an old store cannot be read; nothing is changed then.
    """
    wanted = sorted(partition for group in into for partition in group)
    if not wanted or len(set(wanted)) != len(wanted):
        raise RecoveryError("the new groups are empty or overlap")
    old = _stores_of(settings, wanted)
    with ExitStack() as stack:
        for path in old:
            stack.enter_context(held(path))
        said = [read_identity(path) for path in old]
        state = {snapshot[:2]: snapshot for path in old for snapshot in _state(path)}
        drafts = [_draft(settings, group, said, list(state.values())) for group in into]
        for path, each in zip(old, said, strict=True):
            path.rename(path.with_name(f"{path.name}{ASIDE}{each['store']}"))
        for draft, path in drafts:
            draft.rename(path)
        return [path for _, path in drafts]


def _stores_of(settings: Settings, partitions: Sequence[int]) -> list[Path]:
    """The stores that hold these partitions, and no others."""
    folder = store_path(settings, partitions).parent
    found: dict[Path, list[int]] = {}
    for path in sorted(folder.glob(f"{settings.topic_prefix}*/{IDENTITY}")):
        # Groups are named by their partitions, so that a store set aside is not taken for one that is used.
        owned = [int(partition) for partition in read_identity(path.parent)["owned"]]
        if path.parent == store_path(settings, owned) and set(owned) & set(partitions):
            found[path.parent] = owned
    held_now = sorted(partition for owned in found.values() for partition in owned)
    if held_now != list(partitions):
        msg = (
            f"the stores in {folder} that hold some of the partitions {partitions_title(partitions)} are "
            f"{[partitions_title(owned) for owned in found.values()] or 'none'}: old groups and new ones must hold the "
            "same partitions"
        )
        raise RecoveryError(msg)
    return list(found)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path / DATABASE)) as database:
            yield database
    except sqlite3.Error as error:
        raise RecoveryError(f"the recovery store {path} cannot be read: {error}") from error


def _state(path: Path) -> list[Snapshot]:
    """What Bytewax would recover from the store: each key's newest snapshot before the epoch that it resumes at."""
    if not (path / DATABASE).is_file():
        raise RecoveryError(f"the recovery store {path} has lost {DATABASE}: put it back")
    with _opened(path) as database:
        workers = database.execute("SELECT worker_count FROM exs ORDER BY ex_num DESC LIMIT 1").fetchone()
        if workers is None:
            return []
        if workers[0] != 1:
            raise RecoveryError(f"the recovery store {path} was written by {workers[0]} workers, not by one")
        (resume,) = (
            database.execute("SELECT worker_frontier FROM fronts ORDER BY ex_num DESC LIMIT 1").fetchone()
            or database.execute("SELECT resume_epoch FROM exs ORDER BY ex_num DESC LIMIT 1").fetchone()
        )
        rows = database.execute(
            "SELECT step_id, state_key, ser_change, MAX(snap_epoch) FROM snaps WHERE snap_epoch < ? "
            "GROUP BY step_id, state_key",
            (resume,),
        ).fetchall()
    return [Snapshot(step_id, key, state) for step_id, key, state, _epoch in rows if state is not None]


def _draft(
    settings: Settings, group: Sequence[int], said: Sequence[dict[str, Any]], state: Sequence[Snapshot]
) -> tuple[Path, Path]:
    """A store for the group, beside the place where it is to lie; returns both paths."""
    path = store_path(settings, group)
    draft = path.with_name(path.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    init_database(draft)
    keys = {str(partition) for partition in group}
    with _opened(draft) as database, database:
        database.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (?, 1, ?)", (EXECUTION, EPOCH))
        database.execute(
            "INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (?, 0, ?)", (EXECUTION, EPOCH + 1)
        )
        database.executemany(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)",
            [(s.step_id, s.state_key, EPOCH, s.state) for s in state if s.state_key in keys],
        )
    first = dict(said[0])
    claims = sorted({claim for each in said for claim in each["claims"]})
    write_identity(draft, {**first, "owned": list(group), "store": secrets.token_hex(8), "claims": claims})
    return draft, path
