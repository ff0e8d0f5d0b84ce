"""Acoustic features of 16 kHz mono speech: numpy only, vectorised over frames, no state.

Samples are float32 or float64 in [-1, 1]. Frames are 25 ms every 10 ms under a Hann window; pitch uses 40 ms frames,
long enough for two periods of the lowest voice.

:func:`emotion_features` gives one vector for a window of speech. What it holds follows the minimalistic parameter set
for voice research (Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS)", IEEE TAC 7(2), 2016):
pitch, loudness dynamics, spectral balance and cepstra, as statistics over the window. The window is first brought to
one loudness, so that a microphone's gain says nothing about its owner. :func:`analysed` also tells how far the voice
stands above noise, which is no feature: it says which network is to answer.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.audibility import audibility_db

Array = NDArray[np.float64]
Samples = NDArray[np.floating[Any]]

SAMPLE_RATE_HZ: Final = 16_000
FRAME: Final = 400
STEP: Final = 160
FFT: Final = 512
BINS: Final = FFT // 2 + 1
MELS: Final = 40
CEPSTRA: Final = 20
PITCH_FRAME: Final = 640
PITCH_FFT: Final = 960
"""A frame and the longest lag fit into it without wrapping, and it has small factors only."""
PITCH_MIN_HZ: Final = 60.0
PITCH_MAX_HZ: Final = 500.0
OCTAVE_COST: Final = 0.02
VOICED_STRENGTH: Final = 0.5
ACTIVE_BELOW_PEAK_DB: Final = 28.0
"""A frame is active if it is at most this much weaker than the window's loud frames (95th percentile)."""
SILENCE_DBFS: Final = -100.0
FEW_ROWS: Final = 16
"""Frames in one matrix product: OpenBLAS stays on the calling thread below 2^18 multiplications."""

_HANN: Final[Array] = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(FRAME) + 0.5) / FRAME)
_PITCH_HANN: Final[NDArray[np.float32]] = (
    0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(PITCH_FRAME) + 0.5) / PITCH_FRAME)
).astype(np.float32)
FREQUENCIES_HZ: Final[Array] = np.arange(BINS, dtype=np.float64) * (SAMPLE_RATE_HZ / FFT)


def hz_to_mel(hz: Array) -> Array:
    """Mel scale, 2595·log10(1 + f/700) (O'Shaughnessy, Speech Communication, 1987)."""
    mel: Array = 2_595.0 * np.log10(1.0 + hz / 700.0)
    return mel


def _mel_filters() -> Array:
    """Triangles of equal width on the mel scale from 20 Hz to 8 kHz, (BINS, MELS), each summing to 1."""
    bounds = hz_to_mel(np.array([20.0, SAMPLE_RATE_HZ / 2]))
    edges = 700.0 * (10.0 ** (np.linspace(bounds[0], bounds[1], MELS + 2) / 2595.0) - 1.0)
    rising = (FREQUENCIES_HZ[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - FREQUENCIES_HZ[:, None]) / (edges[2:] - edges[1:-1])
    filters: Array = np.clip(np.minimum(rising, falling), 0.0, None)
    # The lowest triangles are narrower than a bin: give an empty one its nearest bin.
    for mel in np.flatnonzero(filters.sum(axis=0) == 0.0):
        filters[round(float(edges[mel + 1]) / (SAMPLE_RATE_HZ / FFT)), mel] = 1.0
    scaled: Array = filters / filters.sum(axis=0)
    return scaled


def _cosine_basis() -> Array:
    """Orthonormal DCT-II, (MELS, CEPSTRA)."""
    n, k = np.arange(MELS)[:, None], np.arange(CEPSTRA)[None, :]
    basis: Array = np.cos(np.pi * k * (2 * n + 1) / (2 * MELS)) * np.where(k == 0, np.sqrt(1 / MELS), np.sqrt(2 / MELS))
    return basis


_MEL: Final = _mel_filters()
_DCT: Final = _cosine_basis()


def energy_dbfs(samples: Samples) -> float:
    """Root mean square in dB relative to full scale, at least :data:`SILENCE_DBFS`."""
    mean_square = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10.0 * float(np.log10(mean_square + 1e-12)))


def frames(samples: Samples, length: int = FRAME, step: int = STEP) -> Samples:
    """Overlapping frames of the last axis, (..., n, length): a view where numpy allows; whole frames only."""
    return np.lib.stride_tricks.sliding_window_view(samples, length, axis=-1)[..., ::step, :]


def power_spectrum(framed: Samples) -> Array:
    """Power spectrum of 25 ms frames, (..., n, FRAME) to (..., n, BINS): a full-scale sine peaks at 1/4 (-6 dB)."""
    spectrum = np.fft.rfft(framed * _HANN, FFT)
    power: Array = (spectrum.real**2 + spectrum.imag**2) / _HANN.sum() ** 2
    return power


