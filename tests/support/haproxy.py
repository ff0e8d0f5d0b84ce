"""A real HAProxy before egress, with the product's own configuration. Debian's package, as set-up installs it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from runtime.lifecycle import die_with_parent
from tests.support.prerequisites import REPOSITORY, missing
from tests.support.processes import free_port
from tests.support.waiting import eventually

FOLDER = REPOSITORY / "infra" / "haproxy"


@contextmanager
def balancing(servers: str, folder: Path, partitions: int, **environment: str) -> Iterator[int]:
    """HAProxy with ``haproxy.cfg`` and a file with these further sections; yields the port for viewers."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") or missing(
        "haproxy (Debian: apt-get install haproxy; then make setup-dev)"
    )
    extra = folder / "servers.cfg"
    extra.write_text(servers)
    port, health = free_port(), free_port()
    told: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "PARTITIONS": str(partitions),
        "LUA_DIR": str(FOLDER),
        "BIND": f"127.0.0.1:{port}",
        "HEALTH_BIND": f"127.0.0.1:{health}",
        **environment,
    }
    command = [program, "-db", "-f", str(FOLDER / "haproxy.cfg"), "-f", str(extra)]
    log_path = folder / "haproxy.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command, env=told, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )  # fmt: skip

    def well() -> bool:
        assert process.poll() is None, log_path.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{health}/healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        eventually(well, deadline_s=10)
        yield port
    finally:
        process.terminate()
        process.wait(10)
