"""The page's on-device mode in a real browser and the running product: what leaves the page, what comes back."""

from typing import Any

import httpx
import pytest

from tests.support.browser import on_device

pytestmark = pytest.mark.timeout(600)

FEATURES = {"4", "5"}
"""Kinds of the media framing that are features; 1 to 3 would be media."""

LARGEST_FEATURES = 16 + 388 + 48


@pytest.fixture(scope="module", params=[False, True], ids=["over the WebSocket", "over WebRTC"])
def seen(request, deployment, devices) -> dict[str, Any]:
    return on_device(deployment.addresses.ingest, devices, udp=request.param) | {"udp": request.param}


def test_the_avatar_smiles_and_speaks_with_the_person(seen):
    assert seen["smile"] > 0.5
    assert seen["spoken"] > 0.5


def test_features_of_face_and_speech_leave_the_page_and_nothing_else(seen):
    kinds = seen["socketKinds"] | seen["channelKinds"]
    assert kinds.keys() == FEATURES
    assert seen["senders"] == 0, "a camera or microphone was offered over WebRTC"
    # Offers, the only other thing of that size, hold no media.
    if not seen["udp"]:
        assert seen["largest"] < max(LARGEST_FEATURES, 4_096)


def test_the_page_talks_to_its_own_product_only(seen, deployment):
    addresses = deployment.addresses
    own = {httpx.URL(a).netloc for a in (addresses.ingest, addresses.egress, addresses.analytics)}
    assert {httpx.URL(origin).netloc for origin in seen["origins"]} <= own
    # The landmarker's code and model came from there, too: they were among the requests that were seen.
    assert any(request.endswith(".wasm") for request in seen["requests"])
    assert "GET /v1/models/face_landmarker.task" in seen["requests"]


def test_the_page_runs_without_errors(seen):
    assert seen["errors"] == []
    assert set(seen["notices"]) <= {"too_fast"}, "the edge refused something"
