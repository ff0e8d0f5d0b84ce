"""Heads of somebody's own ONNX files, as a :class:`~inference_workers.face_chain.FaceChain` describes them.

Every head is tried on a blank picture when it is made, so what the description and the file say differently is told at
the start and not by the first face.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_crops import Framing, cut
from inference_workers.engines.face_geometry import Roi, sigmoid
from inference_workers.engines.onnx_sessions import CPU, Execution, open_session
from inference_workers.engines.protocols import Picture, Told
from inference_workers.face_chain import FaceChain, Head, Input, Output
from runtime.errors import ModelError
from schemas.records import Vector
from schemas.vocabulary import EMOTIONS

T = TypeVar("T")
Numbers = NDArray[np.float64]

DTYPES: Final[Mapping[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
"""What networks may take, in ONNX Runtime's words."""
SUM_TOLERANCE: Final = 0.02
"""Probabilities that sum to 1 within so much are taken for probabilities: heads in half precision are not exact."""
BLANK_SIDE: Final = 64
BLANK: Final = Roi(BLANK_SIDE / 2, BLANK_SIDE / 2, BLANK_SIDE, 0.0)


class OnnxHead:
    """One network that reads a face. To be called from one thread at a time."""

    def __init__(self, head: Head, execution: Execution = CPU) -> None:
        """Load and try the network; raises ModelError if it is not as described."""
        self._head = head
        self._session = open_session(head.file, execution)
        self._framing = Framing(head.crop.scale, head.crop.rise, head.crop.upright)
        feed = _named(head, "input", head.input.name, self._session.get_inputs())
        if len(self._session.get_inputs()) != 1:
            raise ModelError(f"{head.file} takes {_names(self._session.get_inputs())}: a head takes one picture")
        if feed.type not in DTYPES:
            raise ModelError(f"{head.file}: its input {feed.name} is {feed.type}, not one of {', '.join(DTYPES)}")
        self._dtype = DTYPES[feed.type]
        self._feed = feed.name
        wanted = _shape(head.input)
        if len(feed.shape) != len(wanted) or any(
            isinstance(has, int) and has != want for has, want in zip(feed.shape, wanted, strict=True)
        ):
            raise ModelError(
                f"{head.file}: its input {feed.name} has the shape {feed.shape}, and the description says {wanted} "
                f"({head.input.layout}, {head.input.colour}, size {head.input.size}): mend size, layout or colour"
            )
        given = self._session.get_outputs()
        self._outputs = [(_named(head, "output", each.name, given).name, each) for each in head.outputs]
        self._fetched = sorted({name for name, _ in self._outputs})
        self._try()

    def read(self, picture: Picture, roi: Roi) -> Told:
        """What the head says of a face; FloatingPointError if its numbers are none that can be meant."""
        rows = self._run(picture, roi)
        scores = None
        values: dict[str, float] = {}
        for name, output in self._outputs:
            row = rows[name][output.first : output.first + len(output.labels)]
            if output.says == "emotions":
                scores = scores_of(output, row)
            else:
                values |= values_of(output, row)
        axes = {axis: values.pop(axis, None) for axis in ("valence", "arousal", "dominance")}
        return Told(scores, **axes, aus=values)

    def _run(self, picture: Picture, roi: Roi) -> Mapping[str, Numbers]:
        face = cut(picture, roi, self._framing, self._head.input.size, grey=self._head.input.colour == "grey")
        prepared = prepare(face, self._head.input).astype(self._dtype)
        answers = self._session.run(self._fetched, {self._feed: prepared})
        return {
            name: np.asarray(each, np.float64).reshape(-1) for name, each in zip(self._fetched, answers, strict=True)
        }

    def _try(self) -> None:
        blank = np.zeros((BLANK_SIDE, BLANK_SIDE, 3), np.uint8)
        try:
            rows = self._run(blank, BLANK)
        except Exception as error:  # onnxruntime has no common base for its errors
            raise ModelError(f"{self._head.file} fails on a blank picture: {error}") from error
        for name in self._fetched:
            self._check_columns(name, len(rows[name]))
        try:
            self.read(blank, BLANK)
        except FloatingPointError as error:
            raise ModelError(f"{self._head.file}: of a blank picture, {error}") from error

    def _check_columns(self, name: str, width: int) -> None:
        """Every number of an output has a label: one too few would shift all the others."""
        labelled: list[int] = []
        for each, output in self._outputs:
            if each == name:
                labelled += range(output.first, output.first + len(output.labels))
        if sorted(labelled) != list(range(width)):
            raise ModelError(
                f"{self._head.file}: its output {name} gives {width} numbers, and the labels are for the columns "
                f"{sorted(labelled)}: each number needs one label, `none` for those to be left out"
            )


