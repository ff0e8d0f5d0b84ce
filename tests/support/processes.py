"""Roles as processes of their own, and ways to end them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from tests.support.prerequisites import REPOSITORY
from tests.support.waiting import eventually


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RoleProcess:
    """``affectstream run ROLE`` with the given settings; its log goes to ``data_dir/<role>.log``.

    ``program``: a module that is run in the place of ``cli``.
    """

    def __init__(self, role: str, settings: Settings, *options: str, program: str = "cli") -> None:
        self.role = role
        self._program = program
        self._options = options
        self.settings = settings.model_copy(update={"metrics_port": settings.metrics_port or free_port()})
        self.log_path = Path(settings.data_dir) / f"{role}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, deadline_s: float = 90.0) -> None:
        """Start it and return once it says that it is ready."""
        self.launch()
        self.wait_ready(deadline_s=deadline_s)

    def wait_ready(self, *, deadline_s: float = 90.0) -> None:
        """Return once it says that it is ready; it has been launched."""
        eventually(
            self.ready, deadline_s=deadline_s, every_s=0.05, what=lambda: f"{self.role} ready\n{self.log()[-3000:]}"
        )

    def launch(self) -> None:
        """Start it and return at once."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.settings.to_env(), "PYTHONPATH": str(REPOSITORY)}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._program, "run", self.role, *self._options],
                env=environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )

    def ended(self) -> int | None:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        return self._process.poll()

    def metrics(self) -> str:
        """The role's metrics page; empty while it does not answer."""
        try:
            return httpx.get(f"http://{self.settings.host}:{self.settings.metrics_port}/metrics", timeout=2).text
        except httpx.HTTPError:
            return ""

    def ready(self) -> bool:
        """Whether the role says that it does its work; AssertionError with its log if it has ended."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self.role} ended with {self._process.returncode}\n{self.log()[-3000:]}"
        return f'affectstream_role_ready{{role="{self.role}"}} 1.0' in self.metrics()

    def log(self) -> str:
        """What the role has written so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, *, deadline_s: float = 20.0) -> int:
        """SIGTERM, wait, and return the exit code; SIGKILL and AssertionError when the deadline has passed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"{self.role} did not stop within {deadline_s:g} s\n{self.log()[-3000:]}") from error


@contextmanager
def running(
    role: str, settings: Settings, *options: str, program: str = "cli", deadline_s: float = 30.0
) -> Iterator[RoleProcess]:
    """A role that runs and is ready; stopped at the end, killed if the test failed or stopped it before."""
    process = RoleProcess(role, settings, *options, program=program)
    try:
        process.start(deadline_s=deadline_s)
        yield process
        if process._process is not None:
            process.stop()
    finally:
        process.kill()
