"""What the viseme network hears, and what becomes of its answer. Pure.

The network sees the last :data:`CONTEXT` frames of log mel bands, 25 ms every 10 ms, up to the end of the hop. Voices,
microphones and gains differ in level and tilt: each frame is taken relative to the session's own average spectrum over
its speech, which is learnt within the first second of it and then follows slowly (cepstral mean normalisation, Atal,
JASA 55, 1974). What is older than the context has no influence but through that average.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.features import FRAME, MELS, STEP, Samples, frames, log_mel, power_spectrum
from schemas.vocabulary import VISEMES

Array = NDArray[np.float64]
Frames = NDArray[np.float32]

FRAMES: Final = 4
"""New frames in a hop."""
SPAN: Final = FRAME + (FRAMES - 1) * STEP
"""Samples that those cover: the hop's 40 ms and the 15 ms before it."""
CONTEXT: Final = 31
"""Frames that the network sees, 325 ms."""
LOWEST: Final = -9.0
HIGHEST: Final = 5.0
"""Bounds of a relative log mel band, natural logarithm of power: -39 and 22 dB."""
START: Final = -13.0
"""Log mel bands that a voice is expected to have before it was heard: speech at about -30 dBFS."""
KNOWN_BEFORE: Final = 2.0
"""That expectation counts as so many hops of speech."""
FOLLOWS: Final = 0.01
"""Least share of a new hop in the average: it follows with a time constant of 4 s of speech."""
LOUD_FALLS: Final = 0.012
"""The loudness reference falls by this a hop (1.3 dB a second) and rises at once."""
HEARD_WITHIN: Final = 4.6
"""Hops that are at most this much (20 dB) below the loud speech teach the average."""
SPOKEN_FROM: Final = 0.3
SPOKEN_TO: Final = 0.7
"""Silence has all the weight at a speaking probability up to the first, the network's from the second on."""


class Mouth:
    """What is remembered of one session: its last frames and its average spectrum."""

    def __init__(self) -> None:
        self.recent: Frames = np.full((CONTEXT, MELS), LOWEST, np.float32)
        self.average: Array = np.full(MELS, START)
        self.heard = KNOWN_BEFORE
        self.loud = -np.inf

    def hear(self, mels: Array, speaking: float) -> None:
        """Take in the hop's frames, (FRAMES, MELS) log mel bands; the average learns from speech only."""
        if speaking >= SPOKEN_TO:
            level = float(np.log(np.exp(mels).sum(axis=1).mean()))
            self.loud = max(level, self.loud - LOUD_FALLS)
            if level >= self.loud - HEARD_WITHIN:
                self.heard += 1.0
                self.average = self.average + max(1.0 / self.heard, FOLLOWS) * (mels.mean(axis=0) - self.average)
        self.recent[:-FRAMES] = self.recent[FRAMES:]
        self.recent[-FRAMES:] = np.clip(mels - self.average, LOWEST, HIGHEST)

    def fall_silent(self) -> None:
        """Forget the last frames: the sound that comes now does not continue them."""
        self.recent[:] = LOWEST


def hear(sounds: Samples, mouths: Sequence[Mouth], speaking: Sequence[float]) -> Frames:
    """(n, SPAN) samples, the newest of each session, to the network's input, (n, MELS, CONTEXT)."""
    mels = log_mel(power_spectrum(frames(sounds)))
    for mouth, rows, said in zip(mouths, mels, speaking, strict=True):
        mouth.hear(rows, said)
    return np.stack([mouth.recent.T for mouth in mouths])


def weigh(found: Frames, speaking: Sequence[float]) -> Sequence[tuple[tuple[float, ...], float]]:
    """Weights in the order of :data:`schemas.vocabulary.VISEMES`, summing to 1, and the largest, for each session.

    ``found`` is the network's (n, len(VISEMES)) probabilities; where nobody speaks, silence takes their place.
    """
    spoken = np.clip((np.asarray(speaking) - SPOKEN_FROM) / (SPOKEN_TO - SPOKEN_FROM), 0.0, 1.0)[:, None]
    weights = found * spoken
    weights[:, VISEMES.index("sil")] += 1.0 - spoken[:, 0]
    return [(tuple(row), max(row)) for row in weights.tolist()]
