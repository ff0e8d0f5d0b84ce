"""Heads of a chain: from a face to what a network takes, and from its numbers to what a face says.

Where a network runs is its own affair: in this process (:mod:`inference_workers.engines.onnx_heads`) or on a server
(:mod:`inference_workers.engines.served_heads`). Every head is tried on a blank picture before the first face, so that
what the description and the network say differently is told at the start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_crops import Framing, cut
from inference_workers.engines.face_geometry import Roi, sigmoid
from inference_workers.engines.protocols import SAYS_NOTHING, Face, Told
from inference_workers.face_chain import FaceChain, Head, Input, Output
from inference_workers.probabilities import softmax
from inference_workers.served import TensorSpec
from runtime.errors import ModelError, ModelServerError
from schemas.records import Vector
from schemas.vocabulary import EMOTIONS

T = TypeVar("T")
Numbers = NDArray[np.float64]

SUM_TOLERANCE: Final = 0.02
"""Probabilities that sum to 1 within so much are taken for probabilities: heads in half precision are not exact."""
BLANK_SIDE: Final = 64
BLANK: Final = Roi(BLANK_SIDE / 2, BLANK_SIDE / 2, BLANK_SIDE, 0.0)


class HeadNetwork(Protocol):
    """The network of one head. To be called from one thread at a time."""

    @property
    def max_batch(self) -> int:
        """How many faces are worth asking it together, and at most may be."""
        ...

    @property
    def dtypes(self) -> Mapping[str, Any]:
        """What inputs may be: its word for it, and numpy's."""
        ...

    def inputs(self) -> Sequence[TensorSpec]:
        """What it takes; raises ModelError, or ModelServerError if that cannot be told now."""
        ...

    def outputs(self) -> Sequence[TensorSpec]:
        """What it gives; raises as :meth:`inputs`."""
        ...

    def run(self, feed: str, batch: NDArray[Any], wanted: Sequence[str]) -> Mapping[str, Numbers]:
        """The wanted outputs by name, a row of numbers for each face of the batch. Blocks for the inference."""
        ...


