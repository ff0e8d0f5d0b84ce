"""Speech by a model on Triton, or any server of the Open Inference Protocol (KServe v2)."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference_workers.engines.kserve_model import WARM_UP_S, KServeModel, Tensor
from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.served import Address
from inference_workers.speech.features import SAMPLE_RATE_HZ
from runtime.errors import ModelError, ModelServerError, SettingsError
from schemas.vocabulary import EMOTIONS

MAX_BATCH: Final = 32
SUM_TOLERANCE: Final = 0.01


class KServeSpeech:
    """Emotion of windows by a served model: FP32 of n x 16,000 in, probabilities of n x labels out.

    A :class:`inference_workers.engines.protocols.SpeechEngine`. Labels that are none of our emotions are unknown mass.
    """

    max_batch: Final = MAX_BATCH

    def __init__(self, url: str, *, timeout_s: float, labels: Sequence[str], token: str = "") -> None:
        """``labels``: what the outputs mean, in order; raises SettingsError."""
        if len(set(labels)) != len(labels) or not set(labels) & set(EMOTIONS):
            raise SettingsError(f"AFFECTSTREAM_SPEECH_LABELS {','.join(labels)!r} names none of {', '.join(EMOTIONS)}")
        try:
            address = Address.of(url)
        except ValueError as error:
            raise SettingsError(f"AFFECTSTREAM_SPEECH_URL: {error}") from error
        self._model = KServeModel(address, timeout_s=timeout_s, token=token)
        self._labels = tuple(labels)
        self._places = [labels.index(name) if name in labels else -1 for name in EMOTIONS]

    @property
    def source(self) -> str:
        """The served model's name: ``kserve:MODEL@1``."""
        return f"kserve:{self._model.address.model}@1"

    def warm_up(self) -> None:
        """Ask the server for the model and one answer; raises ModelServerError, ModelError."""
        shape = self._model.input().shape
        if len(shape) != 2 or shape[1] not in {-1, SAMPLE_RATE_HZ}:
            raise ModelError(f"{self._model.address} takes {list(shape)}, not [-1, {SAMPLE_RATE_HZ}]")
        self._ask(np.zeros((1, SAMPLE_RATE_HZ), np.float32), WARM_UP_S)

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        return self._ask(np.stack(windows), None)

    def _ask(self, batch: Tensor, timeout_s: float | None) -> Sequence[SpeechEmotion]:
        found = self._model.infer(batch, timeout_s)
        wanted = (len(batch), len(self._labels))
        probabilities = next((tensor for tensor in found.values() if tensor.shape == wanted), None)
        if probabilities is None:
            shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in found.items())
            raise ModelServerError(f"{self._model.address} gives {shapes}, nothing of {list(wanted)}")
        totals = probabilities.sum(axis=1)
        if probabilities.min() < 0.0 or np.abs(totals - 1.0).max() > SUM_TOLERANCE:
            raise ModelServerError(f"{self._model.address} gives no probabilities: rows sum to {totals[0]:.3f}")
        return [self._emotion(row) for row in (probabilities / totals[:, None]).tolist()]

    def _emotion(self, row: Sequence[float]) -> SpeechEmotion:
        scores = tuple(row[place] if place >= 0 else 0.0 for place in self._places)
        affect = of_scores(scores)
        return SpeechEmotion(
            scores=scores,
            unknown=max(1.0 - sum(scores), 0.0),
            confidence=max(scores),
            valence=affect.valence,
            arousal=affect.arousal,
            dominance=affect.dominance,
        )
