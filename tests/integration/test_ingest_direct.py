"""Features over the direct way of a WebSocket: their order among other messages, backpressure, and every way to end."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from cli.broker import EmbeddedKafka
from ingest.role import MAX_MESSAGE_BYTES
from runtime.settings import Settings
from schemas.close_codes import CloseCode
from schemas.records import FaceSignal, LedgerEntry, Signal, SpeechSignal
from schemas.topics import LEDGER, SIGNALS
from tests.support.edges import Running, ingest, log_of
from tests.support.on_device_clients import HOP_US, closing, face, features_of, hop, media, now_us, outcomes, start
from tests.support.paused_broker import broker_to_pause, send_until_given_up
from tests.support.waiting import eventually, eventually_async


def in_pieces(message: bytes, *, pieces: int) -> list[bytes]:
    """What the client sends as one message in so many frames."""
    size = -(-len(message) // pieces)
    return [message[at : at + size] for at in range(0, len(message), size)]


def signals(settings: Settings, count: int, kind: type[FaceSignal] | type[SpeechSignal]) -> list[Signal]:
    """The features in the log once there are so many, in its order."""
    with log_of(settings, SIGNALS, Signal) as log:
        log.until(lambda found: len(features_of(found, kind)) >= count, deadline_s=20)
        return features_of(log.records, kind)


async def test_fragments_and_control_messages_keep_their_places(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge, timeline="recorded")  # of which no picture makes room for a newer one
        async with media(opened) as socket:
            for i in range(0, 60, 3):
                at_us = i * HOP_US
                await socket.send(face(i, at_us))
                await socket.send(in_pieces(face(i + 1, at_us), pieces=3))
                await socket.send(f'{{"type":"clock","server_us":{i},"client_us":{at_us}}}')
                await socket.ping()
                await socket.send(face(i + 2, at_us))
            # What comes after this is refused, what came before is not, however closely they follow each other.
            await socket.send('{"type":"consent","video":false}')
            await socket.send(face(60, 60 * HOP_US))
            await socket.send(hop(0, 60 * HOP_US))
            messages = await closing(socket)
        counted = outcomes(settings, 62)
        assert edge.metric("bytes_in_total", modality="face") >= 61 * len(face(0, 0))
        assert edge.metric("records_out_total", topic="signals") >= 61
    assert counted == {("face", "used"): 60, ("face", "no_consent"): 1, ("speech", "used"): 1}
    assert [each.sequence for each in signals(settings, 60, FaceSignal)] == list(range(60))
    assert [message["code"] for message in messages if message["type"] == "notice"] == ["no_consent"]


async def test_what_was_sent_before_the_client_goes_is_taken(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            for i in range(7):
                await socket.send(face(i, now_us()))
            await socket.close()
        assert outcomes(settings, 7) == {("face", "used"): 7}


@pytest.mark.parametrize(
    "message, code, outcome",
    [
        (b"\x04\x00\x00\x00", CloseCode.MALFORMED, "malformed"),
        (b"\x04\x01" + face(5, 0)[2:], CloseCode.MALFORMED, "malformed"),
        (b"\x09" + face(5, 0)[1:], CloseCode.MALFORMED, "malformed"),
        ("no object", CloseCode.MALFORMED, "malformed"),
        (bytes(MAX_MESSAGE_BYTES + 1), 1009, "too_large"),
    ],
)
async def test_a_bad_message_ends_the_connection_and_what_follows_is_not_taken(
    settings: Settings, message: bytes | str, code: int, outcome: str
) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            await socket.send(face(0, now_us()))
            await socket.send(message)
            await socket.wait_closed()
            assert socket.close_code == code
        async with media(opened) as socket:
            await socket.send(face(1, now_us()))
            await closing(socket)
        assert outcomes(settings, 3) == {("face", "used"): 2, ("", outcome): 1}


async def test_a_newer_connection_takes_over_between_two_messages(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as old:
            await old.send(face(0, now_us()))
            async with media(opened) as new:
                await old.wait_closed()
                assert old.close_code == CloseCode.REPLACED
                await new.send(face(1, now_us()))
                await closing(new)
        assert outcomes(settings, 2) == {("face", "used"): 2}


@pytest.fixture
def paused(tmp_path: Path) -> Iterator[tuple[Settings, EmbeddedKafka]]:
    with broker_to_pause(tmp_path) as own:
        yield own


async def send_recording(socket: ClientConnection, count: int, sent: dict[str, int]) -> None:
    """Features of a recording as fast as they are taken."""
    for i in range(count):
        await socket.send(face(i, i * HOP_US))
        await socket.send(hop(i, (i + 1) * HOP_US))
        sent["pairs"] = i + 1


async def test_a_recording_is_sent_no_faster_than_kafka_takes_it(paused: tuple[Settings, EmbeddedKafka]) -> None:
    settings, broker = paused
    count = 12_000
    with ingest(settings) as edge:
        opened = start(edge, timeline="recorded")
        async with media(opened) as socket:
            sent = {"pairs": 0}
            # As little as can be shall be under way between client and edge.
            socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 65_536)
            sending = asyncio.create_task(send_recording(socket, count, sent))
            while sent["pairs"] < 500:  # noqa: ASYNC110 - the sender says how far it is
                await asyncio.sleep(0.01)
            os.kill(broker.pid, signal.SIGSTOP)
            await asyncio.sleep(2)
            held = sent["pairs"]
            await asyncio.sleep(2)
            assert sent["pairs"] == held < count  # the edge reads no more, and TCP slows the client down
            os.kill(broker.pid, signal.SIGCONT)
            await asyncio.wait_for(sending, 60)
            await closing(socket)
        assert outcomes(settings, 2 * count) == {("face", "used"): count, ("speech", "used"): count}
    assert [each.sequence for each in signals(settings, count, FaceSignal)] == list(range(count))
    hops = [each.sequence for each in signals(settings, count, SpeechSignal)]
    assert hops == list(range(hops[0], hops[0] + count))


async def starts(edge: Running) -> bool:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False, timeout=20) as http:
        return (await http.post("/v1/sessions", json={"consent": {"audio": True}})).status_code == 201


async def test_a_broker_that_stays_away_ends_the_connection(paused: tuple[Settings, EmbeddedKafka]) -> None:
    settings, broker = paused
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            sent = 0

            async def live() -> None:
                nonlocal sent
                while True:
                    await socket.send(face(sent, now_us()))
                    await socket.send(hop(sent, now_us()))
                    sent += 1
                    await asyncio.sleep(0.04)

            await send_until_given_up(live(), socket, broker, deadline_s=60)
            assert socket.close_code == CloseCode.UNAVAILABLE
        os.kill(broker.pid, signal.SIGCONT)
        # A session that starts is one that Kafka has acknowledged.
        await eventually_async(lambda: starts(edge), deadline_s=40)
    with log_of(settings, LEDGER, LedgerEntry) as ledger, log_of(settings, SIGNALS, Signal) as log:
        counted: dict[tuple[str, str], int] = {}

        def accounted() -> bool:
            counted.clear()
            for entry in ledger.read():
                counted[entry.modality, entry.outcome] = counted.get((entry.modality, entry.outcome), 0) + entry.count
            records = log.read()
            return all(
                counted.get((name, "used")) == len(features_of(records, kind))
                for name, kind in (("face", FaceSignal), ("speech", SpeechSignal))
            )

        eventually(accounted, deadline_s=20, what=lambda: str(counted))
        faces, hops = features_of(log.records, FaceSignal), features_of(log.records, SpeechSignal)
    assert counted["face", "replaced_by_newer"] > 0
    assert counted["speech", "broker_unavailable"] > 0
    assert sum(count for (name, _), count in counted.items() if name == "speech") <= sent
    for records in (faces, hops):
        assert [each.sequence for each in records] == sorted({each.sequence for each in records})
