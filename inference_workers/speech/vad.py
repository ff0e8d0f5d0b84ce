"""Voice activity: hops of 640 samples on one side, the detector's windows of 512 on the other. Pure.

Windows lie on the absolute grid of 512 samples, so that a restarted worker cuts the same ones. A hop's speaking
probability is the largest of the windows that end within it (one or two): a voice is noticed at once. It falls at
most by the factor :data:`RELEASE` a hop, which bridges the closures inside words.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.timeline import Hop

Samples = NDArray[np.float32]

WINDOW: Final = 512
CONTEXT: Final = 64
STATE: Final = 128
RELEASE: Final = 0.75
"""From 1 to below 0.3 in 5 hops, 200 ms."""


class VoiceDetector(Protocol):
    """A recurrent network that says for each window how probably it holds a voice."""

    def probabilities(self, windows: Samples, states: Samples) -> tuple[Samples, Samples]:
        """(n, CONTEXT + WINDOW) samples and (2, n, STATE) states to (n,) probabilities and the next states."""
        ...


class Voice:
    """What the detector remembers of one session."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.state: Samples = np.zeros((2, STATE), np.float32)
        self.probability = 0.0
        self._context: Samples = np.zeros(CONTEXT, np.float32)
        self._tail: Samples = np.zeros(0, np.float32)
        self._begun = False

    def windows(self, hop: Hop) -> Sequence[Samples]:
        """The windows (CONTEXT + WINDOW samples each) that end within this hop: none to two, in order."""
        if hop.first:
            self._reset()
        sound = hop.samples
        if not self._begun:
            start = hop.end - len(sound)
            sound = sound[-start % WINDOW :]
            self._begun = True
        sound = np.concatenate((self._tail, sound))
        result = []
        while len(sound) >= WINDOW:
            result.append(np.concatenate((self._context, sound[:WINDOW])))
            self._context = sound[WINDOW - CONTEXT : WINDOW]
            sound = sound[WINDOW:]
        self._tail = sound
        return result

    def settle(self, largest: float | None) -> float:
        """The hop's speaking probability from its windows' largest; None: no window ended within it."""
        if largest is not None:
            self.probability = max(largest, self.probability * RELEASE)
        return self.probability


def speaking_probabilities(detector: VoiceDetector, voices: Sequence[Voice], hops: Sequence[Hop]) -> Sequence[float]:
    """The speaking probability of one hop of each of several sessions, inferred together."""
    pending = [list(voice.windows(hop)) for voice, hop in zip(voices, hops, strict=True)]
    largest: list[float | None] = [None] * len(hops)
    for place in range(max((len(windows) for windows in pending), default=0)):
        rows = [row for row, windows in enumerate(pending) if len(windows) > place]
        sound = np.stack([pending[row][place] for row in rows])
        states = np.stack([voices[row].state for row in rows], axis=1)
        probabilities, states = detector.probabilities(sound, states)
        for column, row in enumerate(rows):
            voices[row].state = states[:, column]
            probability = float(probabilities[column])
            known = largest[row]
            largest[row] = probability if known is None else max(known, probability)
    return [voice.settle(value) for voice, value in zip(voices, largest, strict=True)]
