"""A real KServe v2 server, MLServer, in an environment of its own, as a process that can be frozen and killed."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import httpx

from runtime.lifecycle import die_with_parent
from tests.support.prerequisites import REPOSITORY, missing
from tests.support.processes import free_port
from tests.support.waiting import eventually

SERVED = Path(__file__).parent / "served"


class ModelServer:
    """MLServer with the models of ``served``; ports of its own, loopback only."""

    def __init__(self, folder: Path) -> None:
        self._program = Path(os.environ.get("MLSERVER", REPOSITORY / ".venv-mlserver" / "bin" / "mlserver"))
        if not self._program.exists():
            missing(f"MLServer is not at {self._program}: run these tests by `make test-models`")
        self.http, self.grpc, self._metrics = free_port(), free_port(), free_port()
        self._models = shutil.copytree(SERVED, folder / "served", ignore=shutil.ignore_patterns("__pycache__"))
        self._log = folder / "mlserver.log"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, scheme: str, model: str) -> str:
        return f"{scheme}://127.0.0.1:{self.grpc if scheme == 'grpc' else self.http}/{model}"

    def start(self) -> None:
        environment = {
            **os.environ,
            "MLSERVER_HTTP_PORT": str(self.http),
            "MLSERVER_GRPC_PORT": str(self.grpc),
            "MLSERVER_METRICS_PORT": str(self._metrics),
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program.absolute(), "start", str(self._models)],
                env=environment, cwd=self._models, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        eventually(self._ready, what=lambda: f"MLServer ready\n{self._log.read_text()[-3000:]}", deadline_s=90)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self.http}/v2/health/ready", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
