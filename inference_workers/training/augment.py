"""Variations of a recording that do not change what is felt: voice, room, microphone, noise."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from inference_workers.speech.features import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

SPEEDS_PERCENT: Final = (91, 94, 97, 100, 103, 106, 109)
QUIET_DB: Final = (12.0, 45.0)
NOISY_DB: Final = (-5.0, 12.0)
"""Signal-to-noise ratios of variations: of most, and of those in which noise is more than a little."""
NOISY_SHARE: Final = 0.4


def vary(samples: Samples, random: np.random.Generator) -> Samples:
    """One random variation: speed with pitch, a small room, a microphone's tilt, coloured noise, gain."""
    varied = _elsewhere(samples, random)
    noisy = with_noise(varied, snr_db=float(random.uniform(*QUIET_DB)), random=random)
    return _at_some_level(noisy, random=random)[0]


def vary_in_noise(samples: Samples, random: np.random.Generator) -> tuple[Samples, Samples]:
    """The same with a lot of noise in a share of them (:data:`NOISY_SHARE`); and the voice alone, where it is in it."""
    varied = _elsewhere(samples, random)
    range_db = NOISY_DB if random.random() < NOISY_SHARE else QUIET_DB
    noisy = with_noise(varied, snr_db=float(random.uniform(*range_db)), random=random)
    heard, voice = _at_some_level(noisy, varied, random=random)
    return heard, voice


def _elsewhere(samples: Samples, random: np.random.Generator) -> NDArray[np.float64]:
    speed = int(random.choice(SPEEDS_PERCENT))
    varied = resample_poly(samples, 100, speed) if speed != 100 else samples.astype(np.float64)
    if random.random() < 0.5:
        varied = in_a_room(varied, reverberation_s=float(random.uniform(0.08, 0.4)), random=random)
    return tilted(varied, decibel=float(random.uniform(-5.0, 5.0)))


def _at_some_level(*sounds: NDArray[np.float64], random: np.random.Generator) -> Sequence[Samples]:
    gain = 10.0 ** (random.uniform(-15.0, 5.0) / 20.0)
    return [(sound * gain).clip(-1.0, 1.0).astype(np.float32) for sound in sounds]


def in_a_room(samples: NDArray[np.float64], reverberation_s: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Convolved with exponentially decaying noise (Polack's model), 60 dB down after ``reverberation_s``."""
    length = int(reverberation_s * SAMPLE_RATE_HZ)
    decay = 10.0 ** (-3.0 * np.arange(length) / length)
    response = random.normal(size=length) * decay * 0.03
    response[0] = 1.0
    wet: NDArray[np.float64] = fftconvolve(samples, response)[: len(samples)]
    return wet


def tilted(samples: NDArray[np.float64], decibel: float) -> NDArray[np.float64]:
    """Treble raised or lowered by up to ``decibel`` at 8 kHz, straight in dB over frequency."""
    spectrum = np.fft.rfft(samples)
    gain = 10.0 ** (decibel * np.linspace(0.0, 1.0, len(spectrum)) / 20.0)
    return np.fft.irfft(spectrum * gain, len(samples))


def with_noise(samples: NDArray[np.float64], snr_db: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Noise of a random colour between white and brown added at a signal-to-noise ratio over the whole clip."""
    spectrum = np.fft.rfft(random.normal(size=len(samples)))
    frequency = np.arange(len(spectrum)) + 20.0
    noise = np.fft.irfft(spectrum / frequency ** random.uniform(0.0, 1.0), len(samples))
    power = float(np.mean(samples**2)) / float(np.mean(noise**2))
    mixed: NDArray[np.float64] = samples + noise * np.sqrt(power * 10.0 ** (-snr_db / 10.0))
    return mixed


def equalised(samples: NDArray[np.float64], decibel: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Through a random smooth frequency response of up to ``decibel`` up or down: other throats and microphones."""
    spectrum = np.fft.rfft(samples)
    knots = random.uniform(-decibel, decibel, 9)
    gain = np.interp(np.linspace(0.0, 1.0, len(spectrum)) ** 0.5, np.linspace(0.0, 1.0, len(knots)), knots)
    return np.fft.irfft(spectrum * 10.0 ** (gain / 20.0), len(samples))


def band_limited(samples: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Without what lies outside two frequencies, each side falling by 40 dB within half an octave: a line, a codec."""
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.fft.rfftfreq(len(samples), 1.0 / SAMPLE_RATE_HZ) + 1e-3)
    outside = np.maximum(np.log2(low_hz) - octaves, octaves - np.log2(high_hz)).clip(0.0, 0.5)
    return np.fft.irfft(spectrum * 10.0 ** (-80.0 * outside / 20.0), len(samples))
