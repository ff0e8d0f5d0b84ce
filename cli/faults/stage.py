"""The product as it runs in production, with everything within reach that can be made to fail."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cli.broker import EmbeddedKafka, prepare
from cli.deployment import Deployment
from cli.faults.proxy import Proxy
from cli.ports import free_ports
from cli.roles import RoleName
from cli.sample import Sample
from cli.sample import prepare as prepare_sample
from cli.setup import prepare_everything
from cli.supervisor import Child
from runtime.errors import AffectstreamError
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings

POLL_S: Final = 0.02
REDIS_PROGRAMS: Final = ("redis-server", "valkey-server")
DISK_MIB: Final = 48

Progress = Callable[[str], None]


class Stage:
    """A context: every role as a process, Kafka behind a proxy, Redis if there is a server for it.

    Use it from one long-lived thread: the processes end with it.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], progress: Progress) -> None:
        self._given = settings
        self._environ = {name: environ[name] for name in ("PATH", "HOME") if name in environ}
        self._progress = progress
        self._stack = contextlib.ExitStack()
        self.redis: Redis | None = None
        self.disk: Path | None = None
        """A small file system of fusion's own, where one can be mounted."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        settings = self._given
        prepare_everything(settings, self._environ, self._progress)
        self.sample: Sample = prepare_sample(settings, self._progress)
        folder = settings.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        self.kafka = EmbeddedKafka(prepare(settings.cache_dir, self._progress), folder / "kafka", advertised_port=port)
        self.network = self._stack.enter_context(Proxy(port, self.kafka.port))
        self._progress("starting Apache Kafka behind a proxy")
        self.kafka.start()
        self._stack.callback(self.kafka.stop)
        changes: dict[str, object] = {"kafka_bootstrap_servers": self.kafka.bootstrap_servers}
        program = next((found for name in REDIS_PROGRAMS if (found := shutil.which(name))), None)
        if program is not None:
            self.redis = self._stack.enter_context(Redis(program, folder / "redis"))
            changes["redis_url"] = self.redis.url
        self._mount(folder / "fusion")
        environ = {**self._environ, "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers}
        self.deployment = Deployment(settings.model_copy(update=changes), environ, port=0)
        self._stack.callback(self.deployment.stop)
        self.deployment.start(self._progress)

    def _mount(self, folder: Path) -> None:
        """Give a folder a small disk of its own; without the right to mount, it has none."""
        folder.mkdir(parents=True, exist_ok=True)
        mount, umount = shutil.which("mount"), shutil.which("umount")
        if mount is None or umount is None or os.geteuid() != 0:
            return
        command = [mount, "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            self.disk = folder
            self._stack.callback(subprocess.run, [umount, "-l", str(folder)], capture_output=True, check=False)

    @property
    def settings(self) -> Settings:
        """Of the deployment."""
        return self.deployment.settings

    def child(self, role: RoleName) -> Child:
        """A role under supervision."""
        return self.deployment.supervisor.children[role.value]

    def pid(self, role: RoleName) -> int:
        """A role's process; AffectstreamError if it does not run now."""
        process = self.child(role).process
        if process is None:
            raise AffectstreamError(f"{role} does not run; the end of its log:\n{self.child(role).log_end()}")
        return process.pid

    def wait(self, condition: Callable[[], bool], *, deadline_s: float) -> bool:
        """Poll the supervisor until the condition holds; False if it does not by the deadline."""
        until_s = time.monotonic() + deadline_s
        while not condition():
            self.deployment.supervisor.poll()
            if time.monotonic() > until_s:
                return False
            time.sleep(POLL_S)
        return True

    def last(self, seconds: float) -> None:
        """Let some time pass, the supervisor doing its work meanwhile."""
        self.wait(lambda: False, deadline_s=seconds)

    def all_ready(self) -> bool:
        """Whether every role does its work."""
        return all(child.state == "ready" for child in self.deployment.supervisor.children.values())


class Redis:
    """A Redis that keeps nothing; a context."""

    def __init__(self, program: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command: Sequence[str] = (
            program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(folder),
        )  # fmt: skip
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, empty."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT, for instance."""
        assert self._process is not None
        self._process.send_signal(number)
