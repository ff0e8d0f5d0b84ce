"""Smaller forms of our ONNX networks by onnxruntime's own tools, and what each costs. Needs the extra ``quantize``.

``fp16`` computes in half precision where the provider can (GPUs do; onnxruntime's CPU provider computes in float32 and
converts). ``int8`` is static quantisation (QDQ form, weights by channel) with ranges of activations from data of yours.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from inference_workers.engines.face_emotion import SIDE
from inference_workers.engines.onnx_sessions import open_session
from inference_workers.speech.emotion import CLASSES
from inference_workers.speech.features import FEATURES, SAMPLE_RATE_HZ, emotion_features
from inference_workers.training import corpus
from inference_workers.training.face import corpora
from runtime.errors import SettingsError

CALIBRATION_BATCH: Final = 32
CALIBRATION_ITEMS: Final = 1_024
TIMED_RUNS: Final = 60
RANDOM_ITEMS: Final = 256


class Form(StrEnum):
    """What a network is converted to."""

    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Items:
    """Inputs of a network, row by row, and the place of the right answer in its output; no labels: they are random."""

    name: str
    inputs: NDArray[Any]
    labels: NDArray[np.int64] | None

    def where(self, rows: slice) -> "Items":
        """Some of the rows."""
        return Items(self.name, self.inputs[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True, slots=True)
class Measured:
    """One form of a network: ``accuracy`` is None without labels, ``agreement`` is with the form it was made from."""

    bytes: int
    accuracy: float | None
    agreement: float
    ms: float
    """Median CPU time of one item alone, on one thread of this machine."""


def _faces(folder: Path | None) -> Items:
    if folder is None:
        return Items("pictures", _random().integers(0, 256, (RANDOM_ITEMS, SIDE, SIDE), np.uint8), None)
    faces = corpora.of_folders(folder)
    return Items("pictures", faces.pictures, faces.labels)


def _speech(folder: Path | None) -> Items:
    if folder is None:
        return Items("features", _random().normal(0.0, 1.0, (RANDOM_ITEMS, FEATURES)).astype(np.float32), None)
    clips = [clip for clip in corpus.read(folder) if clip.label in CLASSES]
    rows, labels = [], []
    for clip in clips:
        samples = corpus.load(clip.path)
        samples = np.pad(samples, (0, max(0, SAMPLE_RATE_HZ - len(samples))))
        middle = (len(samples) - SAMPLE_RATE_HZ) // 2
        rows.append(emotion_features(samples[middle : middle + SAMPLE_RATE_HZ]))
        labels.append(CLASSES.index(clip.label))
    return Items("features", np.stack(rows).astype(np.float32), np.array(labels, np.int64))


READERS: Final[Mapping[str, Callable[[Path | None], Items]]] = {"face_emotion": _faces, "speech_emotion": _speech}
"""Networks that can be converted, and what reads data for each. Others keep a state, or are not ONNX."""


def items_of(name: str, data: Path | None) -> Items:
    """Inputs for the named network from a folder in a layout of its corpora, in random order; none: random inputs.

    Raises SettingsError for a network that is not known, PrerequisiteError if the folder holds nothing.
    """
    if name not in READERS:
        raise SettingsError(f"{name} cannot be quantised; these can: {', '.join(READERS)}")
    items = READERS[name](data)
    order = _random().permutation(len(items.inputs))
    return Items(items.name, items.inputs[order], None if items.labels is None else items.labels[order])


def convert(source: Path, target: Path, form: Form, calibration: Items) -> None:
    """Write ``source`` in another form; ``calibration`` is used for int8 alone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # Constants are folded first: weights that are kept as float16 become float32 again.
        folded = Path(scratch) / "folded.onnx"
        quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
        if form is Form.FP16:
            onnx.save(convert_float_to_float16(onnx.load(str(folded)), keep_io_types=True), str(target))
            return
        with contextlib.redirect_stdout(io.StringIO()):  # the calibration prints what it is about
            quantize_static(
                str(folded),
                str(target),
                _Batches(calibration.where(slice(CALIBRATION_ITEMS))),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                calibrate_method=CalibrationMethod.Percentile,
            )


def measure(path: Path, items: Items, reference: NDArray[np.int64] | None) -> tuple[Measured, NDArray[np.int64]]:
    """Size, speed, and answers of a network; ``reference``: the answers to agree with."""
    session = open_session(path)

    def answers(inputs: NDArray[Any]) -> NDArray[np.int64]:
        (probabilities,) = session.run(None, {items.name: inputs})
        return np.asarray(probabilities.argmax(axis=1), np.int64)

    batches = range(0, len(items.inputs), CALIBRATION_BATCH)
    found = np.concatenate([answers(items.inputs[at : at + CALIBRATION_BATCH]) for at in batches])
    times = []
    for number in range(TIMED_RUNS):
        at = number % len(items.inputs)
        began = time.process_time()
        answers(items.inputs[at : at + 1])
        times.append(time.process_time() - began)
    accuracy = None if items.labels is None else float((found == items.labels).mean())
    agreement = 1.0 if reference is None else float((found == reference).mean())
    return Measured(path.stat().st_size, accuracy, agreement, float(np.median(times)) * 1e3), found


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Feeds for the calibration."""

    def __init__(self, items: Items) -> None:
        starts = range(0, len(items.inputs), CALIBRATION_BATCH)
        self._left: Iterator[Mapping[str, NDArray[Any]]] = iter(
            [{items.name: items.inputs[at : at + CALIBRATION_BATCH]} for at in starts]
        )

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """The next batch; None after the last."""
        return next(self._left, None)


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


def quantise(source: Path, target: Path, form: Form, items: Items) -> Sequence[tuple[str, Measured]]:
    """Convert, with the first half of labelled items, and measure both forms on the other half.

    Raises SettingsError for int8 without data: ranges of random inputs say nothing of real ones.
    """
    if form is Form.INT8 and items.labels is None:
        raise SettingsError("int8 needs --data: ranges of activations are taken from it, and its other half judges")
    half = len(items.inputs) // 2 if items.labels is not None else 0
    convert(source, target, form, items.where(slice(half)))
    judged = items.where(slice(half, None))
    before, answers = measure(source, judged, None)
    after, _ = measure(target, judged, answers)
    return [("now", before), (form.value, after)]
