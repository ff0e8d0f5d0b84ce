"""From a corpus to a network with its card: read, fit, calibrate, judge, export."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from inference_workers.evaluation.calibration import best_temperature, calibration_error
from inference_workers.evaluation.face import Answer, FaceScores
from inference_workers.probabilities import softmax
from inference_workers.training.face import corpora
from inference_workers.training.face.card import Made, card
from inference_workers.training.face.corpora import Faces, Split
from inference_workers.training.face.exporting import write_onnx
from inference_workers.training.face.fitting import Recipe, fit
from inference_workers.training.face.network import FaceEmotionNet
from schemas.vocabulary import EMOTIONS

HELD_OUT: Final = 0.05
"""Share of the training part that only the temperature is fitted on."""
FILE: Final = "face_emotion.onnx"
VERSIONS_OF: Final = ("torch", "lightning", "numpy", "onnx", "onnxscript")


@dataclass(frozen=True, slots=True)
class Result:
    """What a training left."""

    weights: Path
    card: Path
    sha256: str
    validation: FaceScores


def held_out(count: int, seed: int) -> NDArray[np.bool_]:
    """Which of the training pictures are kept apart for the temperature."""
    return np.random.default_rng([seed, 0xCA11]).random(count) < HELD_OUT


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    resume: bool,
    processes: int,
    command: str,
    progress: Callable[[str], None],
) -> Result | None:
    """Train on the corpus of ``data``; the network and its card are written to ``out``, checkpoints below it.

    None in the helping processes of a training by several. Raises PrerequisiteError if the corpus cannot be read.
    """
    corpus = corpora.find(data)
    progress(f"reading {corpus.name}: {corpus.terms}")
    everything, validation = corpus.read(Split.TRAIN), corpus.read(Split.VALIDATION)
    apart = held_out(len(everything.labels), recipe.seed)
    faces, kept = everything.where(~apart), everything.where(apart)
    progress(
        f"{len(faces.labels)} pictures to train on, {len(kept.labels)} kept apart, {len(validation.labels)} to judge"
    )
    net = fit(recipe, faces, validation, out / "checkpoints", resume=resume, processes=processes, progress=progress)
    if net is None:
        return None
    temperature = best_temperature(logits_of(net, kept), kept.labels) if len(kept.labels) else 1.0
    logits = logits_of(net, validation)
    scored = FaceScores.of(_answers(softmax(logits / temperature), validation))
    size, digest = write_onnx(net, out / FILE, temperature)
    made = Made(
        file=FILE,
        bytes=size,
        sha256=digest,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        corpus=corpus.name,
        source=corpus.source,
        terms=corpus.terms,
        counts=dict(zip(EMOTIONS, np.bincount(faces.labels, minlength=len(EMOTIONS)).tolist(), strict=True)),
        left_out=everything.left_out,
        held_out=len(kept.labels),
        recipe=asdict(recipe),
        versions={name: version(name) for name in VERSIONS_OF},
        temperature=temperature,
        before=calibration_error(softmax(logits), validation.labels),
        validation=scored,
        command=command,
    )
    written = (out / FILE).with_suffix(".md")
    written.write_text(card(made), encoding="utf-8")
    return Result(out / FILE, written, digest, scored)


def logits_of(net: FaceEmotionNet, faces: Faces, batch: int = 128) -> NDArray[np.float64]:
    """Mean logits of the pictures and their mirror images, (n, 7)."""
    with torch.inference_mode():
        found = [
            0.5 * (net(pictures) + net(pictures.flip(3)))
            for pictures in torch.from_numpy(faces.pictures)[:, None].float().split(batch)
        ]
    return np.asarray(torch.cat(found).double().numpy())


def _answers(probabilities: NDArray[np.float64], faces: Faces) -> Sequence[Answer]:
    return [
        Answer(Path(), int(label), tuple(row), crop=True)
        for row, label in zip(probabilities.tolist(), faces.labels, strict=True)
    ]
