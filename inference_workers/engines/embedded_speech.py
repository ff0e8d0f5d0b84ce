"""The default speech engine: acoustic features and a small network of our own, 0.2 MB, on one thread.

How it was trained and how well it answers: ``inference_workers/weights/speech_emotion.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from inference_workers.engines.onnx_sessions import CPU, Execution, open_session
from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.speech import emotion
from inference_workers.speech.features import FEATURES, SAMPLE_RATE_HZ, VOICED_SHARE, emotion_features
from runtime.errors import ModelError


class EmbeddedSpeech:
    """Emotion of windows of speech; see :class:`inference_workers.engines.protocols.SpeechEngine`."""

    source: Final = "embedded-speech@1"
    max_batch: Final = 32

    def __init__(self, weights: Path, execution: Execution = CPU) -> None:
        """Load the network; raises ModelError if the file is not ours."""
        self._session = open_session(weights, execution)
        takes, gives = self._session.get_inputs()[0].shape, self._session.get_outputs()[0].shape
        if takes[1:] != [FEATURES] or gives[1:] != [len(emotion.CLASSES)]:
            raise ModelError(
                f"{weights} takes {takes} and gives {gives}, not {FEATURES} features and {len(emotion.CLASSES)} classes"
            )

    def warm_up(self) -> None:
        self.infer([np.zeros(SAMPLE_RATE_HZ, np.float32)])

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        features = np.stack([emotion_features(window) for window in windows])
        (probabilities,) = self._session.run(None, {"features": features})
        voiced = features[:, VOICED_SHARE].tolist()
        return [answer_of(tuple(row), share) for row, share in zip(probabilities.tolist(), voiced, strict=True)]


def answer_of(probabilities: tuple[float, ...], voiced: float) -> SpeechEmotion:
    """The model's probabilities for a window (speech.emotion.CLASSES), of which a share is voiced, as an answer."""
    scores, unknown = emotion.scores_from(probabilities)
    affect = of_scores(scores)
    return SpeechEmotion(
        scores=scores,
        unknown=unknown,
        confidence=emotion.confidence_of(scores, voiced),
        valence=affect.valence,
        arousal=affect.arousal,
        dominance=affect.dominance,
    )
