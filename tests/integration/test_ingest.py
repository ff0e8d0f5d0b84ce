"""The ingest edge against a real broker: consent, hostile input, reconnecting, ending."""

import asyncio
import contextlib
import time
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from client import Session, SessionRefused
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import AudioChunk, ClientEvent, LedgerEntry, SessionEnded, SessionStarted, Signal, VideoFrame
from schemas.topics import CLIENT_EVENTS, LEDGER, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from tests.support.edges import Running, ingest, log_of
from tests.support.pictures import jpeg, tone
from tests.support.processes import RoleProcess, free_port


def now_us() -> int:
    return time.time_ns() // 1_000


def start(running: Running, **consent: bool) -> dict[str, Any]:
    """A session over plain HTTP."""
    answer = httpx.post(f"{running.url}/v1/sessions", json={"consent": consent}, trust_env=False)
    assert answer.status_code == 201, answer.text
    return answer.json()


def delete(running: Running, session_id: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.delete(f"{running.url}/v1/sessions/{session_id}", headers=headers, trust_env=False)


def healthy(running: Running) -> bool:
    return httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200


def media(opened: dict[str, Any], **kwargs: Any) -> Any:
    return connect(f"{opened['media_url']}?token={opened['token']}", compression=None, proxy=None, **kwargs)


def picture(sequence: int, payload: bytes | None = None) -> bytes:
    return MediaMessage(MediaKind.JPEG, sequence, now_us(), payload or jpeg()).to_bytes()


def chunk(sequence: int, payload: bytes | None = None) -> bytes:
    return MediaMessage(MediaKind.PCM16, sequence, now_us(), payload or tone()).to_bytes()


async def until_closed(socket: ClientConnection) -> tuple[int, str, list[dict[str, Any]]]:
    """Close code, reason, and the messages before."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(25):
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(orjson.loads(await socket.recv()))
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or "", messages


async def wait_for(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            message = orjson.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def test_a_deployment_s_fusion_parameters_are_recorded_where_a_session_does_not_say_others(
    settings: Settings,
) -> None:
    own = settings.model_copy(update={"fusion_parameters": "max_wait_ms=50,tau_face_ms=30"})
    with ingest(own) as running:
        said = await Session.create(running.url, video=True, parameters={"tau_face_ms": 20.0})
        with log_of(settings, SIGNALS, Signal) as log:
            (begun,) = log.until(lambda found: len(found) == 1)
    assert begun.session_id == said.session_id
    assert isinstance(begun.payload, SessionStarted)
    recorded = begun.payload.config.parameters
    assert (recorded["max_wait_ms"], recorded["tau_face_ms"], recorded["live_ms"]) == (50.0, 20.0, 500.0)


@pytest.mark.parametrize("audio, video", [(False, False), (True, False), (False, True), (True, True)])
async def test_only_consented_modalities_are_forwarded(settings: Settings, audio: bool, video: bool) -> None:
    with ingest(settings) as running:
        opened = start(running, audio=audio, video=video)
        async with media(opened) as socket:
            for i in range(10):
                await socket.send(chunk(i))
                await socket.send(picture(i))
                await asyncio.sleep(0.005)  # paces pictures, as a camera does
            if not audio or not video:
                notice = await wait_for(socket, "notice")
                assert notice["code"] == "no_consent"
            await socket.send('{"type":"end"}')
            code, _, _ = await until_closed(socket)
            assert code == 1000
        with log_of(settings, LEDGER, LedgerEntry) as ledger:
            entries = ledger.until(lambda found: sum(e.count for e in found) == 20)
        counted = {}
        for entry in entries:
            counted[entry.modality, entry.outcome] = counted.get((entry.modality, entry.outcome), 0) + entry.count
        assert counted.get(("speech", "used"), 0) == (10 if audio else 0)
        assert counted.get(("speech", "no_consent"), 0) == (0 if audio else 10)
        assert counted.get(("face", "no_consent"), 0) == (0 if video else 10)
        used = counted.get(("face", "used"), 0)
        assert used + counted.get(("face", "replaced_by_newer"), 0) == (10 if video else 0)
        with log_of(settings, MEDIA_AUDIO, AudioChunk) as sound, log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures:
            sound.until(lambda found: len(found) == (10 if audio else 0))
            pictures.until(lambda found: len(found) == used)
            for record in (*sound.records, *pictures.records):
                assert record.session_id == opened["session_id"]
                assert record.received_at_us - 5_000_000 <= record.captured_at_us <= record.received_at_us
                assert record.ingested_at_us >= record.received_at_us
            assert [record.sequence for record in sound.records] == list(range(len(sound.records)))
            assert all((record.width, record.height) == (64, 48) for record in pictures.records)


def test_a_session_starts_and_ends_once_in_the_log(settings: Settings) -> None:
    with ingest(settings) as running, log_of(settings, SIGNALS, Signal) as signals:
        opened = start(running, audio=True)
        started = signals.until(len)[0]
        assert isinstance(started.payload, SessionStarted)
        assert (started.payload.audio_consented, started.payload.video_consented) == (True, False)
        assert started.payload.speech_expected
        assert not started.payload.face_expected
        url = f"{running.url}/v1/sessions/{opened['session_id']}"
        bearer = {"Authorization": f"Bearer {opened['token']}"}
        assert httpx.delete(url, headers=bearer, trust_env=False).status_code == 204
        assert httpx.delete(url, headers=bearer, trust_env=False).status_code == 204
        ended = signals.until(lambda found: len(found) == 2)[1]
        assert ended.payload == SessionEnded("deleted")
    with log_of(settings, SIGNALS, Signal) as signals:
        assert len(signals.until(lambda found: len(found) >= 2)) == 2


@pytest.mark.parametrize(
    "body, status, code",
    [
        ({"consent": {"audio": "yes"}}, 422, "invalid_request"),
        ({"consents": {}}, 422, "invalid_request"),
        ({"parameters": {"no_such": 1.0}}, 422, "invalid_parameters"),
        ({"parameters": {"mouth_on": 7.0}}, 422, "invalid_parameters"),
        ({"subject": "x" * 20_000}, 413, "too_large"),
    ],
)
def test_requests_that_cannot_be_used_say_why(settings: Settings, body: Any, status: int, code: str) -> None:
    with ingest(settings) as running:
        answer = httpx.post(f"{running.url}/v1/sessions", json=body, trust_env=False)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["detail"]


def test_the_pages_around(settings: Settings) -> None:
    told = settings.model_copy(update={"public_egress_url": "http://e:1", "public_analytics_url": "http://a:2"})
    with ingest(told) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        assert http.get("/v1/client-config").json() == {"egress_url": "http://e:1", "analytics_url": "http://a:2"}
        assert http.get("/healthz").json() == {"ready": True, "sessions": 0}
        assert http.get("/").status_code in {200, 503}  # 503: the page was not built, and it says so
        assert "<html" in http.get("/").text
        assert http.get("/../pyproject.toml").status_code == 404
        assert http.get("/%2e%2e/pyproject.toml").status_code == 404
        assert http.get("/nothing").headers["content-type"] == "application/problem+json"
        foreign = http.post("/v1/sessions", json={}, headers={"Origin": "https://evil.example"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "origin")
        own = http.post("/v1/sessions", json={}, headers={"Origin": running.url})
        assert own.status_code == 201
        assert own.json()["avatar_url"].startswith("ws://e:1/v1/sessions/")


async def test_tokens_open_their_own_session_only(settings: Settings) -> None:
    with ingest(settings) as running:
        mine, other = start(running, audio=True), start(running, audio=True)
        now_s = int(time.time())
        stale = Tokens(settings.token_key).issue(
            Grant(mine["session_id"], "default", frozenset({"audio", "manage"}), now_s - 1), issued_at_s=now_s - 60
        )
        forged = Tokens("k" * 32).issue(
            Grant(mine["session_id"], "default", frozenset({"audio", "manage"}), now_s + 60), issued_at_s=now_s
        )
        watcher = Tokens(settings.token_key).issue(
            Grant(mine["session_id"], "default", frozenset({"watch"}), now_s + 60), issued_at_s=now_s
        )
        for token, code in (
            (other["token"], 4403),
            (watcher, 4403),
            (stale, 4401),
            (forged, 4401),
            ("rubbish", 4401),
            ("", 4401),
        ):
            async with connect(f"{mine['media_url']}?token={token}", compression=None, proxy=None) as socket:
                closed, reason, _ = await until_closed(socket)
                assert (closed, bool(reason)) == (code, True)
        for headers in ({}, {"Authorization": f"Bearer {other['token']}"}):
            answer = delete(running, mine["session_id"], headers)
            assert answer.status_code in {401, 403}
            assert answer.json()["code"] in {"missing_token", "wrong_session"}
        assert running.metric("rejected_total", reason="wrong_session") == 2
        # Header and subprotocol carry a token as well as the query does.
        async with connect(
            mine["media_url"],
            additional_headers={"Authorization": f"Bearer {mine['token']}"},
            compression=None,
            proxy=None,
        ) as socket:
            assert (await wait_for(socket, "welcome"))["session_id"] == mine["session_id"]
        async with connect(
            mine["media_url"], subprotocols=[f"bearer.{mine['token']}"], compression=None, proxy=None
        ) as socket:
            assert (await wait_for(socket, "welcome"))["consent"]["audio"] is True
            assert socket.subprotocol == f"bearer.{mine['token']}"


@pytest.mark.parametrize(
    "message, code",
    [
        (b"", 4400),
        (b"short", 4400),
        (b"\x09" + bytes(15) + b"payload", 4400),
        (b"\x01\x01" + bytes(14) + tone(), 4400),
        ("text garbage", 4400),
        ("[]", 4400),
        ('{"type":"launch"}', 4400),
        ('{"type":"clock","server_us":"x"}', 4400),
        ('{"type":"consent","audio":"no"}', 4400),
        ("x" * 5_000, 4400),
        (b"\x03" + bytes(1_200_000), 1009),
    ],
)
async def test_malformed_messages_close_with_a_reason(settings: Settings, message: bytes | str, code: int) -> None:
    with ingest(settings) as running:
        opened = start(running, audio=True, video=True)
        async with media(opened) as socket:
            await socket.send(message)
            closed, reason, _ = await until_closed(socket)
        assert closed == code
        assert reason or code == 1009
        assert healthy(running)


@pytest.mark.parametrize(
    "payload, code",
    [
        (picture(0, jpeg(900, 700, quality=95)), "too_large"),
        (picture(0, b"\xff\xd8\xff" + bytes(50)), "malformed"),
        (picture(0, b"not a jpeg"), "malformed"),
        (picture(0, jpeg(64, 48)[:12]), "malformed"),
        (chunk(0, tone(80)), "too_large"),
        (chunk(0, tone(10)), "malformed"),
        (chunk(0, tone(20) + b"x"), "malformed"),
        (MediaMessage(MediaKind.OPUS, 0, 0, b"\xff\xff\xff").to_bytes(), "malformed"),
    ],
)
async def test_one_bad_item_is_refused_and_the_session_goes_on(settings: Settings, payload: bytes, code: str) -> None:
    with ingest(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        opened = start(running, audio=True, video=True)
        async with media(opened) as socket:
            await socket.send(payload)
            notice = await wait_for(socket, "notice")
            assert (notice["code"], notice["sequence"], notice["count"]) == (code, 0, 1)
            assert notice["message"]
            await socket.send(chunk(1))
            await socket.send(chunk(1))
            assert (await wait_for(socket, "notice"))["code"] == "out_of_order"
            await socket.send('{"type":"end"}')
            await until_closed(socket)
        entries = ledger.until(lambda found: sum(entry.count for entry in found) == 3)
        assert {entry.outcome for entry in entries} == {code, "used", "out_of_order"}


async def test_too_fast_is_refused_and_then_closed(settings: Settings) -> None:
    with ingest(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        opened = start(running, video=True)
        sent = 0
        async with media(opened) as socket:
            try:
                for sent in range(1, 2_001):
                    await socket.send(picture(sent, jpeg(16, 16)))
            except ConnectionClosed:
                pass
            closed, reason, messages = await until_closed(socket)
        assert closed == 4429
        assert reason
        assert any(message.get("code") == "too_fast" for message in messages)
        entries = ledger.until(lambda found: any(entry.outcome == "too_fast" for entry in found))
        assert sum(entry.count for entry in entries if entry.outcome == "too_fast") >= 100


async def test_sequences_go_on_over_reconnects_and_a_newer_connection_wins(settings: Settings) -> None:
    with ingest(settings) as running, log_of(settings, MEDIA_AUDIO, AudioChunk) as sound:
        opened = start(running, audio=True)
        async with media(opened) as first:
            for i in range(5):
                await first.send(chunk(i))
            await wait_for(first, "ack")
            async with media(opened) as second:
                assert (await until_closed(first))[0] == 4409
                assert (await wait_for(second, "welcome"))["received"] == {"audio": 4, "video": None}
                for i in range(3, 8):
                    await second.send(chunk(i))
                sound.until(lambda found: len(found) == 8)
        assert [record.sequence for record in sound.records] == list(range(8))


async def test_consent_is_withdrawn_at_once_and_for_good(settings: Settings) -> None:
    with (
        ingest(settings) as running,
        log_of(settings, CLIENT_EVENTS, ClientEvent) as events,
        log_of(settings, SIGNALS, Signal) as signals,
    ):
        opened = start(running, audio=True, video=True)
        async with media(opened) as socket:
            await socket.send(chunk(0))
            await socket.send(picture(0))
            await socket.send('{"type":"consent","video":false}')
            answer = await wait_for(socket, "consent")
            assert (answer["audio"], answer["video"]) == (True, False)
            await socket.send(picture(1))
            assert (await wait_for(socket, "notice"))["code"] == "no_consent"
            await socket.send('{"type":"consent","video":true}')
            assert (await wait_for(socket, "notice"))["code"] == "consent"
        # The old token still says video: the edge remembers; and so does the new token, for an edge that does not.
        async with media(opened) as socket:
            assert (await wait_for(socket, "welcome"))["consent"]["video"] is False
        grant = Tokens(settings.token_key).verify(answer["token"], now_s=time.time(), audience="ingest")
        assert grant.scopes == {"audio", "watch", "manage"}
        async with media(opened) as socket:
            await socket.send('{"type":"consent","audio":false}')
            assert (await until_closed(socket))[0] == 4410
        found = events.until(lambda found: len(found) == 3)
        assert [(event.kind, event.detail) for event in found] == [
            ("consent_changed", "audio"),
            ("opt_out", ""),
            ("session_ended", "consent_withdrawn"),
        ]
        ended = signals.until(lambda found: len(found) == 2)[1]
        assert ended.payload == SessionEnded("consent_withdrawn")
        async with media(opened) as socket:
            assert (await until_closed(socket))[0] == 4410


async def test_client_clocks_are_mapped(settings: Settings) -> None:
    skew_us = -3_600_000_000  # the client's clock is an hour behind
    with ingest(settings) as running, log_of(settings, MEDIA_AUDIO, AudioChunk) as sound:
        async with await Session.create(running.url, audio=True, clock=lambda: now_us() + skew_us) as session:
            for _ in range(40):
                await session.send_audio(tone())
                await asyncio.sleep(0.02)
        records = sound.until(lambda found: len(found) == 40)
        for record in records[10:]:
            # The chunk ended when it was sent: its first sample is 20 ms older, give or take the machine's pauses.
            assert 15_000 <= record.received_at_us - record.captured_at_us <= 120_000


async def test_a_killed_edge_goes_on_with_its_sessions(settings: Settings) -> None:
    fixed = settings.model_copy(update={"port": free_port()})
    edge = RoleProcess("ingest", fixed)
    try:
        edge.start()
        async with await Session.create(f"http://127.0.0.1:{fixed.port}", audio=True) as session:
            for i in range(30):
                await session.send_audio(tone(start_ms=20 * i))
                await asyncio.sleep(0.02)
            edge.kill()
            for i in range(30, 50):
                await session.send_audio(tone(start_ms=20 * i))
            await asyncio.to_thread(edge.start)
            for i in range(50, 80):
                await session.send_audio(tone(start_ms=20 * i))
                await asyncio.sleep(0.02)
            assert await session.drained()
            assert session.reconnects == 1
            assert session.audio_counts.dropped == 0
        assert edge.stop() == 0
    finally:
        edge.kill()
    with log_of(settings, MEDIA_AUDIO, AudioChunk) as sound, log_of(settings, SIGNALS, Signal) as signals:
        sound.until(lambda found: {record.sequence for record in found} == set(range(80)))
        lifecycle = signals.until(lambda found: len(found) == 2)
        assert [type(signal.payload) for signal in lifecycle] == [SessionStarted, SessionEnded]


async def test_a_mere_restart_ends_no_session(settings: Settings) -> None:
    fixed = settings.model_copy(update={"port": free_port()})
    with ingest(fixed) as running:
        opened = start(running, audio=True)
        async with media(opened) as socket:
            await socket.send(chunk(0))
            await wait_for(socket, "ack")
            running.role.stop.set()
            assert (await until_closed(socket))[0] == 1012
    with ingest(fixed) as running, log_of(settings, SIGNALS, Signal) as signals:
        async with media(opened) as socket:
            await socket.send(chunk(1))
            assert (await wait_for(socket, "ack"))["audio"] == 1
        assert len(signals.until(len)) == 1


async def test_opus_becomes_pcm(settings: Settings) -> None:
    import av
    import numpy as np

    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    wave = (np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000) * 10_000).astype(np.int16)
    packets = []
    for i in range(50):
        frame = av.AudioFrame.from_ndarray(wave[None, i * 960 : (i + 1) * 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, i * 960
        packets.extend(bytes(packet) for packet in encoder.encode(frame))
    with ingest(settings) as running, log_of(settings, MEDIA_AUDIO, AudioChunk) as sound:
        async with await Session.create(running.url, audio=True) as session:
            for packet in packets:
                await session.send_opus(packet, now_us())
        records = sound.until(lambda found: len(found) == len(packets))
    assert {len(record.pcm) for record in records} == {640}
    heard = np.frombuffer(b"".join(record.pcm for record in records[5:]), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert abs(np.argmax(spectrum) * 16_000 / heard.size - 440) < 5
    assert 9_000 < np.abs(heard).max() < 11_500


async def test_the_client_hears_why_it_is_refused(settings: Settings) -> None:
    with ingest(settings) as running, pytest.raises(SessionRefused, match="no_such"):
        await Session.create(running.url, parameters={"no_such": 1.0})
