"""FFmpeg's WHIP muxer as a program: ``python -m tests.support.ffmpeg_publisher URL SECONDS OPTION=VALUE …``.

A process of its own: while it shakes hands the muxer blocks the whole interpreter.
"""

import sys
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np


def publish(url: str, seconds: float, options: dict[str, str]) -> None:
    """Publish bars and a tone at the pace of a camera; blocks. Raises av.FFmpegError if the muxer is not let in."""
    profile = options.pop("profile", "baseline")
    with av.open(url, "w", format="whip", options=options | {"whip_flags": "dtls_active"}) as container:
        video: Any = container.add_stream(
            "libx264",
            rate=30,
            options={"profile": profile, "preset": "veryfast", "tune": "zerolatency", "g": "30", "bf": "0"},
        )
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.time_base = Fraction(1, 30)
        audio: Any = container.add_stream("libopus", rate=48_000, layout="stereo")
        started = time.monotonic()
        sounded = 0
        for number in range(round(seconds * 30)):
            pixels = np.full((240, 320, 3), number * 3 % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(video.encode(frame))
            while sounded / 48_000 < number / 30:
                wave = np.sin(2 * np.pi * 440 * (sounded + np.arange(960)) / 48_000) * 8_000
                sound = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), 2).reshape(1, -1), "s16", "stereo")
                sound.sample_rate, sound.pts, sound.time_base = 48_000, sounded, Fraction(1, 48_000)
                container.mux(audio.encode(sound))
                sounded += 960
            time.sleep(max(0.0, started + number / 30 - time.monotonic()))  # a camera's pace


if __name__ == "__main__":
    publish(sys.argv[1], float(sys.argv[2]), dict(option.split("=", 1) for option in sys.argv[3:]))
