"""The machine itself: models, engines, ports, the token key, addresses that clients are told."""

import contextlib
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import httpx
import psutil

from cli.doctor.finding import Finding, ok, skipped
from inference_workers import models
from inference_workers.engines.providers import onnx_providers
from runtime.settings import Settings

NVIDIA_DEVICE = Path("/dev/nvidiactl")


def check_settings(environ: Mapping[str, str]) -> Finding:
    """Whether all roles of the deployment sign and verify with one key."""
    if "AFFECTSTREAM_TOKEN_KEY" in environ:
        return ok("token key", "set")
    told = "AFFECTSTREAM_TOKEN_KEY is not set: each role draws its own, and refuses the others' tokens"
    remedy = "give every role the same secret of 32 characters or more: openssl rand -hex 32"
    return Finding("token key", "warning", told, remedy)


def check_models(settings: Settings) -> Finding:
    """The default models in the cache, by their sums."""
    found = [entry for entry in models.listing(settings) if entry.asset.default or entry.state != "missing"]
    altered = [entry.asset.name for entry in found if entry.state == "altered"]
    missing = [entry.asset.name for entry in found if entry.state == "missing"]
    if altered:
        told = f"not what they should be (SHA-256): {', '.join(altered)}"
        remedy = f"delete them in {models.folder(settings)} and run `affectstream models pull {' '.join(altered)}`"
        return Finding("models", "failure", told, remedy)
    if missing:
        remedy = (
            f"run `affectstream models pull {' '.join(missing)}`, or point AFFECTSTREAM_CACHE_DIR at where they are"
        )
        return Finding("models", "failure", f"missing in {models.folder(settings)}: {', '.join(missing)}", remedy)
    return ok("models", f"{', '.join(entry.asset.name for entry in found)}: present, sums right")


OPENCV: Final = ("opencv-contrib-python-headless", "opencv-contrib-python", "opencv-python-headless", "opencv-python")
"""Packages that carry ``cv2``, ours first."""


def check_engines() -> Finding:
    """What models run on here."""
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    return judge_engines(both, onnx_providers(), gpu=NVIDIA_DEVICE.exists())


def judge_engines(packages: list[str], providers: list[str], *, gpu: bool) -> Finding:
    """``packages``: which of the two that carry onnxruntime are installed; ``gpu``: whether the machine has one."""
    if len(packages) > 1:
        remedy = "uninstall both, then install exactly one extra: affectstream[cpu] or affectstream[gpu]"
        return Finding("engines", "failure", f"{' and '.join(packages)} overwrite each other's files", remedy)
    if not providers:
        return Finding(
            "engines", "failure", "onnxruntime is not installed", "pip install 'affectstream[cpu]', or [gpu]"
        )
    told = f"onnxruntime: {', '.join(name.removesuffix('ExecutionProvider') for name in providers)}"
    if gpu and "CUDAExecutionProvider" not in providers:
        return Finding(
            "engines", "warning", f"{told}; there is a GPU", "pip install 'affectstream[gpu]' instead of [cpu]"
        )
    if not gpu and "CUDAExecutionProvider" in providers:
        return Finding("engines", "ok", f"{told}; no GPU here, so models run on the CPU")
    return ok("engines", f"{told}; {'a GPU' if gpu else 'no GPU'}")


def check_opencv() -> Finding:
    """That only one package carries OpenCV here."""
    return judge_opencv([name for name in OPENCV if _installed(name)])


def judge_opencv(packages: list[str]) -> Finding:
    """``packages``: which of those that carry OpenCV are installed."""
    if len(packages) > 1:
        others = " ".join(name for name in packages if name != OPENCV[0])
        remedy = f"pip uninstall {others}, then pip install --force-reinstall --no-deps {OPENCV[0]}"
        return Finding("opencv", "warning", f"{' and '.join(packages)} overwrite each other's files", remedy)
    return ok("opencv", ", ".join(packages) or "not installed as a package")


def check_ports(settings: Settings) -> list[Finding]:
    """The ports that a role with these settings would listen on."""
    findings = []
    for name, port in (("port", settings.port), ("metrics port", settings.metrics_port)):
        if port == 0:
            findings.append(skipped(name, "any free one"))
        elif _free(settings.host, port):
            findings.append(ok(name, f"{settings.host}:{port} is free"))
        else:
            owner = _listener(port)
            remedy = f"if that is not the role itself: set AFFECTSTREAM_{name.upper().replace(' ', '_')} to another"
            findings.append(Finding(name, "warning", f"{settings.host}:{port} is taken by {owner}", remedy))
    return findings


def check_addresses(settings: Settings) -> list[Finding]:
    """Whether what clients are told to connect to answers, as seen from here."""
    findings = []
    for role, url in (
        ("ingest", settings.public_ingest_url),
        ("egress", settings.public_egress_url),
        ("analytics", settings.public_analytics_url),
    ):
        check = f"{role} address"
        if not url:
            findings.append(skipped(check, f"AFFECTSTREAM_PUBLIC_{role.upper()}_URL is not set"))
            continue
        try:
            # Of egress, which speaks WebSocket, any answer will do.
            answer = httpx.get(f"{url.rstrip('/')}/healthz", timeout=5, trust_env=False)
        except httpx.HTTPError as error:
            remedy = f"start {role}, or correct AFFECTSTREAM_PUBLIC_{role.upper()}_URL: clients are sent there"
            findings.append(Finding(check, "failure", f"{url}: {error}", remedy))
            continue
        if role != "egress" and answer.status_code != httpx.codes.OK:
            told = f"{url} answers {answer.status_code}: {answer.text[:120]}"
            findings.append(Finding(check, "failure", told, f"see the log of {role}"))
        else:
            findings.append(ok(check, f"{url} answers"))
    return findings


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    break
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process of another user"
