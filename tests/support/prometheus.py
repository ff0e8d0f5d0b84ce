"""A real Prometheus that scrapes what a test runs, and promtool. Debian's package, as set-up installs it."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from runtime.lifecycle import die_with_parent
from tests.support.prerequisites import REPOSITORY, missing
from tests.support.processes import free_port
from tests.support.waiting import eventually

INFRA = REPOSITORY / "infra"


def require(program: str) -> str:
    """Where ``prometheus`` or ``promtool`` is; without it the test is skipped loudly, and fails in CI."""
    return shutil.which(program) or missing(f"{program} (Debian: apt-get install prometheus; then make setup-dev)")


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run promtool in ``infra/prometheus``."""
    return subprocess.run(
        [require("promtool"), *arguments], cwd=INFRA / "prometheus", text=True, capture_output=True, check=False
    )


class Prometheus:
    """What the test asks of a running server."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that answers; AssertionError if the expression cannot be evaluated."""
        answer = self._http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result = answer["data"]["result"]
        # A scalar is one value; a quotient without observations is NaN, which is no data.
        return [row for row in result if not isinstance(row, dict) or row["value"][1] != "NaN"]

    def value(self, expression: str) -> float:
        """The one number that answers."""
        (row,) = self.query(expression)
        return float(row["value"][1])

    def rules(self) -> list[dict[str, Any]]:
        """Every alert rule with its state and health."""
        return [r for g in self._http.get("/api/v1/rules").json()["data"]["groups"] for r in g["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Every target with its labels and health."""
        return list(self._http.get("/api/v1/targets").json()["data"]["activeTargets"])

    def ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def scraping(ports: Mapping[str, int], folder: Path, rules: Sequence[Path] = ()):
    """A Prometheus that reads the metrics pages of the roles on these ports every second."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": "affectstream",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"component": role}} for role, port in ports.items()
                ],
            }
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        require("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    log_path = folder / "prometheus.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509 - one prctl call
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(server.ready, deadline_s=30, what=lambda: log_path.read_text()[-2_000:])
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(20)
