"""The short way of data channels over a real connection: what it sends, what it leaves to aiortc, and under loss."""

import asyncio
import gc
import weakref

import pytest

from ingest.webrtc.datapath import SCTP_FIELDS, DataPath
from tests.support.webrtc_pair import connected

ROUND = 40


class Lossy:
    """What a transport's datagrams of data channels go through."""

    def __init__(self, transport):
        self._transport, self._sendto = transport, transport.sendto
        self.drop = set()
        self.count = 0

    def sendto(self, data, address):
        if 20 <= data[0] <= 63:
            self.count += 1
            if self.count in self.drop:
                return
        self._sendto(data, address)

    def __getattr__(self, name):
        return getattr(self._transport, name)


def loss_on(connection):
    """The network behind a connection's data."""
    pair = connection.sctp.transport.transport._connection._nominated[1]
    lossy = Lossy(pair.protocol.transport)
    pair.protocol.transport = lossy
    return lossy


async def exchanged(pair, count, *, size=200):
    """Send numbered messages one way, with pauses so that acknowledgements come; what arrived, and how many at once."""
    came, at_once = [], 0
    pair.offered.on("message", came.append)
    path = DataPath.of(pair.receiver.sctp.transport)
    for number in range(count):
        message = b"%6d" % number + bytes(size)
        if path.send(pair.answered, message):
            at_once += 1
        else:
            pair.answered.send(message)
        await asyncio.sleep(0.005)
    return came, at_once


async def test_messages_leave_at_once_and_are_acknowledged(monkeypatch):
    async with connected(monkeypatch) as pair:
        came, at_once = await exchanged(pair, ROUND)
        sctp = pair.receiver.sctp
        await pair.until(lambda: len(came) == ROUND, "all messages")
        await pair.until(lambda: not sctp._sent_queue and sctp._flight_size == 0, "their acknowledgements")
        assert [int(message[:6]) for message in came] == list(range(ROUND))
        assert at_once > ROUND * 3 // 4
        assert sctp._t3_handle is None


async def test_text_stays_text_and_what_comes_back_is_heard(monkeypatch):
    async with connected(monkeypatch) as pair:
        came, back = [], []
        pair.offered.on("message", came.append)
        pair.answered.on("message", back.append)
        assert DataPath.of(pair.receiver.sctp.transport).send(pair.answered, "a ä")
        for number in range(ROUND):
            pair.offered.send(f"{number}" * 1_000)  # of several packets
        await pair.until(lambda: len(back) == ROUND, "the other way")
        assert came == ["a ä"]
        assert sorted(len(message) for message in back) == sorted(len(f"{number}") * 1_000 for number in range(ROUND))
        assert pair.sink.others > 0


@pytest.mark.parametrize("drop", [{3}, {3, 4, 5, 20}, set(range(5, 15))])
async def test_what_is_lost_stays_lost_and_the_rest_goes_on(monkeypatch, drop):
    async with connected(monkeypatch) as pair:
        network = loss_on(pair.receiver)
        network.drop = drop
        came, _ = await exchanged(pair, ROUND)
        sctp = pair.receiver.sctp
        # Unreliable: aiortc gives lost ones up and says so, by its own timer where need be.
        await pair.until(lambda: not sctp._sent_queue and not sctp._outbound_queue, "every message settled")
        after = len(came)
        network.drop = set()
        more, at_once = await exchanged(pair, ROUND)
        await pair.until(lambda: len(more) >= ROUND, "messages after the loss")
        assert after >= ROUND - len(drop) - 1
        assert at_once > 0
        assert sctp._flight_size >= 0


async def test_lost_acknowledgements_are_made_up_for_by_later_ones(monkeypatch):
    async with connected(monkeypatch) as pair:
        loss_on(pair.sender).drop = {2, 3, 7, 8, 9}
        came, _ = await exchanged(pair, ROUND)
        await pair.until(lambda: len(came) == ROUND, "all messages")
        sctp = pair.receiver.sctp
        await pair.until(lambda: not sctp._sent_queue, "their acknowledgements")


async def test_what_does_not_fit_is_left_to_aiortc(monkeypatch):
    async with connected(monkeypatch) as pair:
        path = DataPath.of(pair.receiver.sctp.transport)
        assert not path.send(pair.answered, bytes(2_000))
        assert not path.send(pair.answered, b"")
        sent = 0
        while path.send(pair.answered, bytes(1_000)):  # until the congestion window is full
            sent += 1
        assert 0 < sent < 20
        await pair.until(lambda: not pair.receiver.sctp._sent_queue, "room again")
        ordered = pair.receiver.createDataChannel("ordered")
        assert not path.send(ordered, b"x")


async def test_the_peers_farewell_is_heard(monkeypatch):
    async with connected(monkeypatch) as pair:
        await exchanged(pair, 5)
        transport = pair.receiver.sctp.transport
        await pair.sender.close()
        await pair.until(lambda: transport.state == "closed", "the end")
        assert not DataPath.of(transport).send(pair.answered, b"late")


async def test_a_closed_transport_is_freed_with_its_path(monkeypatch):
    async with connected(monkeypatch) as pair:
        await exchanged(pair, 3)
        watched = weakref.ref(pair.receiver.sctp.transport)
        path = weakref.ref(DataPath.of(pair.receiver.sctp.transport))
    del pair
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
    assert (watched(), path()) == (None, None)


async def test_what_is_used_of_aiortc_is_there(monkeypatch):
    async with connected(monkeypatch) as pair:
        assert [name for name in SCTP_FIELDS if not hasattr(pair.receiver.sctp, name)] == []
        monkeypatch.setattr("ingest.webrtc.datapath.SCTP_FIELDS", ("gone",))
        assert DataPath.of(pair.sender.sctp.transport) is None
