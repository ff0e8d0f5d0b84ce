"""What the peers send: the sample session, encoded once as a browser would, 640x480 at 15 a second, and Opus."""

import pickle
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

WIDTH: Final = 640
HEIGHT: Final = 480
FPS: Final = 15
SECONDS: Final = 10
"""Then it is played again from its key frame."""

VIDEO_BITS_A_SECOND: Final = 500_000
AUDIO_BITS_A_SECOND: Final = 32_000
OPUS_RATE_HZ: Final = 48_000
OPUS_SAMPLES: Final = 960
"""20 ms."""

NOISE: Final = 3.0
"""Standard deviation of the sensor's noise that is added, in steps of luma: a portrait that is moved has none."""

VP8: Final = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "error-resilient": "0"}
H264: Final = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
CODECS: Final = {"VP8": ("libvpx", VP8), "H264": ("libx264", H264)}


@dataclass(frozen=True)
class Media:
    """Encoded frames and packets, in order."""

    video: list[bytes]
    audio: list[bytes]


def encode(sample: Path, codec: str) -> Media:
    """``codec`` is VP8 or H264."""
    return Media(_video(sample, codec), _audio(sample))


def write(media: Media, path: Path) -> None:
    """For :func:`read` in another process of ours."""
    path.write_bytes(pickle.dumps((media.video, media.audio)))


def read(path: Path) -> Media:
    """What :func:`write` wrote."""
    return Media(*pickle.loads(path.read_bytes()))  # noqa: S301 - our own file, made a moment ago


def _video(sample: Path, codec: str) -> list[bytes]:
    name, options = CODECS[codec]
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), FPS
    encoder.bit_rate, encoder.gop_size, encoder.thread_count = VIDEO_BITS_A_SECOND, 10_000, 1
    rate = str(VIDEO_BITS_A_SECOND)
    encoder.options = {**options, "minrate": rate, "maxrate": rate, "bufsize": rate}
    noise = np.random.default_rng(1)
    encoded: list[bytes] = []
    with av.open(str(sample)) as film:
        step = round(film.streams.video[0].average_rate / FPS)
        for number, frame in enumerate(film.decode(video=0)):
            if number % step:
                continue
            if number // step == FPS * SECONDS:
                break
            picture = frame.reformat(WIDTH, HEIGHT, "yuv420p").to_ndarray()
            luma = picture[:HEIGHT] + noise.normal(0, NOISE, (HEIGHT, WIDTH))
            picture[:HEIGHT] = np.clip(luma, 16, 235).astype(np.uint8)
            made = av.VideoFrame.from_ndarray(picture, "yuv420p")
            made.pts, made.time_base = number // step, encoder.time_base
            encoded += [bytes(packet) for packet in encoder.encode(made)]
    return encoded


def _audio(sample: Path) -> list[bytes]:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE_HZ, "stereo", "s16"
    encoder.bit_rate, encoder.options = AUDIO_BITS_A_SECOND, {"application": "voip"}
    resampler = av.AudioResampler("s16", "stereo", OPUS_RATE_HZ, OPUS_SAMPLES)
    encoded: list[bytes] = []
    with av.open(str(sample)) as film:
        for frame in film.decode(audio=0):
            for part in resampler.resample(frame):
                encoded += [bytes(packet) for packet in encoder.encode(part)]
            if len(encoded) >= SECONDS * OPUS_RATE_HZ // OPUS_SAMPLES:
                break
    return encoded


def bits_a_second(media: Media) -> float:
    """Of the video."""
    return sum(map(len, media.video)) * 8 * FPS / len(media.video)
