"""Sound for tests: vowels from formants, noise, chunks of a microphone, and the sample session's real speech."""

import wave
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from cli import sample
from cli.sample import GroundTruth
from runtime.settings import Settings
from schemas.records import AudioChunk
from tests.support.prerequisites import cache_dir, required

RATE_HZ = 16_000
Samples = NDArray[np.float32]

FORMANTS_HZ = {
    "aa": (730, 1_090, 2_440),
    "E": (530, 1_840, 2_480),
    "ih": (270, 2_290, 3_010),
    "oh": (570, 840, 2_410),
    "ou": (300, 870, 2_240),
}
"""Peterson & Barney, "Control methods used in a study of the vowels", JASA 24, 1952, men's averages."""


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def sine(seconds: float, hz: float, amplitude: float = 0.3) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def vowel(seconds: float, formants_hz: Sequence[float], *, pitch_hz: float = 120.0, amplitude: float = 0.3) -> Samples:
    """Glottal pulses (-12 dB an octave) through resonances and lips (+6 dB): a source-filter vowel after Fant."""
    count = int(seconds * RATE_HZ) + 800
    sound = np.zeros(count)
    sound[:: int(RATE_HZ / pitch_hz)] = 1.0
    sound = lfilter([1.0, -1.0], [1.0, -1.9, 0.9025], sound)
    for number, hz in enumerate((*formants_hz, 3_500, 4_500)):
        radius = np.exp(-np.pi * (80 + 40 * number) / RATE_HZ)
        turn = 2 * radius * np.cos(2 * np.pi * hz / RATE_HZ)
        sound = lfilter([1 - turn + radius**2], [1.0, -turn, radius**2], sound)
    sound = sound[800:]
    return (sound / np.abs(sound).max() * amplitude).astype(np.float32)


def noise(seconds: float, low_hz: float, high_hz: float, amplitude: float, seed: int = 0) -> Samples:
    """Band-limited Gaussian noise."""
    white = np.random.default_rng(seed).normal(size=int(seconds * RATE_HZ) + 1_000)
    band = butter(6, [low_hz, high_hz], "bandpass", fs=RATE_HZ, output="sos")
    return (amplitude * sosfilt(band, white)[1_000:]).astype(np.float32)


def pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32_767).astype("<i2").tobytes()


def chunks(
    samples: Samples, session_id: str, start_us: int, *, length: int = 320, first_sequence: int = 0
) -> Iterator[AudioChunk]:
    """A microphone's chunks, whole ones only, from ``start_us`` on; received 2 ms after their last sample."""
    for number in range(len(samples) // length):
        captured = start_us + number * length * 1_000_000 // RATE_HZ
        received = captured + length * 1_000_000 // RATE_HZ + 2_000
        sound = pcm(samples[number * length : (number + 1) * length])
        yield AudioChunk(captured, received, received, RATE_HZ, first_sequence + number, session_id, sound)


@cache
def sample_speech() -> tuple[Samples, GroundTruth]:
    """The sample session's sound, and when somebody speaks in it; skips the test if set-up did not make it."""
    with required():
        made = sample.prepare(Settings(cache_dir=cache_dir()), lambda _line: None)
    return read_wav(made.audio), made.truth


def read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32_768)


def write_wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ, channels: int = 1) -> None:
    """PCM16; samples of several channels take turns."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm(samples))
