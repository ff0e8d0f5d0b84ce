"""A real browser on the page: Chromium with a fake camera and microphone, driven by ``web/e2e/visit.mjs``."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2

from cli.sample import Sample
from tests.support.prerequisites import REPOSITORY, missing

WEB = REPOSITORY / "web"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
VISIT_S = 150.0


@dataclass(frozen=True, slots=True)
class FakeDevices:
    """What the browser takes for a camera and a microphone; both play in a loop."""

    video: Path
    audio: Path


def fake_devices(sample: Sample, folder: Path, *, start_s: float, end_s: float) -> FakeDevices:
    """The sample's pictures between two instants as an MJPEG file (the browser shows 30 a second), and its sound."""
    video = folder / "camera.mjpeg"
    with av.open(str(sample.video)) as film, video.open("wb") as pictures:
        for frame in film.decode(video=0):
            if frame.time is None or frame.time < start_s:
                continue
            if frame.time >= end_s:
                break
            done, jpeg = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), [cv2.IMWRITE_JPEG_QUALITY, 90])
            assert done
            pictures.write(jpeg.tobytes())
    return FakeDevices(video, sample.audio)


def require_browser() -> None:
    """Skip (in CI: fail) the test where the page is not built or there is no Chromium."""
    if shutil.which("node") is None:
        missing("Node 20 or later (node)")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        missing("the page's packages: cd web && npm ci")
    if not (WEB / "dist" / "index.html").is_file():
        missing("the built page: cd web && npm ci && npm run build")
    if not os.environ.get("CHROMIUM") and not any(shutil.which(name) for name in CHROMIUMS):
        missing("Chromium: install Debian's package chromium, or set CHROMIUM to an executable")


def visit(kind: str, url: str, devices: FakeDevices | None = None, shots: Path | None = None) -> dict[str, Any]:
    """Visit the page as ``visit.mjs`` describes; returns what it saw."""
    wish = {"visit": kind, "url": url}
    if devices is not None:
        wish |= {"video": str(devices.video), "audio": str(devices.audio)}
    if shots is not None:
        wish["shots"] = str(shots)
    return _node("visit.mjs", json.dumps(wish))


def page_states() -> dict[str, Any]:
    """What the page says when frames stop, a session ends, and a token is refused: see ``web/e2e/states.mjs``."""
    return _node("states.mjs")


def _node(script: str, *arguments: str) -> dict[str, Any]:
    answer = subprocess.run(
        ["node", f"e2e/{script}", *arguments],
        cwd=WEB, capture_output=True, text=True, check=False, timeout=VISIT_S,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    seen: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return seen
