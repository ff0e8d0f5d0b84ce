from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from ingest.webrtc.receiving.jitter_buffer import EncodedFrame
from ingest.webrtc.receiving.packet_order import Lost
from ingest.webrtc.receiving.pool import MediaPool
from ingest.webrtc.receiving.stream import SoundStream, VideoStream
from schemas.vocabulary import Modality, Outcome
from tests.support.waiting import eventually_async
from tests.support.webrtc_pair import Collected


@pytest.fixture
async def pool():
    made = MediaPool(1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def film():
    """Ten frames of VP8; the first is a key frame."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuv420p", Fraction(1, 15)
    encoder.options = {"lag-in-frames": "0"}
    frames = []
    for number in range(10):
        picture = av.VideoFrame.from_ndarray(np.full((72, 64), 60 + 10 * number, np.uint8), "yuv420p")
        picture.pts = number
        frames += [bytes(packet) for packet in encoder.encode(picture)]
    return [EncodedFrame(data, 6_000 * n, n == 0, 1_000 * n) for n, data in enumerate(frames)]


async def feed(stream, sink, frames):
    """One after another: no frame is behind."""
    for frame in frames:
        before = len(sink.pictures) + len(sink.drops)
        stream.frame(frame, frame.received_us)
        await eventually_async(lambda before=before: len(sink.pictures) + len(sink.drops) > before)


async def test_every_frame_becomes_a_picture(pool, film):
    sink = Collected()
    stream = VideoStream(sink, pool, 60)
    assert stream.begin("VP8", 90_000)
    await feed(stream, sink, film)
    assert [picture.timestamp for picture in sink.pictures] == [frame.timestamp for frame in film]
    assert [picture.received_us for picture in sink.pictures] == [frame.received_us for frame in film]
    stream.end()
    stream.end()
    assert sink.ends == [Modality.FACE]


async def test_after_a_loss_frames_wait_for_a_key_frame_and_are_accounted_for(pool, film):
    sink = Collected()
    stream = VideoStream(sink, pool, 60)
    stream.begin("VP8", 90_000)
    await feed(stream, sink, film[:3])
    stream.lost(Lost(1), 4_000)
    assert stream.wants_key_frame(4_000)
    await feed(stream, sink, film[4:])
    assert len(sink.pictures) == 3
    assert sink.drops == [(Modality.FACE, Outcome.GAP, 1)] * 6
    await feed(stream, sink, [replace(film[0], timestamp=60_000)])
    assert len(sink.pictures) == 4


async def test_a_frame_that_cannot_be_decoded_is_accounted_for_and_asks_for_a_key_frame(pool, film):
    sink = Collected()
    stream = VideoStream(sink, pool, 60)
    stream.begin("VP8", 90_000)
    await feed(stream, sink, film[:1])
    await feed(stream, sink, [EncodedFrame(b"\x00\x00", 6_000, True, 0)])
    assert sink.drops == [(Modality.FACE, Outcome.UNDECODABLE, 1)]
    assert stream.wants_key_frame(1_000)


async def test_frames_beyond_the_rate_are_decoded_only(pool, film):
    sink = Collected()
    stream = VideoStream(sink, pool, 5)
    stream.begin("VP8", 90_000)
    await feed(stream, sink, film)
    assert len(sink.pictures) < 6
    assert len(sink.pictures) + len(sink.drops) == len(film)
    assert {outcome for _, outcome, _ in sink.drops} == {Outcome.REPLACED_BY_NEWER}


async def test_unknown_codecs_are_not_begun(pool):
    assert not VideoStream(Collected(), pool, 60).begin("AV1", 90_000)
    assert not SoundStream(Collected()).begin("L24", 48_000)


async def test_sound_that_cannot_be_decoded_is_accounted_for():
    sink = Collected()
    stream = SoundStream(sink)
    assert stream.begin("opus", 48_000)
    stream.frame(EncodedFrame(b"\xff" * 3, 0, True, 0), 0)
    assert sink.drops == [(Modality.SPEECH, Outcome.UNDECODABLE, 1)]
    assert not stream.wants_key_frame(0)
    stream.end()
    assert sink.ends == [Modality.SPEECH]
