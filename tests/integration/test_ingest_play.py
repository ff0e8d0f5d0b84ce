"""Files streamed as sessions by the client library, against a real broker."""

import asyncio
import math
import time
from pathlib import Path

import numpy as np
import pytest

from client import ClientError, Played, Session, play
from runtime.clock import SystemClock
from runtime.settings import Settings
from schemas.records import AudioChunk, SessionEnded, Signal, VideoFrame
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from tests.support.edges import egress, ingest, log_of
from tests.support.frames import FramePublisher
from tests.support.pictures import film


async def test_a_film_as_fast_as_possible_loses_nothing(settings: Settings, tmp_path: Path) -> None:
    film(tmp_path / "film.mkv", seconds=4.0)
    with (
        ingest(settings) as running,
        log_of(settings, MEDIA_AUDIO, AudioChunk) as sound,
        log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures,
        log_of(settings, SIGNALS, Signal) as signals,
    ):
        played = await play(tmp_path / "film.mkv", server=running.url, speed=math.inf)
        assert (played.video_sent, played.audio_sent) == (120, 200)
        assert (played.video_dropped, played.audio_dropped, played.reconnects) == (0, 0, 0)
        chunks = sound.until(lambda found: len(found) == 200)
        frames = pictures.until(lambda found: len(found) == 120)
        started, ended = signals.until(lambda found: len(found) == 2)
    anchor = started.captured_at_us
    assert started.payload.timeline == "recorded"
    assert [record.captured_at_us - anchor for record in chunks] == [20_000 * i for i in range(200)]
    for i, record in enumerate(frames):
        assert record.captured_at_us - anchor == pytest.approx(i * 1e6 / 30, abs=1_500)
    assert ended.payload == SessionEnded("client_closed")
    assert ended.captured_at_us - anchor == 4_000_000
    heard = np.frombuffer(b"".join(record.pcm for record in chunks), "<i2").astype(float)
    assert abs(np.argmax(np.abs(np.fft.rfft(heard))) * 16_000 / heard.size - 300) < 1


async def test_a_film_in_real_time_with_its_frames(settings: Settings, tmp_path: Path) -> None:
    film(tmp_path / "film.mkv", seconds=1.5)
    reports: list[tuple[float, int]] = []
    publisher = FramePublisher(settings, SystemClock())
    publishing: list[asyncio.Task[None]] = []

    async def publish(session_id: str) -> None:
        for k in range(30):
            await asyncio.to_thread(publisher.publish, session_id, k)
            await asyncio.sleep(1 / 30)

    def opened(session: Session) -> None:
        publishing.append(asyncio.create_task(publish(session.session_id)))

    def progress(played: Played) -> None:
        reports.append((played.media_s, played.frames))

    with egress(settings) as viewers:
        told = settings.model_copy(update={"public_egress_url": viewers.url})
        with ingest(told) as running, log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures:
            began = time.monotonic()
            played = await play(
                tmp_path / "film.mkv", server=running.url, opened=opened, progress=progress, chunk_ms=40
            )
            assert time.monotonic() - began > 1.4
            await asyncio.gather(*publishing)
            found = pictures.until(lambda found: len(found) == played.video_sent)
    assert played.audio_sent == 38
    assert 40 <= played.video_sent <= 45
    assert played.frames > 10
    assert played.missing == 0
    assert played.emotion == "happy"
    assert reports == sorted(reports)
    for record in found:
        assert 0 <= record.received_at_us - record.captured_at_us <= 200_000


async def test_a_loop_goes_on_until_stopped(settings: Settings, tmp_path: Path) -> None:
    film(tmp_path / "film.mkv", seconds=0.5)
    stop = asyncio.Event()

    def progress(played: Played) -> None:
        if played.media_s > 1.2:
            stop.set()

    with ingest(settings) as running:
        played = await play(
            tmp_path / "film.mkv", server=running.url, speed=2.0, loop=True, progress=progress, stop=stop
        )
    assert played.media_s > 1.2
    assert played.audio_sent > 60


@pytest.mark.parametrize("content", [b"", b"not a film at all"])
async def test_files_that_cannot_be_used_say_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(ClientError, match=r"broken\.mp4"):
        await play(path)
