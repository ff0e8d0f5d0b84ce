"""A guardian before a process: work that hangs or crashes is begun anew, within a second or two (Linux).

The guardian imports what the work needs, forks, and watches its child. A child that makes no end of one watched call,
whatever it holds (the interpreter's lock, too), is killed; one that a signal ends counts as crashed. Its successor is
forked at once: it imports little, and is told what its predecessor was at, so that it lets it be. A child that ends by
itself, well or with an error, ends the guardian with the same code: that is the supervisor's affair.

What counts as a hang is measured in the child's own time (:func:`charge`): a busy machine makes no hang.
"""

import json
import logging
import mmap
import os
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.lifecycle import die_with_parent

log = logging.getLogger(__name__)

POLL_S: Final = 0.05
MOST_CHARGED_S: Final = 2 * POLL_S
"""Of one look: time in which the guardian itself did not run (suspended, starved) is nobody's hang."""
MOST_FRUITLESS: Final = 5
WITHIN_S: Final = 60.0
MOST_SUSPECTS: Final = 10_000
"""With more, the oldest are forgotten: the log has them no longer."""
PAGE_BYTES: Final = 65_536
HEAD: Final = struct.Struct("<qi")
"""Number of the call, odd while it lasts; length of what it is about."""
GIVEN_UP: Final = 71
STOPS: Final = (signal.SIGTERM, signal.SIGINT)

Work = Callable[["Watch"], None]


class Watch:
    """By which work says what it is at. Without a guardian, it says so to nobody."""

    def __init__(
        self, page: mmap.mmap | None = None, suspects: frozenset[str] = frozenset(), replaced: int = 0
    ) -> None:
        self._page = page
        self._calls = 0
        self._suspects = suspects
        self.replaced = replaced
        """How many children of this guardian hung or crashed before this one."""

    def suspected(self, item: str) -> bool:
        """Whether a predecessor ended while it was at this item."""
        return item in self._suspects

    @contextmanager
    def over(self, items: Sequence[str]) -> Iterator[None]:
        """Watch a call that is about these items; calls do not nest."""
        if self._page is None:
            yield
            return
        about = json.dumps(list(items)).encode()
        if len(about) > PAGE_BYTES - HEAD.size:
            about = b"[]"
        self._page[HEAD.size : HEAD.size + len(about)] = about
        self._calls += 1
        HEAD.pack_into(self._page, 0, self._calls, len(about))
        try:
            yield
        finally:
            self._calls += 1
            HEAD.pack_into(self._page, 0, self._calls, len(about))


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread as the kernel shows it: its state's letter (proc(5)) and the processor time that it has used."""

    state: str
    used_s: float


Threads = Mapping[int, Thread]
"""By the kernel's number."""


def charge(before: Threads, now: Threads, elapsed_s: float) -> float:
    """How much of the time between two looks counts towards a hang. Pure.

    All of it, if nobody in the process has anything to do: a deadlock. If anybody runs, wants to run, or waits for a
    disk, then only the processor time that the busiest thread was given: an endless loop is charged what it uses, a
    process without a processor nothing. So is one that is stopped (a debugger), or that cannot be looked at.
    """
    if not now:
        return 0.0
    if all(thread.state == "S" for thread in now.values()):
        return min(elapsed_s, MOST_CHARGED_S)
    used = (thread.used_s - before[number].used_s for number, thread in now.items() if number in before)
    return min(max(used, default=0.0), elapsed_s, MOST_CHARGED_S)


class Patience:
    """Whether a call lasts too long, by the guardian's looks at it. Pure."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._call = 0
        self._charged_s = 0.0
        self._threads: Threads | None = None

    def hangs(self, call: int, elapsed_s: float, look: Callable[[], Threads]) -> bool:
        """``call`` as the child last wrote it; ``look`` is used only for calls that last from one look to the next."""
        if call % 2 == 0 or call != self._call:
            self._call = call
            self._charged_s = 0.0
            self._threads = None
            return False
        before, self._threads = self._threads, look()
        if before is not None:
            self._charged_s += charge(before, self._threads, elapsed_s)
        return self._charged_s >= self._limit_s


class Ends:
    """What children ended on, and whether beginning again still makes sense. Pure.

    An end at items that no earlier one was at is progress: they are left out from now on. Others, at the start or
    between calls, happen again for the same reason: more than :data:`MOST_FRUITLESS` of them within :data:`WITHIN_S`
    are for the supervisor, which is slower.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self._suspects: dict[str, None] = {}
        self._fruitless: deque[float] = deque(maxlen=MOST_FRUITLESS)

    @property
    def suspects(self) -> frozenset[str]:
        """Whatever children were at when they ended."""
        return frozenset(self._suspects)

    def are_too_many(self, items: Sequence[str], now_s: float) -> bool:
        """Another child has ended, at these items."""
        self.replaced += 1
        new = [item for item in items if item not in self._suspects]
        self._suspects.update(dict.fromkeys(new))
        for oldest in list(self._suspects)[:-MOST_SUSPECTS]:
            del self._suspects[oldest]
        if new:
            return False
        often = len(self._fruitless) == MOST_FRUITLESS and now_s - self._fruitless[0] < WITHIN_S
        self._fruitless.append(now_s)
        return often