def log_mel(power: Array) -> Array:
    """Natural logarithm of mel band power, (..., BINS) to (..., MELS); floor at -100 dB or so."""
    rows = power.reshape(-1, BINS)
    # In small pieces: for the whole, BLAS would start threads, which cost more than they gain.
    pieces = [rows[start : start + FEW_ROWS] @ _MEL for start in range(0, len(rows), FEW_ROWS)]
    return np.log(np.concatenate(pieces) + 1e-10).reshape(*power.shape[:-1], MELS)


def mfcc(mel: Array) -> Array:
    """Mel-frequency cepstral coefficients, (..., MELS) to (..., CEPSTRA); the 0th is the loudness."""
    cepstra: Array = mel @ _DCT
    return cepstra


def _autocorrelation(framed: NDArray[np.float32]) -> Array:
    spectrum = np.fft.rfft(framed, PITCH_FFT)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, PITCH_FFT)[..., : PITCH_FFT - PITCH_FRAME]
    return correlation.astype(np.float64)


_HANN_CORRELATION: Final = _autocorrelation(_PITCH_HANN)


def pitch(samples: Samples) -> tuple[Array, Array]:
    """Fundamental frequency (Hz) and strength of voicing (0..1) every 10 ms, from 40 ms frames.

    The autocorrelation of the windowed frame divided by that of the window, with a cost for low octaves (Boersma,
    "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993), its peak refined by a
    parabola. A frame is voiced where the strength exceeds :data:`VOICED_STRENGTH`; elsewhere the frequency means
    nothing. n samples give 1 + (n - 640) // 160 values.
    """
    # Single precision is plenty here and halves the cost, which is mostly these transforms.
    framed = frames(samples, PITCH_FRAME).astype(np.float32)
    framed = (framed - framed.mean(axis=-1, keepdims=True)) * _PITCH_HANN
    correlation = _autocorrelation(framed) / _HANN_CORRELATION
    # A floor under the energy makes near-silence unvoiced instead of noise divided by noise.
    correlation = correlation / (correlation[:, :1] + 1e-6)
    shortest, longest = int(SAMPLE_RATE_HZ / PITCH_MAX_HZ), int(SAMPLE_RATE_HZ / PITCH_MIN_HZ)
    lags = np.arange(shortest, longest + 1)
    candidates = correlation[:, lags] - OCTAVE_COST * np.log2(lags * PITCH_MIN_HZ / SAMPLE_RATE_HZ)
    best = lags[np.argmax(candidates, axis=1)]
    rows = np.arange(len(best))
    left, middle, right = correlation[rows, best - 1], correlation[rows, best], correlation[rows, best + 1]
    curvature = left - 2 * middle + right
    safe = np.where(np.abs(curvature) > 1e-9, curvature, -1.0)
    offset = np.where(np.abs(curvature) > 1e-9, np.clip(0.5 * (left - right) / safe, -0.5, 0.5), 0.0)
    return SAMPLE_RATE_HZ / (best + offset), np.clip(middle, 0.0, 1.0)


def band_db(power: Array, low_hz: float, high_hz: float) -> Array:
    """Power between two frequencies in dB, (..., BINS) to (...)."""
    inside = (low_hz <= FREQUENCIES_HZ) & (high_hz > FREQUENCIES_HZ)
    level: Array = 10.0 * np.log10(power[..., inside].sum(axis=-1) + 1e-12)
    return level


def spectral_centroid_hz(power: Array) -> Array:
    """Mean frequency weighted by magnitude, (..., BINS) to (...)."""
    magnitude = np.sqrt(power) + 1e-12
    centroid: Array = (magnitude * FREQUENCIES_HZ).sum(axis=-1) / magnitude.sum(axis=-1)
    return centroid


def voiced_fraction(samples: Samples) -> float:
    """Share of the window's frames with a pitch, 0..1."""
    if len(samples) < PITCH_FRAME:
        return 0.0
    return float((pitch(samples)[1] > VOICED_STRENGTH).mean())


def _statistics(values: Array) -> list[float]:
    low, middle, high = np.percentile(values, (10, 50, 90))
    return [float(values.mean()), float(values.std()), float(low), float(middle), float(high)]


TARGET_RMS: Final = 0.05


def _at_one_loudness(samples: Samples) -> Array:
    framed = frames(samples)
    level = np.sqrt(np.mean(np.square(framed, dtype=np.float64), axis=-1))
    loud = level[level >= np.percentile(level, 95) * 10 ** (-ACTIVE_BELOW_PEAK_DB / 20)]
    scaled: Array = samples.astype(np.float64) * (TARGET_RMS / (float(np.sqrt(np.mean(loud**2))) + 1e-5))
    return scaled


@dataclass(frozen=True, slots=True)
class Analysed:
    """A window as the emotion model hears it."""

    features: NDArray[np.float32]
    """As of :func:`emotion_features`."""
    audibility_db: float
    """How far the voice stands above noise: see :mod:`inference_workers.speech.audibility`."""

    @property
    def voiced(self) -> float:
        """Share of frames with a pitch, 0..1."""
        return float(self.features[VOICED_SHARE])


def emotion_features(samples: Samples) -> NDArray[np.float32]:
    """The feature vector (FEATURES) of a window of at least 0.25 s; every value is finite, whatever the samples."""
    return analysed(samples).features


