"""SenseVoice by FunASR on PyTorch: emotion, language and audio event of windows of speech.

What it answers is read from its logits, not from its text: see :mod:`inference_workers.speech.rich_tokens`. What was
said is neither decoded nor kept: consent is for emotions, not for words.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from funasr import AutoModel
from funasr.utils.load_utils import extract_fbank

from inference_workers import sensevoice_model
from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.speech.features import SAMPLE_RATE_HZ
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

LANGUAGE_AUTO: Final = "auto"
WITHOUT_TEXT_NORM: Final = "woitn"
EMOTION_AND_EVENT: Final = (1, 2)
"""Which embeddings ask for the emotion and the event; the model has names only for those of languages and styles."""


class SenseVoice:
    """A :class:`inference_workers.engines.protocols.SpeechEngine`. To be called from one thread, as FunASR is."""

    source: Final = "sensevoice@1"
    max_batch: Final = 32

    def __init__(self, path: Path, *, device: str = "cpu", language: str = LANGUAGE_AUTO) -> None:
        """Load a directory of SenseVoice's files; raises ModelError.

        ``device``: as torch names it; without it the CPU is taken, and the log says so. ``language`` tells the model
        what is spoken.
        """
        try:
            with _quietly():
                self._auto: Any = AutoModel(
                    model=str(path), device=device, disable_update=True, disable_pbar=True, disable_log=True, ncpu=1,
                    log_level="ERROR", frontend_conf={"dither": 0.0},
                )  # fmt: skip
        except Exception as error:
            raise ModelError(f"FunASR does not load {path}: {type(error).__name__}: {error}") from error
        self._model: Any = self._auto.model
        if type(self._model).__name__ != "SenseVoiceSmall":
            raise ModelError(f"{path} holds {type(self._model).__name__}, not SenseVoiceSmall")
        _check_weights(self._model, path / sensevoice_model.WEIGHTS)
        self._frontend: Any = self._auto.kwargs["frontend"]
        if self._frontend.dither:  # noise on the sound would make every answer another
            raise ModelError(f"FunASR dithers the sound in spite of what it was told: {path}")
        self._device = torch.device(self._auto.kwargs["device"])
        if self._device.type != torch.device(device).type:
            log.warning("torch has no %s here: SenseVoice runs on the CPU", device)
        if language not in self._model.lid_dict:
            raise SettingsError(f"SenseVoice knows no language {language!r}: {', '.join(self._model.lid_dict)}")
        self._vocabulary = Vocabulary.of(sensevoice_model.token_list(path), str(path))
        if self._vocabulary.size != self._model.vocab_size:
            raise ModelError(f"{path} lists {self._vocabulary.size} tokens, its model has {self._model.vocab_size}")
        asked = [
            self._model.lid_dict[language], *EMOTION_AND_EVENT, self._model.textnorm_dict[WITHOUT_TEXT_NORM],
        ]  # fmt: skip
        with torch.inference_mode():
            self._queries: Any = self._model.embed(torch.tensor([asked], device=self._device))

    def warm_up(self) -> None:
        self.infer([np.zeros(SAMPLE_RATE_HZ, np.float32)])

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        return [felt(reading) for reading in self.read(windows)]

    def read(self, windows: Sequence[Samples]) -> Sequence[Reading]:
        """All that a window says, one reading a window; windows are of one length. Blocks for the inference."""
        logits = self.logits(windows)
        rows = [
            logits[:, row, torch.as_tensor(ids, device=logits.device)].float().cpu().numpy()
            for row, ids in (
                (LANGUAGE_ROW, self._vocabulary.languages),
                (EMOTION_ROW, self._vocabulary.emotions),
                (EVENT_ROW, self._vocabulary.events),
            )
        ]
        paths = logits[:, QUERIES:].argmax(-1).cpu().numpy()
        return [self._vocabulary.reading(*each) for each in zip(*rows, paths, strict=True)]

    def logits(self, windows: Sequence[Samples]) -> Any:
        """The CTC layer's answer, windows x rows x tokens, on the engine's device."""
        sounds = [torch.from_numpy(np.ascontiguousarray(window)) for window in windows]
        with torch.inference_mode():
            features, lengths = extract_fbank(sounds, data_type="sound", frontend=self._frontend)
            queries = self._queries.expand(len(windows), -1, -1)
            asked = torch.cat((queries, features.to(self._device)), dim=1)
            encoded, _ = self._model.encoder(asked, lengths.to(self._device) + QUERIES)
            return self._model.ctc.ctc_lo(encoded)

    def export_onnx(self, target: Path) -> Path:
        """Write ``model.onnx`` into a directory by FunASR's own export; returns its path. Blocks, for minutes."""
        with _quietly():
            self._auto.export(type="onnx", quantize=False, opset_version=18, output_dir=str(target), device="cpu")
        return target / sensevoice_model.ONNX


@contextmanager
def _quietly() -> Iterator[None]:
    """FunASR prints, and logs by the root logger, each file that it reads; torch's export warns of FunASR's ways."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _check_weights(model: Any, path: Path) -> None:
    """Raise ModelError if the file's weights are not the model's: FunASR goes on with random ones in silence."""
    try:
        held = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # whatever pickle and zip raise
        raise ModelError(f"{path} holds no weights: {error}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        held = held.get(key, held)
    found = {name: tuple(value.shape) for name, value in held.items() if hasattr(value, "shape")}
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [name for name, shape in wanted.items() if found.get(name) != shape]
    if wrong:
        raise ModelError(f"{path}: {len(wrong)} of {len(wanted)} weights are missing or of another shape: {wrong[0]} …")
