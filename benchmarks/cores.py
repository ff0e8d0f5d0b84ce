"""Which processor cores what runs on."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.processes import CandidateError, Program


@contextmanager
def apart() -> Iterator[int]:
    """A core that nothing of ours uses meanwhile: this process and its children are moved to the others.

    Raises CandidateError if there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise CandidateError("this measurement needs two cores: one for what is measured, one for everything else")
    _move_all(cores[:-1])
    try:
        yield cores[-1]
    finally:
        _move_all(cores)


def on(program: Program, cores: Iterable[int]) -> Program:
    """The same program, started on these cores only."""
    pinned = (
        "import os,sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(',')));os.execvp(sys.argv[2], sys.argv[2:])"
    )
    chosen = ",".join(map(str, sorted(cores)))
    return Program((sys.executable, "-c", pinned, chosen, *program.command), program.environ, program.directory)


def _move_all(cores: Iterable[int]) -> None:
    """Move this process and its children, with all their threads."""
    chosen, own = set(cores), psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with suppress(FileNotFoundError):
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), chosen)
