"""Films and speaks the sample session: see :mod:`cli.sample`."""

import math
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from cli.sample import BLACK, DURATION_S, FPS, SIZE, GroundTruth, Interval, complement, inside
from runtime.errors import PrerequisiteError

VOICE: Final = "en-us"
SENTENCES: Final = (
    (2.0, "Hello and welcome, it is wonderful to see you here today"),
    (8.0, "Everything that I say and show becomes a record in the log"),
    (14.5, "My avatar smiles when I smile and it speaks when I speak"),
    (20.0, "For a moment you cannot see me but you can still hear me"),
    (25.5, "Thank you for watching and see you again soon"),
)
"""When each sentence begins, in seconds, and what it says."""

RATE_HZ: Final = 16_000
SPEECH_PEAK: Final = 0.5
NOISE_RMS: Final = 10 ** (-70 / 20)
"""A room is never silent: -70 dBFS of noise lie under everything."""

FACE: Final = (224.0, 116.0)
"""The face's centre in the portrait, in pixels."""

Samples = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


def make(portrait: Path, synthesiser: Path, out: Path) -> GroundTruth:
    """Write ``sample.mp4`` and ``sample.wav`` to ``out``; returns what they show and when."""
    with tempfile.TemporaryDirectory() as name:
        sound, speech = soundtrack(synthesise(synthesiser, [text for _, text in SENTENCES], Path(name)))
    picture = cv2.imread(str(portrait), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    _write_wav(out / "sample.wav", sound)
    _write_video(out / "sample.mp4", picture, sound)
    return GroundTruth(DURATION_S, FPS, *SIZE, face_visible=complement(BLACK, DURATION_S), speech=speech)


def synthesise(synthesiser: Path, sentences: Sequence[str], work: Path) -> list[Samples]:
    """Each sentence as mono samples of [-1, 1] at 16 kHz, without leading or trailing silence."""
    command = [sys.executable, "-m", "cli.espeak", str(synthesiser), VOICE, str(work)]
    answer = subprocess.run(
        command, input="\n".join(sentences), capture_output=True, text=True, check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )  # fmt: skip
    if answer.returncode != 0:
        raise PrerequisiteError(f"espeak-ng did not speak: {(answer.stderr or answer.stdout).strip()}")
    spoken = []
    for number in range(len(sentences)):
        with wave.open(str(work / f"{number}.wav"), "rb") as file:
            rate = file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32_768.0
        ratio = Fraction(RATE_HZ, rate)
        samples = resample_poly(pcm, ratio.numerator, ratio.denominator)
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
        spoken.append(np.asarray(samples[loud[0] : loud[-1] + 1] * (SPEECH_PEAK / np.abs(samples).max())))
    return spoken


def soundtrack(spoken: Sequence[Samples]) -> tuple[Samples, tuple[Interval, ...]]:
    """The sentences at their times over faint noise, and the intervals of speech in seconds."""
    sound = np.random.default_rng(1).normal(0.0, NOISE_RMS, round(DURATION_S * RATE_HZ))
    intervals = []
    for (start_s, _), samples in zip(SENTENCES, spoken, strict=True):
        first = round(start_s * RATE_HZ)
        sound[first : first + len(samples)] += samples
        intervals.append((start_s, round(start_s + len(samples) / RATE_HZ, 3)))
    return sound, tuple(intervals)


def picture_at(portrait: Picture, at_s: float) -> Picture:
    """The picture at ``at_s``, RGB of shape (480, 640, 3).

    Pan, zoom and roll are sines with periods that divide the sample's length, so that it loops without a jump.
    """
    if inside(BLACK, at_s, 0.0):
        return np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    turn = 2 * math.pi * at_s / DURATION_S
    scale = 2.0 + 0.35 * math.sin(3 * turn)
    roll_deg = 9.0 * math.sin(4 * turn)
    centre = (SIZE[0] / 2 + 70 * math.sin(2 * turn), SIZE[1] / 2 + 25 * math.sin(5 * turn))
    matrix = cv2.getRotationMatrix2D(FACE, roll_deg, scale)
    matrix[:, 2] += np.subtract(centre, FACE)
    return np.asarray(
        cv2.warpAffine(portrait, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _write_wav(path: Path, sound: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(_pcm16(sound).tobytes())


def _write_video(path: Path, portrait: Picture, sound: Samples) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        audio.bit_rate = 96_000
        audio_frame = av.AudioFrame.from_ndarray(_pcm16(sound)[None, :], format="s16", layout="mono")
        audio_frame.sample_rate = RATE_HZ
        for number in range(round(DURATION_S * FPS)):
            frame = av.VideoFrame.from_ndarray(picture_at(portrait, number / FPS), format="rgb24")
            container.mux(video.encode(frame))
        for resampled in av.AudioResampler(format="fltp", layout="mono", rate=RATE_HZ).resample(audio_frame):
            container.mux(audio.encode(resampled))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _pcm16(sound: Samples) -> npt.NDArray[np.int16]:
    return np.asarray(np.clip(np.round(sound * 32_767), -32_768, 32_767), np.int16)
