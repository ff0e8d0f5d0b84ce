"""On-device sessions at the edge: features in, signals and fused frames out, and no media."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from client import Session
from runtime.settings import Settings
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import AudioChunk, AvatarFrame, FaceSignal, Signal, SpeechSignal, VideoFrame
from schemas.topics import AVATAR_FRAMES, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from schemas.vocabulary import BLENDSHAPES
from tests.support.edges import ingest, log_of
from tests.support.on_device_clients import (
    ENGINE,
    HOP_US,
    closing,
    face,
    features_of,
    hop,
    media,
    now_us,
    outcomes,
    start,
)
from tests.support.pictures import jpeg, tone
from tests.support.processes import running
from tests.support.signals import face_signal, speech_signal


async def test_features_become_signals_without_a_worker(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            for i in range(20):
                at_us = now_us()
                await socket.send(face(i, at_us - 15_000, inference_us=10_000))
                await socket.send(hop(i, at_us - 4_000))
                await asyncio.sleep(0.04)
            await closing(socket)
        with log_of(settings, SIGNALS, Signal) as log:
            log.until(lambda found: len(found) == 42, deadline_s=20)  # with start and end
            faces, hops = features_of(log.records, FaceSignal), features_of(log.records, SpeechSignal)
        counted = outcomes(settings, 40)
    assert counted == {("face", "used"): 20, ("speech", "used"): 20}
    assert [signal.sequence for signal in faces] == list(range(20))
    for signal in (*faces, *hops):
        assert signal.source == f"client:{ENGINE}"
        assert signal.session_id == opened["session_id"]
        assert signal.received_at_us <= signal.ingested_at_us == signal.consumed_at_us
        assert signal.inferred_at_us <= signal.received_at_us
    for signal in faces:
        assert signal.captured_at_us < signal.inferred_at_us <= signal.captured_at_us + 10_000
    assert all(signal.captured_at_us == signal.sequence * HOP_US for signal in hops)
    assert len({signal.sequence for signal in hops}) == len(hops) == 20


async def test_raw_media_of_an_on_device_modality_is_refused(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge, on_device={"face": True})
        async with media(opened) as socket:
            for i in range(5):
                await socket.send(MediaMessage(MediaKind.JPEG, i, now_us(), jpeg()).to_bytes())
                await socket.send(MediaMessage(MediaKind.PCM16, i, now_us(), tone()).to_bytes())
                await socket.send(hop(100 + i, now_us()))
            messages = await closing(socket)
        counted = outcomes(settings, 15)
        with log_of(settings, MEDIA_AUDIO, AudioChunk) as sound, log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures:
            sound.until(lambda found: len(found) == 5)
            assert pictures.read() == []
    assert counted == {("face", "on_device"): 5, ("speech", "used"): 5, ("speech", "on_device"): 5}
    notices = [message for message in messages if message["type"] == "notice"]
    told = {(notice["code"], notice["modality"]) for notice in notices}
    assert told == {("on_device", "video"), ("on_device", "audio")}


async def test_hostile_features_are_refused_counted_and_told(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            good = face(3, now_us())
            await socket.send(good[:-3] + b"\xff\xff\xff")
            await socket.send(good[:60])
            await socket.send(good[:16] + b"\x09" + good[17:])
            await socket.send(good)
            await socket.send(face(3, now_us()))
            await socket.send(face(2, now_us()))
            messages = await closing(socket)
        counted = outcomes(settings, 6)
    assert counted == {
        ("face", "malformed"): 2,
        ("face", "unsupported"): 1,
        ("face", "used"): 1,
        ("face", "out_of_order"): 2,
    }
    codes = {message["code"] for message in messages if message["type"] == "notice"}
    assert codes == {"malformed", "unsupported", "out_of_order"}


async def test_too_many_features_are_refused_and_close_the_connection(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            at_us = now_us()
            with contextlib.suppress(ConnectionClosed):
                for i in range(5_000):
                    await socket.send(hop(i, at_us))
            await socket.wait_closed()
            assert socket.close_code == 4429


async def test_withdrawn_consent_stops_features_of_that_modality(settings: Settings) -> None:
    with ingest(settings) as edge:
        opened = start(edge)
        async with media(opened) as socket:
            await socket.send(face(0, now_us()))
            await socket.send('{"type":"consent","video":false}')
            await socket.send(face(1, now_us()))
            await socket.send(hop(0, now_us()))
            messages = await closing(socket)
        counted = outcomes(settings, 3)
    assert counted["face", "no_consent"] + counted["face", "used"] == 2
    assert counted["face", "no_consent"] >= 1
    assert counted["speech", "used"] == 1
    assert any(message.get("code") == "no_consent" for message in messages)


async def test_another_edge_knows_from_the_token_what_is_analysed_on_the_device(settings: Settings) -> None:
    with ingest(settings) as first:
        opened = start(first)
    with ingest(settings) as second:
        opened["media_url"] = f"{second.ws}/v1/sessions/{opened['session_id']}/media"
        async with media(opened) as socket:
            await socket.send(MediaMessage(MediaKind.JPEG, 0, now_us(), jpeg()).to_bytes())
            await socket.send(face(1, now_us()))
            await closing(socket)
        assert outcomes(settings, 2) == {("face", "on_device"): 1, ("face", "used"): 1}


async def test_features_are_fused_to_frames_that_smile(settings: Settings) -> None:
    with ingest(settings) as edge, running("fusion", settings):
        opened = start(edge, timeline="recorded", parameters={"calibration_seconds": 0})
        async with media(opened) as socket:
            for i in range(90):
                await socket.send(face(i, i * 1_000_000 // 30))
                if i % 6 != 5:
                    number = i * 5 // 6
                    await socket.send(hop(number, 13_000 + number * HOP_US))
                await asyncio.sleep(0)
            await closing(socket)
        with log_of(settings, AVATAR_FRAMES, AvatarFrame) as log:
            frames = log.until(lambda found: len(found) >= 80, deadline_s=30)
    last = max(frames, key=lambda frame: frame.sequence)
    assert last.blendshapes[BLENDSHAPES.index("mouthSmileLeft")] > 150
    assert last.face_live
    assert last.speech_live
    assert sum(frame.face_live for frame in frames) > 70


@pytest.mark.parametrize("body", [{"on_device": {"face": "yes"}}, {"on_device": {"hands": True}}, {"on_device": True}])
def test_what_on_device_means_is_checked(settings: Settings, body: dict[str, Any]) -> None:
    with ingest(settings) as edge:
        answer = httpx.post(f"{edge.url}/v1/sessions", json=body, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_pages_get_the_model_and_nothing_else_from_the_cache(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"cache_dir": tmp_path})
    with ingest(own) as edge:
        path = f"{edge.url}/v1/models/face_landmarker.task"
        missing = httpx.get(path, trust_env=False)
        assert (missing.status_code, missing.json()["code"]) == (404, "no_model")
        (tmp_path / "models").mkdir()
        for name in ("face_landmarker.task", "speech_emotion.onnx"):
            (tmp_path / "models" / name).write_bytes(name.encode())
        assert httpx.get(path, trust_env=False).content == b"face_landmarker.task"
        for name in ("speech_emotion.onnx", "..%2fmodels%2fspeech_emotion.onnx", "%2e%2e"):
            assert httpx.get(f"{edge.url}/v1/models/{name}", trust_env=False).status_code == 404


async def test_the_python_client_sends_features(settings: Settings) -> None:
    with ingest(settings) as edge:
        session = await Session.create(edge.url, audio=True, video=True, face_on_device=True, speech_on_device=True)
        async with session:
            rng = random.Random(1)
            await session.send_face(face_signal(1.0, rng), engine=ENGINE, inference_us=5_000)
            await session.send_speech(speech_signal(1.0, rng), engine=ENGINE, inference_us=5_000)
            await session.send_jpeg(jpeg())
        assert outcomes(settings, 3) == {("face", "used"): 1, ("speech", "used"): 1, ("face", "on_device"): 1}
        assert {notice["code"] for notice in session.notices} <= {"on_device"}
