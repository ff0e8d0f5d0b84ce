"""Child processes kept running: started, watched, restarted with backoff, stopped without a trace.

A child ends with its supervisor, however that ends (the kernel sends it SIGTERM), and is a process group of its own,
so that Ctrl-C in the terminal reaches the supervisor alone, which then stops its children in order.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from runtime.errors import AffectstreamError
from runtime.lifecycle import die_with_parent

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 5.0
HEALTHY_AFTER_S: Final = 30.0
POLL_S: Final = 0.02

State = Literal["starting", "ready", "waiting", "stopped"]
"""``waiting``: dead, and to be started again after its delay."""


@dataclass(slots=True)
class Backoff:
    """How long to wait before a restart: 0.05 s, doubling to 5 s; anew after 30 healthy seconds."""

    _next_s: float = FIRST_DELAY_S

    def after(self, *, ran_s: float) -> float:
        """The delay after a run of ``ran_s`` seconds that ended by itself."""
        if ran_s >= HEALTHY_AFTER_S:
            self._next_s = FIRST_DELAY_S
        delay = self._next_s
        self._next_s = min(2 * delay, LONGEST_DELAY_S)
        return delay


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A program to keep running.

    ``ready(since_s)`` says whether it does its work, by something seen after ``since_s`` of the monotonic clock; it is
    called often and must not block for long.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    ready: Callable[[float], bool]


@dataclass(slots=True)
class Child:
    """One program under supervision."""

    spec: ChildSpec
    state: State = "stopped"
    restarts: int = 0
    last_exit: int | None = None
    process: "subprocess.Popen[bytes] | None" = None
    _backoff: Backoff = field(default_factory=Backoff)
    _started_at_s: float = 0.0
    _restart_at_s: float = 0.0

    def start(self, now_s: float) -> None:
        """Start the program; its output is added to its log file."""
        self.spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                self.spec.command, env=dict(self.spec.environment), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        self.state = "starting"
        self._started_at_s = now_s

    def look(self, now_s: float) -> None:
        """Notice what became of the program, and start it again when that is due."""
        if self.process is None:
            if self.state == "waiting" and now_s >= self._restart_at_s:
                self.restarts += 1
                self.start(now_s)
            return
        code = self.process.poll()
        if code is not None:
            delay_s = self._backoff.after(ran_s=now_s - self._started_at_s)
            log.warning("%s ended with code %d: starting again in %.1f s", self.spec.name, code, delay_s)
            self.last_exit = code
            self.process = None
            self.state = "waiting"
            self._restart_at_s = now_s + delay_s
            return
        self.state = "ready" if self.spec.ready(self._started_at_s) else "starting"

    def log_end(self, lines: int = 12) -> str:
        """The last lines that the program wrote."""
        if not self.spec.log_path.exists():
            return ""
        return "\n".join(self.spec.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class Supervisor:
    """Keeps children running. Use it from one thread that lives as long as they shall: they end with it."""

    def __init__(self) -> None:
        self._children: dict[str, Child] = {}

    @property
    def children(self) -> Mapping[str, Child]:
        """Every child by name, in the order in which they were added."""
        return self._children

    def add(self, spec: ChildSpec) -> Child:
        """Start a program and keep it running from now on."""
        child = Child(spec)
        self._children[spec.name] = child
        child.start(time.monotonic())
        return child

    def poll(self) -> None:
        """Look after every child; call it at least every 100 ms."""
        now_s = time.monotonic()
        for child in self._children.values():
            child.look(now_s)

    def wait_ready(self, names: Iterable[str], *, deadline_s: float) -> None:
        """Poll until the named children are ready; AffectstreamError with the end of a log if one is not in time."""
        until = time.monotonic() + deadline_s
        wanted = [self._children[name] for name in names]
        while True:
            self.poll()
            late = [child for child in wanted if child.state != "ready"]
            if not late:
                return
            if time.monotonic() > until:
                child = late[0]
                ended = "" if child.last_exit is None else f" (it ended with code {child.last_exit})"
                msg = f"{child.spec.name} is not ready after {deadline_s:g} s{ended}; the end of {child.spec.log_path}:"
                raise AffectstreamError(f"{msg}\n{child.log_end()}")
            time.sleep(POLL_S)

    def stop(self, names: Iterable[str] | None = None, *, deadline_s: float = 15.0) -> None:
        """SIGTERM to the named children (or all), SIGKILL to those that are left at the deadline; then none is left."""
        chosen = [self._children[name] for name in (self._children if names is None else names)]
        for child in chosen:
            child.state = "stopped"
            if child.process is not None:
                child.process.terminate()
        until = time.monotonic() + deadline_s
        for child in chosen:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop within %g s: killed", child.spec.name, deadline_s)
                child.process.kill()
                child.process.wait()
            child.last_exit = child.process.returncode
            child.process = None
