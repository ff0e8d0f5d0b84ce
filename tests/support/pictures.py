"""Small pictures, sounds and films for clients."""

from pathlib import Path

import av
import cv2
import numpy as np


def jpeg(width: int = 64, height: int = 48, seed: int = 0, quality: int = 80) -> bytes:
    """A JPEG of noise."""
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def tone(milliseconds: int = 20, hz: float = 440.0, start_ms: int = 0) -> bytes:
    """PCM16 mono at 16 kHz."""
    n = np.arange(milliseconds * 16) + start_ms * 16
    return (np.sin(2 * np.pi * hz * n / 16_000) * 8_000).astype("<i2").tobytes()


def film(path: Path, *, seconds: float = 1.0, rate: int = 30, size: tuple[int, int] = (160, 120)) -> None:
    """A film of moving bars with a tone, MPEG-4 and PCM in Matroska."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for i in range(round(seconds * rate)):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            picture[:, (3 * i) % size[0] :] = 200
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        wave = (np.sin(2 * np.pi * 300 * np.arange(round(seconds * 48_000)) / 48_000) * 8_000).astype(np.int16)
        for start in range(0, wave.size, 4_800):
            part = np.repeat(wave[None, start : start + 4_800], 2, axis=0)
            frame = av.AudioFrame.from_ndarray(part.T.reshape(1, -1).copy(), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(audio.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))
