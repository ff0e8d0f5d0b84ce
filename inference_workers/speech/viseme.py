"""Mouth shapes from the spectrum of the last 55 ms: a classifier of band levels, without phonemes. Pure.

It is what visemes fall back to when the network (:mod:`inference_workers.engines.viseme_network`) fails.

A hop's sound is described by ten levels in dB: how loud it is against the session's loud speech, and the share of
nine frequency bands. Each viseme but silence has a typical description (:data:`PROTOTYPES`); the weights are the
softmax of the squared distances in units of :data:`SPREADS`. Open vowels stand out by energy around 1 kHz, rounded
ones by its lack above 1 to 2 kHz, spread ones by a gap between 600 Hz and 2 kHz, fricatives by the bands above
2.8 kHz, closures by low level, nasals by the lowest band. Silence gets what the speaking probability leaves.

Voices and microphones tilt the spectrum, each in its own way: the bands are taken relative to the session's own average
over its speech, which starts at that of the prototypes' voices and is learnt within seconds.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.features import FRAME, FREQUENCIES_HZ, STEP, Samples, frames, power_spectrum
from schemas.vocabulary import VISEMES

Array = NDArray[np.float64]

SPAN: Final = FRAME + 3 * STEP
"""Samples that are looked at: four frames."""

BANDS_HZ: Final = (80, 300, 600, 1_000, 1_500, 2_000, 2_800, 3_800, 5_200, 8_000)
"""Edges of the nine bands."""

PROTOTYPES: Final = {
    #       loud  -300  -600   -1k -1.5k   -2k -2.8k -3.8k -5.2k   -8k
    "PP": (-12, -5, -7, -14, -13, -24, -20, -20, -24, -35),
    "FF": (-20, -6, -8, -20, -19, -20, -20, -18, -19, -19),
    "TH": (-18, -5, -6, -18, -21, -22, -19, -18, -18, -20),
    "DD": (-20, -6, -8, -17, -18, -18, -18, -17, -13, -13),
    "kk": (-18, -14, -10, -17, -16, -17, -11, -15, -11, -17),
    "CH": (-12, -15, -15, -29, -31, -22, -8, -9, -7, -8),
    "SS": (-15, -6, -11, -26, -23, -24, -23, -18, -7, -7),
    "nn": (-11, -2, -5, -20, -32, -22, -23, -22, -25, -37),
    "RR": (-7, -9, -3, -20, -12, -11, -14, -15, -28, -34),
    "aa": (-4, -12, -6, -4, -7, -17, -17, -17, -21, -37),
    "E": (-6, -10, -3, -9, -20, -12, -15, -16, -20, -37),
    "ih": (-6, -6, -3, -34, -49, -28, -12, -13, -18, -35),
    "oh": (-4, -11, -3, -6, -9, -44, -19, -20, -26, -35),
    "ou": (-6, -6, -3, -17, -13, -38, -21, -19, -32, -35),
}
"""Medians over hops of espeak-ng 1.52, six English voices at two speeds and pitches, labelled by its phoneme events."""

SPREADS: Final = (5.5, 7.2, 4.9, 8.3, 9.3, 10.0, 6.2, 4.9, 9.9, 7.8)
"""Standard deviation of each level around its viseme's median, over all visemes."""

FLOOR_DB: Final = -32.0
"""Weaker bands count as this: rooms and microphones fill what a synthesiser leaves empty."""
SOFTNESS: Final = 2.0
"""Divides the log-likelihoods: neighbouring hops share sound, and voices differ from the prototypes."""
LOUD_FALLS_DB: Final = 0.05
"""The loudness reference falls by this a hop (1.25 dB a second) and rises at once."""
QUIETEST_LOUD_DB: Final = -55.0
HEARD_WITHIN_DB: Final = 20.0
"""Hops that are at most this much below the loud speech teach the voice's average."""
VOICE_WEIGHT: Final = 0.01
"""Of a new hop in the voice's average bands: a time constant of 4 s of speech."""
SPOKEN_FROM: Final = 0.3
SPOKEN_TO: Final = 0.7
"""Silence has weight 1 at a speaking probability up to the first, 0 from the second on."""
UNHEARD_DB: Final = -34.0
HEARD_DB: Final = -26.0
"""And weight 1 up to the first level against the loud speech, 0 from the second on: a pause has no mouth shape."""

