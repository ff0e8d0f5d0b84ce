import contextlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from ingest.admission import MAX_JPEG_BYTES
from ingest.webrtc.receiving.pictures import LONG_EDGE_PX, DecodeError, VideoDecoder, jpeg_of


def frame(luma, *, blue=128, red=128, width=64, height=48, pixels="yuv420p"):
    planes = np.concatenate(
        (
            np.full(width * height, luma, np.uint8),
            np.full(width * height // 4, blue, np.uint8),
            np.full(width * height // 4, red, np.uint8),
        )
    )
    return av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), pixels)


def read(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("luma, light", [(16, 0), (235, 255), (125, 127)])
def test_the_narrow_range_becomes_the_full_one(luma, light):
    picture = read(jpeg_of(frame(luma)))
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture.astype(int) - light).max() <= 2


def test_full_range_stays_as_it_is():
    assert np.abs(read(jpeg_of(frame(200, pixels="yuvj420p"))).astype(int) - 200).max() <= 2


def test_colours_are_those_of_the_film():
    # BT.601: pure red has luma 81, blue difference 90, red difference 240 (narrow range).
    blue, green, red = read(jpeg_of(frame(81, blue=90, red=240)))[24, 32]
    assert red > 245
    assert max(blue, green) < 10


def test_large_pictures_are_scaled_down():
    jpeg = jpeg_of(frame(100, width=1920, height=1080))
    assert (jpeg.width, jpeg.height) == (LONG_EDGE_PX, 360)
    assert read(jpeg).shape == (360, LONG_EDGE_PX, 3)


def test_odd_sizes_lose_a_row_and_a_column():
    odd = av.VideoFrame.from_ndarray(np.full((33, 47, 3), 90, np.uint8), "bgr24")
    jpeg = jpeg_of(odd)
    assert (jpeg.width, jpeg.height) == (46, 32)
    assert read(jpeg).shape == (32, 46, 3)
    assert np.abs(read(jpeg).astype(int) - 90).max() <= 3


def test_a_picture_is_small_enough_for_a_record():
    noise = np.random.default_rng(1).integers(16, 235, (720, 640), np.uint8)
    jpeg = jpeg_of(av.VideoFrame.from_ndarray(noise, "yuv420p"))
    assert len(jpeg.data) <= MAX_JPEG_BYTES
    assert read(jpeg).shape == (jpeg.height, jpeg.width, 3)


@pytest.mark.parametrize("size", [(8, 8), (64, 8), (4_112, 16)])
def test_sizes_that_are_not_taken(size):
    with pytest.raises(DecodeError, match="pixels"):
        jpeg_of(frame(100, width=size[0], height=size[1]))


@pytest.mark.parametrize("codec, encoder_name", [("VP8", "libvpx"), ("H264", "libx264")])
def test_frames_are_decoded(codec, encoder_name):
    encoder = av.CodecContext.create(encoder_name, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuv420p", Fraction(1, 15)
    encoder.options = {"lag-in-frames": "0"} if codec == "VP8" else {"tune": "zerolatency", "preset": "ultrafast"}
    decoder, lights = VideoDecoder(codec), []
    for number, luma in enumerate((60, 120, 180)):
        film = frame(luma)
        film.pts = number
        for packet in encoder.encode(film):
            lights += [read(jpeg_of(decoded)).mean() for decoded in decoder.decode(bytes(packet))]
    assert len(lights) == 3
    assert lights == sorted(lights)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_what_is_no_frame_is_refused_or_gives_none(codec):
    decoder = VideoDecoder(codec)
    for data in (b"\x00", b"\xff" * 50, bytes(range(256))):
        with contextlib.suppress(DecodeError):
            assert decoder.decode(data) == []
