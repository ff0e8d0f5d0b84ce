"""The page in a real browser against the whole running product."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.deployment import Deployment
from cli.sample import Sample, prepare
from client import Session, play
from inference_workers import models
from runtime.settings import Settings
from tests.support.browser import fake_devices, require_browser, visit
from tests.support.prerequisites import cache_dir, required

pytestmark = pytest.mark.timeout(300)

SMILING_S = (0.5, 9.5)
"""When the sample shows the face, before it first blinks to black."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    require_browser()
    settings = Settings.from_env({}, data_dir=tmp_path_factory.mktemp("page"), cache_dir=cache_dir(), partitions=2)
    with required():
        models.pull(settings)
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        deployment = Deployment(settings, environ, port=0)
        deployment.start(print)
    yield deployment
    deployment.stop()


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    """Where screenshots go: ``PAGE_SHOTS``, to look at them afterwards, or a temporary folder."""
    chosen = os.environ.get("PAGE_SHOTS")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("shots")


@pytest.fixture(scope="module")
def sample(deployment):
    with required():
        return prepare(deployment.settings, print)


@pytest.fixture(scope="module")
def own(deployment, sample, shots, tmp_path_factory):
    """A person's own session: consent by keyboard, camera and microphone, a rating, stop."""
    start_s, end_s = SMILING_S
    devices = fake_devices(sample, tmp_path_factory.mktemp("devices"), start_s=start_s, end_s=end_s)
    return visit("own", deployment.addresses.ingest, devices, shots)


def test_nothing_starts_before_consent(own):
    assert own["tracksBefore"] == []
    assert own["checkedBefore"] == 0
    assert own["startDisabledBefore"]
    assert not any("/v1/sessions" in request for request in own["requestsBefore"])


def test_declining_opens_nothing(deployment):
    seen = visit("decline", deployment.addresses.ingest)
    assert seen["tracksDuring"] == []
    assert seen["sockets"] == []


def test_media_goes_out_and_frames_come_back(own):
    assert own["mediaDuring"] > 30
    assert own["messages"] > 60
    assert own["acks"] >= 1
    assert own["legs"] >= 7
    assert sorted(track["kind"] for track in own["tracksDuring"]) == ["audio", "video"]


def test_the_page_says_that_camera_and_microphone_are_on(own):
    assert own["recording"] == "Camera and microphone on"


def test_the_smiling_face_is_seen(own):
    assert max(own["scores"], key=own["scores"].get) == "Happy"


def test_speech_is_heard(own):
    assert own["spoke"]


def test_stop_ends_capture_and_session_at_once(own):
    assert {track["readyState"] for track in own["tracksAfter"]} == {"ended"}
    assert own["sentAfterStop"] == 0
    assert own["deleteStatus"] == 204
    assert own["recordingAfter"] == 0
    assert own["openSockets"] == 0
    assert own["stateAfter"] == "idle"


def test_no_request_leaves_the_product(own, deployment):
    addresses = deployment.addresses
    own_places = {_place(address) for address in (addresses.ingest, addresses.egress, addresses.analytics)}
    assert {_place(origin) for origin in own["origins"]} <= own_places


def test_the_page_runs_without_errors(own):
    assert own["errors"] == []


def test_a_session_is_watched_by_its_address_and_opens_no_device(deployment, sample, shots):
    seen = asyncio.run(_watched(deployment.addresses.ingest, sample, shots))
    assert max(seen["scores"], key=seen["scores"].get) == "Happy"
    assert seen["tracksDuring"] == []
    assert seen["mediaSent"] == 0
    assert not any("POST" in request for request in seen["requests"])
    assert seen["errors"] == []


async def _watched(url: str, sample: Sample, shots: Path) -> dict[str, Any]:
    """What a visitor sees who follows a link to the sample session while it plays."""
    stop = asyncio.Event()
    opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        play(sample.video, sample.audio, url, loop=True, follow=False, opened=opened.set_result, stop=stop)
    )
    try:
        session = await opened
        address = f"{url}/#session={session.session_id}&token={session.token}"
        return await asyncio.to_thread(visit, "watch", address, None, shots)
    finally:
        stop.set()
        await playing


def _place(address: str) -> str:
    """Host and port."""
    return httpx.URL(address).netloc.decode()