def analysed(samples: Samples) -> Analysed:
    """The same, and how far the voice stands above noise."""
    scaled = _at_one_loudness(samples)
    power = power_spectrum(frames(scaled))
    mel = log_mel(power)
    level = 10.0 * np.log10(power.sum(axis=-1) + 1e-10)
    active = level >= np.percentile(level, 95) - ACTIVE_BELOW_PEAK_DB
    cepstra = mfcc(mel)[:, 1:]
    change = np.gradient(cepstra, axis=0)
    f0, strength = pitch(scaled)
    # Pitch frames are longer: frame i of 40 ms is centred where frame i of 25 ms is 7.5 ms earlier; drop the tail.
    paired = min(len(f0), len(level))
    voiced = (strength[:paired] > VOICED_STRENGTH) & active[:paired]
    values: list[float] = []
    for coefficients in (cepstra[active], change[active]):
        values += coefficients.std(axis=0).tolist()
    values += cepstra[active].mean(axis=0).tolist()
    values += _pitch_values(f0[:paired], strength[:paired], voiced)
    values += _level_values(level, active)
    values += _balance_values(power, active, voiced, paired)
    return Analysed(np.asarray(values, dtype=np.float32), audibility_db(np.exp(mel), strength))


def _pitch_values(f0: Array, strength: Array, voiced: NDArray[np.bool_]) -> list[float]:
    octave = np.log2(f0[voiced] / 100.0)
    if len(octave) < 5:
        octave = np.zeros(5)
    both = voiced[1:] & voiced[:-1]
    steps = np.diff(np.log2(f0 / 100.0))[both]
    # A step of over half an octave in 10 ms is a change of candidate, not of voice.
    steps = steps[np.abs(steps) < 0.5] if len(steps) else steps
    if not len(steps):
        steps = np.zeros(1)
    clear = strength[voiced] if voiced.any() else np.zeros(1)
    harmonics_db = 10.0 * np.log10((clear + 1e-3) / (1.0 - clear + 1e-3))
    return [
        *_statistics(octave),
        float(np.ptp(octave)),
        float(steps.mean()),
        float(np.abs(steps).mean()),
        float(steps.std()),
        float(voiced.mean()),
        float(harmonics_db.mean()),
        float(harmonics_db.std()),
    ]


def _level_values(level: Array, active: NDArray[np.bool_]) -> list[float]:
    inside = level[active]
    steps = np.diff(level)
    envelope = level - level.mean()
    modulation = np.abs(np.fft.rfft(envelope * np.hanning(len(envelope)), 128)) ** 2
    rate_hz = np.arange(65) * (100.0 / 128)
    total = modulation[rate_hz < 32].sum() + 1e-6
    return [
        float(inside.std()),
        float(np.percentile(inside, 90) - np.percentile(inside, 10)),
        float(np.abs(steps).mean()),
        float(np.percentile(steps, 95)),
        float(np.percentile(steps, 5)),
        float(active.mean()),
        float(np.diff(active.astype(np.int8)).clip(0).sum()),
        *(
            float(modulation[(rate_hz >= low) & (rate_hz < high)].sum() / total)
            for low, high in ((1, 3), (3, 6), (6, 10), (10, 20))
        ),
    ]


def _balance_values(power: Array, active: NDArray[np.bool_], voiced: NDArray[np.bool_], paired: int) -> list[float]:
    spoken = power[:paired][voiced] if voiced.sum() >= 3 else power[active]
    low, high = band_db(spoken, 50, 1_000), band_db(spoken, 1_000, 5_000)
    decibel = 10.0 * np.log10(spoken + 1e-12)
    hammarberg = decibel[:, (FREQUENCIES_HZ < 2_000)].max(axis=1) - decibel[
        :, (FREQUENCIES_HZ >= 2_000) & (FREQUENCIES_HZ < 5_000)
    ].max(axis=1)
    slopes = []
    for start_hz, end_hz in ((50, 500), (500, 1_500), (1_500, 5_000)):
        inside = (start_hz <= FREQUENCIES_HZ) & (end_hz > FREQUENCIES_HZ)
        axis = FREQUENCIES_HZ[inside] - FREQUENCIES_HZ[inside].mean()
        slopes.append((decibel[:, inside] * axis).sum(axis=1) / (axis**2).sum() * 1_000.0)
    centroid = spectral_centroid_hz(power[active]) / 1_000.0
    shape = np.sqrt(power)
    shape = shape / (shape.sum(axis=1, keepdims=True) + 1e-9)
    flux = np.sqrt(np.square(np.diff(shape, axis=0)).sum(axis=1))[active[1:]]
    if not len(flux):
        flux = np.zeros(1)
    values: list[float] = []
    for series in (low - high, hammarberg, *slopes, centroid, flux):
        values += [float(series.mean()), float(series.std())]
    return values


FEATURES: Final = 3 * (CEPSTRA - 1) + 12 + 11 + 14
"""Length of the vector of :func:`emotion_features`."""
VOICED_SHARE: Final = 3 * (CEPSTRA - 1) + 9
"""Place in that vector of the share of frames with a pitch, 0..1."""
