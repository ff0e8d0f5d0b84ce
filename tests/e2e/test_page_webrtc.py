"""WebRTC in a real browser: UDP that is blocked, an edge that restarts, WHIP clients that are not ours."""

import httpx
import pytest

from cli.roles import RoleName
from tests.support.browser import publish, visit

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def blocked(deployment, devices, shots):
    """A person's own session on a network that lets no UDP through."""
    return visit("own", deployment.addresses.ingest, devices, shots / "blocked", udp=False)


def test_without_udp_the_page_goes_over_to_the_websocket_and_says_so(blocked):
    assert blocked["transport"] == "WebSocket"
    assert any("WebSocket" in notice for notice in blocked["notices"])
    assert any(path.endswith("/media") for path in blocked["sockets"])
    assert any(path.endswith("/avatar") for path in blocked["sockets"])


def test_without_udp_the_same_session_goes_on(blocked):
    assert sum(request == "POST /v1/sessions" for request in blocked["requests"]) == 1
    assert blocked["mediaDuring"] > 30
    assert max(blocked["scores"], key=blocked["scores"].get) == "Happy"
    assert blocked["spoke"]
    assert blocked["pictures"]["sent"] == 0


def test_without_udp_stop_ends_everything_too(blocked):
    assert {track["readyState"] for track in blocked["tracksAfter"]} == {"ended"}
    assert blocked["deleteStatus"] == 204
    assert blocked["openSockets"] == blocked["openPeers"] == 0


def test_the_page_finds_its_session_again_when_the_edge_was_killed(deployment, devices, shots):
    pid = deployment.supervisor.children[RoleName.INGEST.value].process.pid
    seen = visit("restart", deployment.addresses.ingest, devices, shots, kill=pid)
    assert seen["sessions"] == 1
    assert seen["offers"] >= 2
    assert seen["peersAfter"] > seen["peersBefore"]
    assert seen["recording"] == "Camera and microphone on"
    assert max(seen["scores"], key=seen["scores"].get) == "Happy"


def test_another_microphone_is_taken_while_the_session_goes_on(deployment, devices):
    seen = visit("devices", deployment.addresses.ingest, devices)
    assert [track["readyState"] for track in seen["tracksDuring"] if track["kind"] == "audio"] == ["ended", "live"]
    assert [track["readyState"] for track in seen["tracksDuring"] if track["kind"] == "video"] == ["live"]
    assert seen["peersDuring"] == 1
    assert seen["picturesSent"] > 0
    assert seen["troubles"] == []


@pytest.mark.parametrize("client", ["whip-whep", "eyevinn"])
def test_a_whip_client_that_is_not_ours_publishes_a_session(deployment, devices, client):
    ingest = deployment.addresses.ingest
    answer = httpx.post(f"{ingest}/v1/sessions", json={"consent": {"audio": True, "video": True}})
    answer.raise_for_status()
    seen = publish(client, ingest, answer.json(), devices, "happy")
    assert seen["emotion"] == "happy"
    assert seen["spoke"]
    assert "POST 201" in seen["requests"]
    assert "DELETE 200" in seen["requests"]
    # The viewer hears of the end.
    assert seen["closeCode"] == 4410
