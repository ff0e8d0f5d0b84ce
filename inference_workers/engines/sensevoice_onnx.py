"""SenseVoice as ONNX, FunASR's own export, run by ONNX Runtime: no torch, no funasr."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers import sensevoice_model
from inference_workers.engines.onnx_sessions import CPU, Execution, open_session, runs_on
from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech.filterbank import Filterbank, FrontendConf
from inference_workers.speech.rich_tokens import (
    EMOTION_ROW,
    EVENT_ROW,
    LANGUAGE_ROW,
    QUERIES,
    Reading,
    Vocabulary,
    felt,
)
from runtime.errors import ModelError, SettingsError

log = logging.getLogger(__name__)

LANGUAGE_QUERIES: Final = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}
"""Which embedding asks for what: SenseVoiceSmall's own table, which its export does not carry."""
WITHOUT_TEXT_NORM: Final = 15
INPUTS: Final = ("language", "speech", "speech_lengths", "textnorm")


class SenseVoiceOnnx:
    """A :class:`inference_workers.engines.protocols.SpeechEngine`, equal to the one on torch but for rounding."""

    source: Final = "sensevoice-onnx@1"
    max_batch: Final = 32

    def __init__(self, path: Path, *, device: str = "cpu", language: str = "auto") -> None:
        """Load a directory of SenseVoice's files with its ``model.onnx``; raises ModelError, SettingsError.

        ``device``: ``cpu``, or ``cuda`` with onnxruntime-gpu; without it the CPU is taken, and the log says so.
        """
        if language not in LANGUAGE_QUERIES:
            raise SettingsError(f"SenseVoice knows no language {language!r}: {', '.join(LANGUAGE_QUERIES)}")
        self._language = LANGUAGE_QUERIES[language]
        self._features = Filterbank(
            FrontendConf.of(path / sensevoice_model.CONFIG), path / sensevoice_model.STATISTICS
        )  # fmt: skip
        self._vocabulary = Vocabulary.of(sensevoice_model.token_list(path), str(path))
        execution = Execution(("cuda", "cpu")) if device == "cuda" else CPU
        self._session = open_session(path / sensevoice_model.ONNX, execution)
        if runs_on(self._session) not in execution.providers[:1]:
            log.warning("SenseVoice runs on the CPU")
        inputs = {each.name: each.shape for each in self._session.get_inputs()}
        size = self._session.get_outputs()[0].shape[-1]
        if tuple(sorted(inputs)) != INPUTS or inputs["speech"][-1] != self._features.size:
            raise ModelError(f"{path / sensevoice_model.ONNX} is not FunASR's export of SenseVoice: it takes {inputs}")
        if size != self._vocabulary.size:
            raise ModelError(f"{path} lists {self._vocabulary.size} tokens, its {sensevoice_model.ONNX} gives {size}")

    def warm_up(self) -> None:
        self.infer([np.zeros(SAMPLE_RATE_HZ, np.float32)])

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        return [felt(reading) for reading in self.read(windows)]

    def read(self, windows: Sequence[Samples]) -> Sequence[Reading]:
        """All that a window says, one reading a window; windows are of one length. Blocks for the inference."""
        logits = self.logits(windows)
        words = self._vocabulary
        return [
            words.reading(
                rows[LANGUAGE_ROW, words.languages], rows[EMOTION_ROW, words.emotions], rows[EVENT_ROW, words.events],
                rows[QUERIES:].argmax(-1),
            )
            for rows in logits
        ]  # fmt: skip

    def logits(self, windows: Sequence[Samples]) -> NDArray[np.float32]:
        """The network's answer, windows x rows x tokens."""
        features = np.stack([self._features(window) for window in windows])
        count = len(features)
        logits, _ = self._session.run(
            None,
            {
                "speech": features,
                "speech_lengths": np.full(count, features.shape[1], np.int32),
                "language": np.full(count, self._language, np.int32),
                "textnorm": np.full(count, WITHOUT_TEXT_NORM, np.int32),
            },
        )
        return np.asarray(logits, np.float32)
