"""On-device clients of an edge: what they send, and what came of it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from runtime.settings import Settings
from schemas.features import face_payload, speech_payload
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import FaceSignal, LedgerEntry, Signal, SpeechSignal
from schemas.topics import LEDGER
from tests.support.edges import Running, log_of
from tests.support.signals import face_signal, speech_signal

HOP_US = 40_000
BOTH = {"audio": True, "video": True}
ENGINE = "engine@1"


def face(sequence: int, at_us: int, *, inference_us: int = 10_000) -> bytes:
    """Face features of one picture of a smiling face, framed."""
    payload = face_payload(face_signal(3.0, random.Random(1)), engine=ENGINE, inference_us=inference_us)
    return MediaMessage(MediaKind.FACE_FEATURES, sequence, at_us, payload).to_bytes()


def hop(sequence: int, ends_us: int) -> bytes:
    """Speech features of 40 ms of silence that end at an instant, framed."""
    payload = speech_payload(speech_signal(2.5, random.Random(1)), engine=ENGINE, inference_us=2_000)
    return MediaMessage(MediaKind.SPEECH_FEATURES, sequence, ends_us, payload).to_bytes()


def start(edge: Running, *, on_device: dict[str, bool] | None = None, **body: Any) -> dict[str, Any]:
    """A session that analyses both modalities itself, unless told otherwise."""
    wanted = {"consent": BOTH, "on_device": on_device or {"face": True, "speech": True}, **body}
    answer = httpx.post(f"{edge.url}/v1/sessions", json=wanted, trust_env=False)
    assert answer.status_code == 201, answer.text
    opened: dict[str, Any] = answer.json()
    return opened


@asynccontextmanager
async def media(opened: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    """The media connection once the edge knows this machine's clock."""
    async with connect(f"{opened['media_url']}?token={opened['token']}", compression=None, proxy=None) as socket:
        answered = 0
        while answered < 3:
            message = orjson.loads(await socket.recv())
            if message["type"] == "clock_probe":
                await socket.send(orjson.dumps(message | {"type": "clock", "client_us": now_us()}).decode())
                answered += 1
        yield socket


def now_us() -> int:
    return time.time_ns() // 1_000


async def closing(socket: ClientConnection) -> list[dict[str, Any]]:
    """Ends the session; the messages until the connection closes."""
    await socket.send('{"type":"end"}')
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(25):
        try:
            while True:
                messages.append(orjson.loads(await socket.recv()))
        except ConnectionClosed:
            return messages


def outcomes(settings: Settings, count: int) -> Counter[tuple[str, str]]:
    """What the edge's ledger says once it accounts for so many items."""
    with log_of(settings, LEDGER, LedgerEntry) as ledger:
        entries = ledger.until(lambda found: sum(e.count for e in found) >= count, deadline_s=20)
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        counted[entry.modality, entry.outcome] += entry.count
    return counted


def features_of(records: list[Signal], kind: type[FaceSignal] | type[SpeechSignal]) -> list[Signal]:
    return [record for record in records if isinstance(record.payload, kind)]