class FaceHead:
    """One network that reads a face. To be called from one thread at a time."""

    def __init__(self, head: Head, network: HeadNetwork) -> None:
        """Neither asks nor tries the network: :meth:`check` does, at the latest when the first face comes."""
        self._head = head
        self._network = network
        self._framing = Framing(head.crop.scale, head.crop.rise, head.crop.upright)
        self._feed = ""
        self._dtype: Any = None
        self._outputs: Sequence[tuple[str, Output]] = ()
        self._fetched: Sequence[str] = ()

    @property
    def max_batch(self) -> int:
        """How many faces are worth reading together."""
        return self._network.max_batch

    def check(self) -> None:
        """Compare the network with the description, and try it; raises ModelError, ModelServerError."""
        head, takes = self._head, self._network.inputs()
        feed = _named(head, "input", head.input.name, takes)
        if len(takes) != 1:
            raise ModelError(f"{head.where} takes {_names(takes)}: a head takes one picture")
        dtypes = self._network.dtypes
        if feed.datatype not in dtypes:
            raise ModelError(f"{head.where}: its input {feed.name} is {feed.datatype}, not one of {', '.join(dtypes)}")
        wanted = _shape(head.input)
        if len(feed.shape) != len(wanted) or any(
            isinstance(has, int) and has not in {-1, want} for has, want in zip(feed.shape, wanted, strict=True)
        ):
            raise ModelError(
                f"{head.where}: its input {feed.name} has the shape {list(feed.shape)}, and the description says "
                f"{wanted} ({head.input.layout}, {head.input.colour}, size {head.input.size}): mend size, layout or "
                "colour"
            )
        given = self._network.outputs()
        self._dtype = dtypes[feed.datatype]
        self._outputs = [(_named(head, "output", each.name, given).name, each) for each in head.outputs]
        self._fetched = sorted({name for name, _ in self._outputs})
        self._feed = feed.name
        self._try()

    def read(self, faces: Sequence[Face]) -> Sequence[Told]:
        """What the head says of each face; FloatingPointError if its numbers are none that can be meant."""
        if not self._fetched:
            self.check()
        told: list[Told] = []
        for start in range(0, len(faces), self.max_batch):
            part = faces[start : start + self.max_batch]
            rows = self._run(part)
            told += [self._told({name: numbers[place] for name, numbers in rows.items()}) for place in range(len(part))]
        return told

    def _told(self, rows: Mapping[str, Numbers]) -> Told:
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

    def _run(self, faces: Sequence[Face]) -> Mapping[str, Numbers]:
        side, grey = self._head.input.size, self._head.input.colour == "grey"
        batch = np.concatenate(
            [prepare(cut(picture, roi, self._framing, side, grey=grey), self._head.input) for picture, roi in faces]
        )
        return self._network.run(self._feed, batch.astype(self._dtype, copy=False), self._fetched)

    def _try(self) -> None:
        blank = (np.zeros((BLANK_SIDE, BLANK_SIDE, 3), np.uint8), BLANK)
        try:
            rows = self._run([blank])
        except ModelServerError:
            raise
        except Exception as error:  # onnxruntime has no common base for its errors
            raise ModelError(f"{self._head.where} fails on a blank picture: {error}") from error
        for name in self._fetched:
            self._check_columns(name, rows[name].shape[1])
        try:
            self.read([blank])
        except FloatingPointError as error:
            raise ModelError(f"{self._head.where}: of a blank picture, {error}") from error

    def _check_columns(self, name: str, width: int) -> None:
        """Every number of an output has a label: one too few would shift all the others."""
        labelled: list[int] = []
        for each, output in self._outputs:
            if each == name:
                labelled += range(output.first, output.first + len(output.labels))
        if sorted(labelled) != list(range(width)):
            raise ModelError(
                f"{self._head.where}: its output {name} gives {width} numbers, and the labels are for the columns "
                f"{sorted(labelled)}: each number needs one label, `none` for those to be left out"
            )


class ChainHeads:
    """All heads of a chain: :class:`~inference_workers.engines.protocols.FaceHeads`."""

    def __init__(self, chain: FaceChain, network_of: Callable[[Head], HeadNetwork]) -> None:
        """Load the networks and try those of files; raises ModelError if one is not as described."""
        self._heads = [FaceHead(head, network_of(head)) for head in chain.heads]
        self._served = [read for read, head in zip(self._heads, chain.heads, strict=True) if head.server is not None]
        self.tells_emotions = any(output.says == "emotions" for _, output in chain.outputs())
        for head in self._heads:
            if head not in self._served:
                head.check()

    @property
    def max_batch(self) -> int:
        """How many faces are worth reading together."""
        return max((head.max_batch for head in self._heads), default=1)

    def warm_up(self) -> None:
        """Compare served networks with their descriptions, and try them; the others were tried when they were made."""
        for head in self._served:
            head.check()

    def read(self, faces: Sequence[Face]) -> Sequence[Told]:
        if not self._heads:
            return [SAYS_NOTHING] * len(faces)
        return [_together(told) for told in zip(*(head.read(faces) for head in self._heads), strict=True)]


def _together(told: Sequence[Told]) -> Told:
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
            return softmax((row - row.max()) / output.temperature)
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


def _named(head: Head, kind: str, name: str, there: Sequence[TensorSpec]) -> TensorSpec:
    """The input or output of this name, or the only one."""
    found = [each for each in there if each.name == name] if name else list(there)
    if len(found) != 1:
        why = f"has no {kind} {name!r}" if name else f"has {len(there)} {kind}s, and the description does not say which"
        raise ModelError(f"{head.where} {why}: its {kind}s are {_names(there)}; put one of them under name")
    return found[0]


def _names(there: Sequence[TensorSpec]) -> str:
    return ", ".join(each.name for each in there)


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
