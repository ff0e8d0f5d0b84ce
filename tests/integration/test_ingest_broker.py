"""What clients of the edge see while the broker does not answer: a broker of this file's own is paused."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from cli.broker import EmbeddedKafka
from runtime.settings import Settings
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import AudioChunk, LedgerEntry
from schemas.topics import LEDGER, MEDIA_AUDIO
from tests.support.edges import ingest, log_of
from tests.support.paused_broker import broker_to_pause, send_until_given_up
from tests.support.pictures import jpeg, tone
from tests.support.waiting import eventually, eventually_async


@pytest.fixture
def paused(tmp_path: Path) -> Iterator[tuple[Settings, EmbeddedKafka]]:
    with broker_to_pause(tmp_path) as own:
        yield own


async def test_a_paused_broker_is_borne_then_said_and_nothing_is_lost(paused: tuple[Settings, EmbeddedKafka]) -> None:
    settings, broker = paused
    with ingest(settings) as running:
        async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=20) as http:
            body = {"consent": {"audio": True, "video": True}}
            opened = (await http.post("/v1/sessions", json=body)).json()
            sent = 0
            async with connect(
                f"{opened['media_url']}?token={opened['token']}", compression=None, proxy=None
            ) as socket:

                async def speak() -> None:
                    nonlocal sent
                    while True:
                        now_us = time.time_ns() // 1_000
                        await socket.send(MediaMessage(MediaKind.PCM16, sent, now_us, tone()).to_bytes())
                        await socket.send(MediaMessage(MediaKind.JPEG, sent, now_us, jpeg(seed=sent)).to_bytes())
                        sent += 1
                        await asyncio.sleep(0.02)

                await send_until_given_up(speak(), socket, broker, deadline_s=40)
                assert socket.close_code == 4503
                assert socket.close_reason == "Kafka does not answer: come back later"
            assert (await http.get("/healthz")).status_code == 503
            refused = await http.post("/v1/sessions", json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            os.kill(broker.pid, signal.SIGCONT)

            async def well() -> bool:
                """A session that starts is one that Kafka has acknowledged."""
                healthy = (await http.get("/healthz")).status_code == 200
                return healthy and (await http.post("/v1/sessions", json=body)).status_code == 201

            await eventually_async(well, deadline_s=40)
    with log_of(settings, LEDGER, LedgerEntry) as ledger, log_of(settings, MEDIA_AUDIO, AudioChunk) as sound:
        counted: dict[str, int] = {}

        def accounted() -> bool:
            """The ledger is written in full when the edge stops: wait for the readers."""
            counted.clear()
            for entry in ledger.read():
                if entry.modality == "speech":
                    counted[entry.outcome] = counted.get(entry.outcome, 0) + entry.count
            return len(counted) > 1 and counted.get("used") == len(sound.read())

        eventually(accounted)
        # All that was read from the socket is accounted for, in order and without a hole; what the edge did not read
        # any more stayed with the client.
        assert set(counted) == {"used", "broker_unavailable"}
        assert [record.sequence for record in sound.records] == list(range(counted["used"]))
        pictures = [entry for entry in ledger.records if entry.modality == "face"]
        assert any(entry.outcome == "replaced_by_newer" for entry in pictures)