_NAMES: Final = tuple(PROTOTYPES)
_PROTOTYPES: Final[Array] = np.maximum(np.array([PROTOTYPES[name] for name in _NAMES], np.float64), FLOOR_DB)
_SPREADS: Final[Array] = np.array(SPREADS, np.float64)
_BAND_OF_BIN: Final[Array] = (
    (FREQUENCIES_HZ[:, None] >= np.array(BANDS_HZ[:-1])) & (FREQUENCIES_HZ[:, None] < np.array(BANDS_HZ[1:]))
).astype(np.float64)
_ORDER: Final = [_NAMES.index(name) if name in _NAMES else len(_NAMES) for name in VISEMES]


_AVERAGE_DB: Final[Array] = np.array([-9.2, -6.1, -15.4, -17.6, -21.8, -18.3, -17.4, -21.3, -27.4])
"""Average band levels of the prototypes' voices over their speech, floored."""

_RELATIVE: Final[Array] = _PROTOTYPES - np.concatenate(([0.0], _AVERAGE_DB))


class Voice:
    """How loud a session's loud speech is (dB of frame power), and its average band levels (dB)."""

    def __init__(self) -> None:
        self.loud_db = QUIETEST_LOUD_DB
        self.bands_db: Array = _AVERAGE_DB

    def fall_silent(self) -> None:
        """Nothing to forget: only the voice is remembered."""

    def describe(self, level_db: float, bands_db: Array, speaking: float) -> Array:
        """The ten levels against the voice's own; learns from speech only."""
        if speaking >= SPOKEN_TO:
            self.loud_db = max(level_db, self.loud_db - LOUD_FALLS_DB, QUIETEST_LOUD_DB)
            if level_db >= self.loud_db - HEARD_WITHIN_DB:
                self.bands_db = self.bands_db + VOICE_WEIGHT * (bands_db - self.bands_db)
        return np.concatenate(([level_db - self.loud_db], bands_db - self.bands_db))


def visemes(
    sounds: Samples, voices: Sequence[Voice], speaking: Sequence[float]
) -> Sequence[tuple[tuple[float, ...], float]]:
    """Weights in the order of :data:`schemas.vocabulary.VISEMES`, summing to 1, and a confidence, for each session.

    ``sounds`` is (n, SPAN): each session's last 55 ms; ``speaking`` its speaking probability. The confidence is the
    largest weight.
    """
    power = power_spectrum(frames(sounds)).mean(axis=1)
    total_db = 10.0 * np.log10(power.sum(axis=1) + 1e-12)
    bands_db = 10.0 * np.log10(power @ _BAND_OF_BIN + 1e-13) - total_db[:, None]
    bands_db = np.maximum(bands_db, FLOOR_DB)
    described = np.stack(
        [
            voice.describe(float(level), bands, said)
            for voice, level, bands, said in zip(voices, total_db, bands_db, speaking, strict=True)
        ]
    )
    heard = np.clip((described[:, 0] - UNHEARD_DB) / (HEARD_DB - UNHEARD_DB), 0.0, 1.0)
    described[:, 0] = np.clip(described[:, 0], FLOOR_DB, 3.0)
    distance = ((described[:, None, :] - _RELATIVE) / _SPREADS) ** 2
    evidence = -0.5 * distance.sum(axis=2) / SOFTNESS
    likely = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    spoken = np.clip((np.asarray(speaking) - SPOKEN_FROM) / (SPOKEN_TO - SPOKEN_FROM), 0.0, 1.0)
    shaped = (spoken * heard)[:, None]
    weights = np.hstack((likely * shaped, 1.0 - shaped))[:, _ORDER]
    return [(tuple(row), max(row)) for row in weights.tolist()]


class SpectralVisemes:
    """The classifier as a :class:`inference_workers.engines.protocols.VisemeEngine`."""

    source: Final = "spectral-visemes@1"

    def begin(self) -> Voice:
        return Voice()

    def warm_up(self) -> None:
        """Nothing to warm."""

    def infer(
        self, sounds: Samples, memories: Sequence[Voice], speaking: Sequence[float]
    ) -> Sequence[tuple[tuple[float, ...], float]]:
        return visemes(sounds, memories, speaking)
