"""Other processes: starting and ending them, and the processor time that they have used."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from runtime.errors import AffectstreamError
from runtime.lifecycle import die_with_parent

QUIET_CPU: Final = 0.3
"""Below this share of a core a process that waits for work is taken to have started."""
QUIET_S: Final = 1.0
READY_POLL_S: Final = 0.1
STOP_DEADLINE_S: Final = 15.0


class CandidateError(AffectstreamError):
    """A measured program ended, hung, or gave wrong results; the message holds the end of what it said."""


@dataclass(frozen=True)
class Program:
    """What is run: command line, environment, working directory."""

    command: Sequence[str]
    environ: Mapping[str, str]
    directory: Path


class Candidate:
    """A program under measurement, as a context: started on entry, ended with all its children on leaving."""

    def __init__(self, program: Program, log_path: Path) -> None:
        self._program = program
        self._log_path = log_path

    def __enter__(self) -> Self:
        self._program.directory.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("wb") as output:
            self._process = subprocess.Popen(
                list(self._program.command), env=dict(self._program.environ), cwd=self._program.directory,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        self._watched = psutil.Process(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it with all its children; it may have ended before."""
        children = []
        with suppress(psutil.NoSuchProcess):
            children = self._watched.children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    @property
    def pid(self) -> int:
        """The program's own process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """False once the program has ended."""
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """User and system time so far of the program and its children, in 10 ms; CandidateError if it ended."""
        try:
            total = 0.0
            for process in (self._watched, *self._watched.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    total += times.user + times.system
            own = self._watched.cpu_times()
            return total + own.children_user + own.children_system
        except psutil.NoSuchProcess as error:
            raise self.failure("ended") from error

    def failure(self, what: str) -> CandidateError:
        """An error that says what happened and what the program said last."""
        end = self.said()[-3_000:]
        return CandidateError(f"{' '.join(self._program.command[:4])} … {what}; it said:\n{end}")

    def said(self) -> str:
        """All that the program has written to its standard output and error."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def require_running(self) -> None:
        """Raise CandidateError if the program has ended."""
        if not self.running:
            raise self.failure(f"ended with code {self._process.returncode}")

    def wait(self, deadline_s: float) -> int:
        """Return the program's exit code once it has ended by itself; raises CandidateError after the deadline."""
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"did not end within {deadline_s:g} s") from error

    def wait_until(
        self, done: Callable[[], bool], *, meanwhile: Callable[[], object] = lambda: None, deadline_s: float = 120.0
    ) -> None:
        """Return once it is ``done``, however busy it is; CandidateError if it ends, or after the deadline."""
        until_s = time.monotonic() + deadline_s
        while not done():
            self.require_running()
            if time.monotonic() > until_s:
                raise self.failure(f"was not ready after {deadline_s:g} s")
            meanwhile()
            time.sleep(0.1)

    def wait_for(self, ready: Callable[[], bool], *, deadline_s: float = 180.0) -> None:
        """Return once the program says that it is ready and has hardly used the processor for a second.

        Raises CandidateError if it ends, or after the deadline.
        """
        until = time.monotonic() + deadline_s
        while not ready():
            self.require_running()
            if time.monotonic() > until:
                raise self.failure(f"was not ready after {deadline_s:g} s")
            time.sleep(READY_POLL_S)
        before = self.cpu_s()
        while True:
            time.sleep(QUIET_S)
            self.require_running()
            now = self.cpu_s()
            if now - before < QUIET_CPU * QUIET_S:
                return
            if time.monotonic() > until:
                raise self.failure(f"was still busy starting after {deadline_s:g} s")
            before = now


class CpuShares:
    """Processor time of those who take part, from now on; a Kafka of our own among them, and this process."""

    def __init__(self, candidates: Mapping[str, Candidate]) -> None:
        own = psutil.Process()
        brokers = [child for child in own.children(recursive=True) if "java" in child.name()]
        self._processes = {
            **{name: psutil.Process(candidate.pid) for name, candidate in candidates.items()},
            **({"kafka": brokers[0]} if brokers else {}),
            "bench": own,
        }
        self._since_s = time.monotonic()
        self._before = self._used()

    def _used(self) -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in self._processes.items()}

    def so_far(self) -> Mapping[str, float]:
        """Of one core, by name."""
        now, seconds = self._used(), time.monotonic() - self._since_s
        return {name: round((now[name] - self._before[name]) / seconds, 3) for name in now}


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Our own environment and ``more``; numeric libraries get one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **more}


def metrics_page(port: int) -> str:
    """What a role's metrics port on this machine says; empty if nobody answers within a second."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1.0) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, OSError):
        return ""


def is_ready(role: str, metrics_port: int) -> bool:
    """Whether a role says so on its metrics page."""
    return f'affectstream_role_ready{{role="{role}"}} 1.0' in metrics_page(metrics_port)