class Guardian:
    """Runs work in children, one after another. To be made in the main thread of a process without others."""

    def __init__(self, *, hang_s: float) -> None:
        """``hang_s``: of its own time (:func:`charge`), that a watched call may take."""
        self._hang_s = hang_s
        self._page = mmap.mmap(-1, PAGE_BYTES)
        self._child = 0
        self._stopping = False

    def run(self, work: Work) -> None:
        """Returns in a child, when its work is done; in the guardian it ends the process with the child's code."""
        if not _threads_of(os.getpid()):
            log.warning(
                "threads cannot be looked at here (/proc): an engine that crashes is replaced, not one that hangs"
            )
        ends = Ends()
        for number in STOPS:
            signal.signal(number, self._pass_on)
        while True:
            HEAD.pack_into(self._page, 0, 0, 0)
            if self._fork():
                work(Watch(self._page, ends.suspects, ends.replaced))
                return
            hung, status = self._wait()
            code = os.waitstatus_to_exitcode(status)
            if self._stopping and -code in STOPS:  # it was asked before it could say how it wants to stop
                code = 0
            if self._stopping or code >= 0:
                sys.exit(code if code >= 0 else 128 - code)
            items = self._was_at()
            how = f"did not come back from its engine for {self._hang_s:g} s" if hung else f"crashed ({_name(-code)})"
            log.warning("the worker %s, at %d items: another goes on without them", how, len(items))
            if ends.are_too_many(items, time.monotonic()):
                log.error("%d ends within %g s, at nothing new: giving up", MOST_FRUITLESS + 1, WITHIN_S)
                sys.exit(GIVEN_UP)

    def _fork(self) -> bool:
        """True in the child."""
        sys.stdout.flush()
        sys.stderr.flush()
        guardian = os.getpid()
        # A request to stop is handled before this returns, or when it is known whom to pass it on to.
        masked_before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        if self._stopping:
            sys.exit(0)
        child = os.fork()
        if child:
            self._child = child
            signal.pthread_sigmask(signal.SIG_SETMASK, masked_before)
            return False
        die_with_parent(signal.SIGKILL)  # as if the two were one process
        if os.getppid() != guardian:
            os._exit(GIVEN_UP)
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked_before)
        return True

    def _wait(self) -> tuple[bool, int]:
        """Whether the child had to be killed, and how it ended."""
        patience = Patience(self._hang_s)
        child, hung = self._child, False
        looked_s = time.monotonic()
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self._child = 0
                return hung, status
            now_s = time.monotonic()
            call, _ = HEAD.unpack_from(self._page)
            if not hung and patience.hangs(call, now_s - looked_s, lambda: _threads_of(child)):
                os.kill(child, signal.SIGKILL)
                hung = True
            looked_s = now_s
            time.sleep(POLL_S)

    def _was_at(self) -> Sequence[str]:
        call, length = HEAD.unpack_from(self._page)
        if call % 2 == 0:
            return ()
        try:
            return list(json.loads(self._page[HEAD.size : HEAD.size + length]))
        except ValueError:
            return ()

    def _pass_on(self, number: int, _frame: object) -> None:
        self._stopping = True
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, number)


def _threads_of(process: int) -> Threads:
    """The threads of a process; empty if it has ended or cannot be looked at."""
    ticks_a_second = os.sysconf("SC_CLK_TCK")
    found = {}
    try:
        for entry in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                fields = text.rpartition(")")[2].split()
                found[int(entry.name)] = Thread(fields[0], (int(fields[11]) + int(fields[12])) / ticks_a_second)
    except OSError:
        return {}
    return found


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
