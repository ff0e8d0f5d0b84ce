"""ICE restarts under a connection of real media and data, without an edge."""

import asyncio

import pytest

from ingest.webrtc.offer import new_credentials, parse_fragment, restart_answer
from ingest.webrtc.restart import Restart, restartable
from tests.support.ice import leave_network, restart_ice
from tests.support.webrtc_pair import Pair, connected


class Restartable:
    """The receiver of a pair, which restarts when it is asked to."""

    def __init__(self, pair: Pair) -> None:
        self.ice = pair.receiver.sctp.transport.transport._connection
        self._description = pair.receiver.localDescription.sdp
        self._restart: Restart | None = None
        self.runs: list[asyncio.Task[bool]] = []
        take_check = self.ice.request_received

        def request_received(*arguments: object) -> None:
            if self._restart is None or not self._restart.take(*arguments):
                take_check(*arguments)

        self.ice.request_received = request_received

    async def negotiate(self, asked: str) -> str:
        """Begin a restart; the fragment that answers."""
        assert restartable(self.ice)
        self._restart = Restart(self.ice, *new_credentials(parse_fragment(asked)))
        self.runs.append(asyncio.create_task(self._restart.run()))
        return restart_answer(self._description, self._restart.user_fragment, self._restart.password)


async def test_media_and_data_go_on_over_other_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        other = Restartable(pair)
        ours = pair.sender.getSenders()[0].transport.transport._connection
        there: list[str] = []
        back: list[str] = []
        pair.answered.on("message", there.append)
        pair.offered.on("message", back.append)
        for number in range(3):
            leave_network(ours)
            assert await restart_ice(ours, other.negotiate)
            assert await other.runs[-1]
            pictures, sounds = len(pair.sink.pictures), len(pair.sink.sounds)
            pair.offered.send(f"there {number}")
            pair.answered.send(f"back {number}")
            await pair.until(
                lambda p=pictures, s=sounds: len(pair.sink.pictures) > p + 5 and len(pair.sink.sounds) > s + 5,
                "media after the restart",
            )
            assert (there[-1], back[-1]) == (f"there {number}", f"back {number}")
        assert pair.receiver.connectionState == pair.sender.connectionState == "connected"


async def test_one_that_is_given_up_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        other = Restartable(pair)
        nominated = dict(other.ice._nominated)
        before = other.ice.local_username, other.ice.remote_username, list(other.ice._protocols)
        await other.negotiate("a=ice-ufrag:nobody\r\na=ice-pwd:0123456789012345678901\r\n")
        await asyncio.sleep(0.2)  # its checks go unanswered for a while; nothing tells when
        other.runs[-1].cancel()
        await asyncio.wait(other.runs)
        assert (other.ice.local_username, other.ice.remote_username, list(other.ice._protocols)) == before
        assert other.ice._nominated == nominated
        pictures = len(pair.sink.pictures)
        await pair.until(lambda: len(pair.sink.pictures) > pictures + 5, "media as before")


async def test_nothing_is_restarted_that_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        ice = pair.receiver.sctp.transport.transport._connection
        assert restartable(ice)
        await ice.close()
        assert not restartable(ice)
