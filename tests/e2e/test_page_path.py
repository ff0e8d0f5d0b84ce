"""Browsers whose way to the edge is gone or changes, against an edge in this process and a real broker."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from ingest.webrtc import ice
from ingest.webrtc.peer import Peer
from runtime.settings import Settings
from schemas.records import SessionEnded, Signal, VideoFrame
from schemas.topics import MEDIA_VIDEO, SIGNALS
from tests.integration.test_whip import start
from tests.support.browser import require_browser, restart_ice, visit
from tests.support.edges import ingest, log_of
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.timeout(300)


class Network:
    """Between this process's edges and their peers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sockets: list[Any] = []
        prepare = Peer._prepare

        def watched(peer: Peer, transport: Any) -> None:
            prepare(peer, transport)
            self._sockets.append(transport.transport._connection)

        monkeypatch.setattr(Peer, "_prepare", watched)

    def cut(self) -> None:
        """Nothing goes to or comes from the peers of now any more."""
        for connection in self._sockets:
            for protocol in connection._protocols:
                protocol.datagram_received = lambda *_: None
                protocol.transport = _Cut(protocol.transport)


class _Cut:
    """A transport whose datagrams are lost."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def sendto(self, *_: Any) -> None:
        """Nothing leaves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_the_page_goes_on_over_another_way_by_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    require_browser()
    network = Network(monkeypatch)
    with (
        ingest(settings) as running,
        log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures,
        log_of(settings, SIGNALS, Signal) as signals,
    ):
        visiting = asyncio.create_task(asyncio.to_thread(visit, "path", running.url))
        await eventually_async(lambda: len(pictures.read()) > 60, deadline_s=60, what="the page's pictures")
        network.cut()
        seen = await visiting
        assert seen["sessions"] == 1
        assert seen["offers"] == 2
        assert seen["recording"] == "Camera and microphone on"
        # The browser may leave the edge too little of a shared machine; that is no matter of the way.
        assert [notice for notice in seen["notices"] if "the service is busy" not in notice] == []
        frames = pictures.read()
        assert len({frame.session_id for frame in frames}) == 1
        sequences = [frame.sequence for frame in frames]
        assert sequences == sorted(set(sequences))
        times = [frame.received_at_us for frame in frames]
        gap_s = max(later - earlier for earlier, later in pairwise(times)) / 1e6
        print(f"no pictures for {gap_s:.1f} s")  # noqa: T201 - a figure for who runs it by hand
        assert gap_s < 10
        assert not [one for one in signals.read() if one.payload == SessionEnded("idle")]


async def test_a_client_that_is_not_ours_restarts_ice(settings: Settings) -> None:
    require_browser()
    # This client joins several candidates of an answer with commas, which no browser reads: it is given one.
    address = next(iter(ice.interface_addresses()), "127.0.0.1")
    with (
        ingest(settings.model_copy(update={"ice_addresses": address})) as running,
        log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures,
    ):
        opened = start(running, audio=True, video=True)
        seen = await asyncio.to_thread(restart_ice, "whip-whep", running.url, opened)
        assert seen["state"] == "connected"
        assert seen["before"]["session"] != seen["after"]["session"]
        assert seen["after"]["pictures"] > seen["before"]["pictures"] + 60
        assert seen["requests"].count("POST 201") == 1
        assert "PATCH 200" in seen["requests"]
        # Of those that were sent over the new pair, too, most are in the log.
        await eventually_async(lambda: len(pictures.read()) > 60, deadline_s=20, what="pictures")
