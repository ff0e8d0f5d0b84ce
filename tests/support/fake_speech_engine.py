"""A speech engine and a voice detector that answer from the loudness of what they hear."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.protocols import SpeechEmotion
from schemas.vocabulary import EMOTIONS

Samples = NDArray[np.float32]


class FakeSpeechEngine:
    """Happy in the measure of the window's loudest sample, the rest unknown. ``poison``: windows that it dies of."""

    source = "fake-speech@1"

    def __init__(self, max_batch: int = 4, poison: float = 2.0) -> None:
        self.max_batch = max_batch
        self.poison = poison
        self.windows: list[Samples] = []
        self.calls: list[int] = []

    def warm_up(self) -> None:
        pass

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        self.calls.append(len(windows))
        if any(np.abs(window).max() >= self.poison for window in windows):
            raise RuntimeError("poisoned")
        self.windows += windows
        loudest = [float(np.abs(window).max()) for window in windows]
        return [
            SpeechEmotion(tuple(p if e == "happy" else 0.0 for e in EMOTIONS), 1.0 - p, 0.9, p, p, p) for p in loudest
        ]


class FakeDetector:
    """A voice is whatever is louder than 0.01; its state counts the windows it has heard."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def probabilities(self, windows: Samples, states: Samples) -> tuple[Samples, Samples]:
        self.batches.append(len(windows))
        return (np.abs(windows[:, 64:]).max(axis=1) > 0.01).astype(np.float32), states + np.float32(1)