class OnnxHeads:
    """All heads of a chain: :class:`~inference_workers.engines.protocols.FaceHeads`."""

    def __init__(self, chain: FaceChain, execution: Execution = CPU) -> None:
        """Load and try every network; raises ModelError if one is not as described."""
        self._heads = [OnnxHead(head, execution) for head in chain.heads]
        self.tells_emotions = any(output.says == "emotions" for _, output in chain.outputs())

    def warm_up(self) -> None:
        """Nothing: every network has run when it was made."""

    def read(self, picture: Picture, roi: Roi) -> Told:
        told = [head.read(picture, roi) for head in self._heads]
        return Told(
            _first(each.scores for each in told),
            _first(each.valence for each in told),
            _first(each.arousal for each in told),
            _first(each.dominance for each in told),
            {name: value for each in told for name, value in each.aus.items()},
        )


def prepare(face: NDArray[np.uint8], described: Input) -> NDArray[Any]:
    """A crop, blue-green-red or grey, as a batch of one in the described colours, range and layout."""
    pixels: NDArray[Any] = face[..., None] if face.ndim == 2 else face
    if described.colour == "rgb":
        pixels = pixels[..., ::-1]
    if described.scale != 1.0 or described.mean != (0.0,) or described.std != (1.0,):
        mean, std = np.array(described.mean, np.float32), np.array(described.std, np.float32)
        pixels = (pixels.astype(np.float32) / np.float32(described.scale) - mean) / std
    if described.layout == "nchw":
        pixels = pixels.transpose(2, 0, 1)
    elif described.layout == "nhw":
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels[None])


def scores_of(output: Output, row: Numbers) -> Vector:
    """A network's numbers as scores of schemas.vocabulary.EMOTIONS, sum 1; raises FloatingPointError."""
    p = _activated(output, row)
    if output.activation != "softmax":
        total = float(p.sum())
        if p.min() < -SUM_TOLERANCE or (output.activation == "none" and abs(total - 1.0) > SUM_TOLERANCE):
            raise FloatingPointError(
                f"{output.name or 'its output'} gives numbers from {p.min():.2f} that sum to {total:.2f}: no "
                "probabilities (activation: softmax, if they are logits)"
            )
        p = np.maximum(p, 0.0) / max(total, 1e-9)
    scores = np.zeros(len(EMOTIONS))
    for word, probability in zip(output.words, p, strict=True):
        if word is None:
            scores += probability / len(EMOTIONS)
        else:
            scores[EMOTIONS.index(word)] += probability
    return tuple((scores / scores.sum()).tolist())


def values_of(output: Output, row: Numbers) -> dict[str, float]:
    """A network's numbers as axes of affect, -1..1, or AUs, 0..1, by name; raises FloatingPointError."""
    least, most = output.least_and_most
    share = np.clip((_activated(output, row) - least) / (most - least), 0.0, 1.0)
    if output.says == "affect":
        share = 2.0 * share - 1.0
    return {word: float(value) for word, value in zip(output.words, share, strict=True) if word is not None}


def _activated(output: Output, row: Numbers) -> Numbers:
    if not np.isfinite(row).all():
        raise FloatingPointError(f"{output.name or 'its output'} gives numbers that are not finite")
    match output.activation:
        case "softmax":
            e = np.exp((row - row.max()) / output.temperature)
            return np.asarray(e / e.sum())
        case "sigmoid":
            return sigmoid(row.astype(np.float32)).astype(np.float64)
        case "tanh":
            return np.asarray(np.tanh(row))
        case _:
            return row


def _shape(described: Input) -> list[int]:
    """What the input's shape should be."""
    axes = {"n": 1, "c": described.channels, "h": described.size, "w": described.size}
    return [axes[axis] for axis in described.layout]


def _named(head: Head, kind: str, name: str, there: Sequence[Any]) -> Any:
    """The input or output of this name, or the only one."""
    found = [each for each in there if each.name == name] if name else list(there)
    if len(found) != 1:
        why = f"has no {kind} {name!r}" if name else f"has {len(there)} {kind}s, and the description does not say which"
        raise ModelError(f"{head.file} {why}: its {kind}s are {_names(there)}; put one of them under name")
    return found[0]


def _names(there: Sequence[Any]) -> str:
    return ", ".join(each.name for each in there)


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
