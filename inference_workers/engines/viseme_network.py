"""The viseme network: causal convolutions over log mel frames, 0.3 MB, on one thread.

How it was trained and how well it answers: ``inference_workers/weights/viseme.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from inference_workers.engines.onnx_sessions import open_session
from inference_workers.engines.protocols import Samples
from inference_workers.speech import articulation
from inference_workers.speech.articulation import CONTEXT, SPAN, Mouth
from inference_workers.speech.features import MELS
from runtime.errors import ModelError
from schemas.records import Vector
from schemas.vocabulary import VISEMES


class VisemeNetwork:
    """Visemes of the newest hop; see :class:`inference_workers.engines.protocols.VisemeEngine`."""

    source: Final = "viseme-network@1"

    def __init__(self, weights: Path) -> None:
        """Load the network; raises ModelError if the file is not ours."""
        self._session = open_session(weights)
        takes, gives = self._session.get_inputs()[0].shape, self._session.get_outputs()[0].shape
        if takes[1:] != [MELS, CONTEXT] or gives[1:] != [len(VISEMES)]:
            raise ModelError(
                f"{weights} takes {takes} and gives {gives}, not {MELS} bands of {CONTEXT} frames and "
                f"{len(VISEMES)} visemes"
            )

    def begin(self) -> Mouth:
        return Mouth()

    def warm_up(self) -> None:
        self.infer(np.zeros((1, SPAN), np.float32), [Mouth()], [0.0])

    def infer(
        self, sounds: Samples, memories: Sequence[Mouth], speaking: Sequence[float]
    ) -> Sequence[tuple[Vector, float]]:
        seen = articulation.hear(sounds, memories, speaking)
        (found,) = self._session.run(None, {"frames": seen})
        return articulation.weigh(found, speaking)
