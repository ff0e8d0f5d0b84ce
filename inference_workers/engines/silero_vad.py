"""Silero VAD as ONNX, batched across sessions, on one thread of the CPU: it is too small for anything else."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.onnx_sessions import open_session
from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech.vad import CONTEXT, STATE, WINDOW
from runtime.errors import ModelError

Samples = NDArray[np.float32]

_RATE: Final = np.array(SAMPLE_RATE_HZ, np.int64)


class SileroVad:
    """The detector of silero-vad 6: 64 samples of context and 512 new ones, a recurrent state of 2 x 128."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        names = sorted(each.name for each in self._session.get_inputs())
        if names != ["input", "sr", "state"]:
            raise ModelError(f"{path} is not Silero's detector: it takes {', '.join(names)}")

    def probabilities(self, windows: Samples, states: Samples) -> tuple[Samples, Samples]:
        """See :class:`inference_workers.speech.vad.VoiceDetector`."""
        found, after = self._session.run(None, {"input": windows, "state": states, "sr": _RATE})
        return found[:, 0], after

    def warm_up(self) -> None:
        """Run once, so that the first window costs no more than the others."""
        self.probabilities(np.zeros((1, CONTEXT + WINDOW), np.float32), np.zeros((2, 1, STATE), np.float32))
