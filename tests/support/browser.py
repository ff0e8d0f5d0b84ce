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
LOOKS_S = 540.0


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


def visit(
    kind: str, url: str, devices: FakeDevices | None = None, shots: Path | None = None, **wishes: Any
) -> dict[str, Any]:
    """Visit the page as ``visit.mjs`` describes, with its further ``wishes``; returns what it saw."""
    wish = {"visit": kind, "url": url, **wishes}
    if devices is not None:
        wish |= {"video": str(devices.video), "audio": str(devices.audio)}
    if shots is not None:
        wish["shots"] = str(shots)
    return _node("visit.mjs", json.dumps(wish))


def publish(client: str, url: str, session: dict[str, Any], devices: FakeDevices, emotion: str) -> dict[str, Any]:
    """Publish with a WHIP client that is not ours until ``emotion`` is seen: see ``web/e2e/publish.mjs``.

    ``session`` is the edge's answer that opened it.
    """
    wish = {
        "client": client,
        "url": url,
        "endpoint": session["whip_url"],
        "token": session["token"],
        "avatar": session["avatar_url"],
        "emotion": emotion,
        "video": str(devices.video),
        "audio": str(devices.audio),
    }
    return _node("publish.mjs", json.dumps(wish))


def restart_ice(client: str, url: str, session: dict[str, Any]) -> dict[str, Any]:
    """Publish with a WHIP client that is not ours, which restarts ICE meanwhile: see ``web/e2e/publish.mjs``."""
    wish = {
        "client": client, "url": url, "endpoint": session["whip_url"], "token": session["token"], "restart": True,
    }  # fmt: skip
    return _node("publish.mjs", json.dumps(wish))


def on_device(url: str, devices: FakeDevices, *, udp: bool) -> dict[str, Any]:
    """Visit the page in on-device mode, with WebRTC or on a network without UDP: see ``web/e2e/onDevice.mjs``."""
    wish = {"url": url, "udp": udp, "video": str(devices.video), "audio": str(devices.audio)}
    return _node("onDevice.mjs", json.dumps(wish))


def analyst_page(url: str, *, session: str, many: str, experiment: str, shots: Path | None = None) -> dict[str, Any]:
    """Visit the analyst page, on a desktop and on a phone, with sessions to open: see ``web/e2e/analyst.mjs``."""
    wish = {"url": url, "session": session, "long": many, "experiment": experiment}
    if shots is not None:
        wish["shots"] = str(shots)
    return _node("analyst.mjs", json.dumps(wish), deadline_s=LOOKS_S)


def page_states() -> dict[str, Any]:
    """What the page says when frames stop, a session ends, and a token is refused: see ``web/e2e/states.mjs``."""
    return _node("states.mjs")


def avatar_files(model: Path, shots: Path | None = None) -> dict[str, Any]:
    """What the page shows and says when other avatars are opened: see ``web/e2e/avatars.mjs``."""
    return _node("avatars.mjs", str(model), *([] if shots is None else [str(shots)]))


def page_looks(size: str, theme: str, shots: Path | None = None) -> dict[str, Any]:
    """What axe-core finds in every state of the pages at one size and in one theme: see ``web/e2e/looks.mjs``."""
    wish: dict[str, Any] = {"sizes": [size], "themes": [theme]}
    if shots is not None:
        wish["folder"] = str(shots)
    return _node("looks.mjs", json.dumps(wish), deadline_s=LOOKS_S)


def _node(script: str, *arguments: str, deadline_s: float = VISIT_S) -> dict[str, Any]:
    answer = subprocess.run(
        ["node", f"e2e/{script}", *arguments],
        cwd=WEB, capture_output=True, text=True, check=False, timeout=deadline_s,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    seen: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return seen
