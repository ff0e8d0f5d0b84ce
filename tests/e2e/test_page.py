"""The page in a real browser against the whole running product."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.deployment import Deployment
from cli.links import wall_link
from cli.sample import Sample
from client import Session, play
from runtime.clock import SystemClock
from tests.support.browser import visit

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def own(deployment, devices, shots):
    """A person's own session: consent by keyboard, camera and microphone, a rating, stop."""
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
    assert seen["peersDuring"] == 0


def test_media_goes_out_and_frames_come_back(own):
    assert own["transport"] == "WebRTC"
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


def test_the_wearer_is_asked_what_they_feel(own):
    rated, told = own["ratings"]
    assert (rated["value"], told["felt"]) == (4, "happy")
    assert "value" not in told
    assert told["sequence"] >= rated["sequence"] > 0


def test_stop_ends_capture_and_session_at_once(own):
    assert {track["readyState"] for track in own["tracksAfter"]} == {"ended"}
    assert own["sentAfterStop"] == 0
    assert own["deleteStatus"] == 204
    assert own["recordingAfter"] == 0
    assert own["openSockets"] == 0
    assert own["openPeers"] == 0
    assert own["stateAfter"] == "idle"


def test_no_request_leaves_the_product(own, deployment):
    addresses = deployment.addresses
    own_places = {_place(address) for address in (addresses.ingest, addresses.egress, addresses.analytics)}
    assert {_place(origin) for origin in own["origins"]} <= own_places


def test_the_page_runs_without_errors(own):
    assert own["errors"] == []


def test_a_session_is_watched_by_its_address_and_opens_no_device(deployment, sample, shots):
    seen = asyncio.run(_seen_while_playing("watch", deployment, sample, shots))
    assert max(seen["scores"], key=seen["scores"].get) == "Happy"
    assert seen["tracksDuring"] == []
    assert seen["mediaSent"] == 0
    assert seen["peersDuring"] == 0
    assert not any("POST" in request for request in seen["requests"])
    assert seen["errors"] == []


def test_the_wall_shows_whoever_is_on_and_opens_no_device(deployment, sample, shots):
    seen = asyncio.run(_seen_while_playing("wall", deployment, sample, shots))
    assert seen["session"] == seen["played"]
    assert seen["flat"] == "false"
    assert max(seen["scores"], key=seen["scores"].get) == "Happy"
    assert seen["tracksDuring"] == []
    assert sum("/v1/wall" in path for path in seen["sockets"]) == 1
    assert len(seen["sockets"]) == 1
    assert not any("POST" in request for request in seen["requests"])
    assert seen["errors"] == []


async def _seen_while_playing(kind: str, deployment: Deployment, sample: Sample, shots: Path) -> dict[str, Any]:
    """What a visitor sees who follows a link to the sample session, or to the wall, while it plays."""
    url = deployment.addresses.ingest
    stop = asyncio.Event()
    opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        play(sample.video, sample.audio, url, loop=True, follow=False, opened=opened.set_result, stop=stop)
    )
    try:
        session = await opened
        if kind == "wall":
            address = wall_link(deployment.settings, SystemClock(), url, ttl_s=600)
        else:
            address = f"{url}/#session={session.session_id}&token={session.token}"
        return {"played": session.session_id, **await asyncio.to_thread(visit, kind, address, None, shots)}
    finally:
        stop.set()
        await playing


def _place(address: str) -> str:
    """Host and port."""
    return httpx.URL(address).netloc.decode()
