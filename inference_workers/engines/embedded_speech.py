"""The default speech engine: acoustic features and two small networks of our own, 0.2 MB each, on one thread.

One answers for a voice in quiet surroundings, the other for a voice in noise, and between the two both, by how far the
voice stands above the noise (:mod:`inference_workers.speech.audibility`). How they were trained and how well they
answer: ``inference_workers/weights/speech_emotion.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from inference_workers.engines.onnx_sessions import CPU, Execution, open_session
from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.speech import emotion
from inference_workers.speech.features import FEATURES, SAMPLE_RATE_HZ, analysed
from runtime.errors import ModelError


class EmbeddedSpeech:
    """Emotion of windows of speech; see :class:`inference_workers.engines.protocols.SpeechEngine`."""

    source: Final = "embedded-speech@2"
    max_batch: Final = 32

    def __init__(self, weights: Path, in_noise: Path | None = None, *, execution: Execution = CPU) -> None:
        """Load the networks for quiet surroundings and for noise; raises ModelError if a file is not ours.

        Without the second the first answers whatever there is to hear.
        """
        self._quiet = _opened(weights, execution)
        self._noisy = None if in_noise is None else _opened(in_noise, execution)

    def warm_up(self) -> None:
        """Silence has no voice that is above anything: both networks answer."""
        self.infer([np.zeros(SAMPLE_RATE_HZ, np.float32)])

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        heard = [analysed(window) for window in windows]
        features = np.stack([each.features for each in heard])
        (probabilities,) = self._quiet.run(None, {"features": features})
        quiet = np.ones(len(heard), np.float32)
        if self._noisy is not None:
            quiet[:] = [emotion.quietness(each.audibility_db) for each in heard]
            rows = np.flatnonzero(quiet < 1.0)
            if len(rows):
                (in_noise,) = self._noisy.run(None, {"features": features[rows]})
                probabilities[rows] = emotion.blended(probabilities[rows], in_noise, quiet[rows])
        answers = zip(probabilities.tolist(), heard, quiet.tolist(), strict=True)
        return [answer_of(tuple(row), each.voiced, share) for row, each, share in answers]


def _opened(weights: Path, execution: Execution) -> onnxruntime.InferenceSession:
    session = open_session(weights, execution)
    takes, gives = session.get_inputs()[0].shape, session.get_outputs()[0].shape
    if takes[1:] != [FEATURES] or gives[1:] != [len(emotion.CLASSES)]:
        raise ModelError(
            f"{weights} takes {takes} and gives {gives}, not {FEATURES} features and {len(emotion.CLASSES)} classes"
        )
    return session


def answer_of(probabilities: tuple[float, ...], voiced: float, quiet: float) -> SpeechEmotion:
    """The probabilities for a window (speech.emotion.CLASSES), of which a share is voiced, as an answer.

    ``quiet``: how much the network for quiet surroundings counted (speech.emotion.quietness).
    """
    scores, unknown = emotion.scores_from(probabilities)
    affect = of_scores(scores)
    return SpeechEmotion(
        scores=scores,
        unknown=unknown,
        confidence=emotion.confidence_of(scores, voiced, quiet),
        valence=affect.valence,
        arousal=affect.arousal,
        dominance=affect.dominance,
    )
