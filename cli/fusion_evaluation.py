"""``affectstream eval fusion``: whether fusing voice and face pays, on clean input and as either gets worse.

Faces and utterances of the same emotion are paired across people: nobody recorded the same person's face and voice with
labels that may be used freely. So a pair's two modalities agree in the label and in nothing else. Both go through the
real engines, the utterance through the speech worker's whole processor, and then through fusion's own attention
(:mod:`dataflows.attention_trial`).

No engine answers for what it was trained on: FER2013's PublicTest was held out when the face's networks were trained
(though their training was stopped and compared by it), and speakers that the shipped speech model knows are answered
by models that are trained here without them. Nothing is fitted here; the defaults of attention were chosen on the pairs
of the default folders (docs/decisions/0091-a-face-is-weighed-by-what-its-emotion-is-sure-of.md tells of both halves).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dataflows import attention_trial
from inference_workers import models
from inference_workers.engines import choice
from inference_workers.engines.protocols import FaceEngine, FaceInput, SpeechEngine
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.evaluation import hearing, labelled_faces
from inference_workers.evaluation import speech as emotions
from inference_workers.evaluation.degradation import MISSING, PICTURES, SOUNDS
from inference_workers.evaluation.scores import Scores
from inference_workers.face_engines import face_engine
from inference_workers.speech.processor import MAX_BATCH, SpeechProcessor
from inference_workers.speech.viseme import SpectralVisemes
from inference_workers.training import corpus
from runtime.errors import PrerequisiteError
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.fusion_config import FusionConfig
from schemas.records import FaceSignal
from schemas.vocabulary import EMOTIONS

Progress = Callable[[str], None]
Floats = NDArray[np.float64]

SEED: Final = 0
FOLDS: Final = 4
"""Groups of the speakers that the speech model knows; a model is trained without each."""
VARIATIONS: Final = 2
PICTURE: Final = 320
FACE: Final = 224
"""A picture's and its face's side: a face at arm's length from a camera."""
FIRST_FELT_S: Final = 1.5
"""From then on every session has heard its first window."""
EVERY: Final = 5
"""Hops between two looks at a pair."""
FACES: Final = 3
"""Pictures that each utterance is paired with: one alone would leave much to chance."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Utterances and pictures of the same labels, under every degradation.

    ``faces`` maps a degradation to a row for each pair, ``speech`` to rows (n, looks) for each pair.
    """

    labels: tuple[str, ...]
    faces: Mapping[str, Floats]
    speech: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the grid: degradations, UAR of what fusion says, and the mean weights."""

    face: str
    speech: str
    uar: float
    face_weight: float
    speech_weight: float


@dataclass(frozen=True, slots=True)
class Results:
    """The grid of degradations."""

    n: int
    classes: tuple[str, ...]
    cells: Sequence[Cell]

    def at(self, face: str, speech: str) -> Cell:
        """The cell of these degradations."""
        return next(cell for cell in self.cells if (cell.face, cell.speech) == (face, speech))

    def gain(self, cell: Cell) -> float:
        """UAR of the cell less that of the better of its modalities alone."""
        return cell.uar - max(self.at(cell.face, MISSING).uar, self.at(MISSING, cell.speech).uar)

    @property
    def worst(self) -> Cell:
        """Where fusion falls furthest behind the better modality, both being there."""
        return min((c for c in self.cells if MISSING not in {c.face, c.speech}), key=self.gain)

    def keys(self) -> dict[str, Any]:
        """For ``--json``; UAR in 0..1, ``worst_gap`` in points: how far fusion falls behind at worst (0: nowhere)."""
        clean = self.at("clean", "clean")
        return {
            "n": self.n,
            "classes": list(self.classes),
            "uar_fused": round(clean.uar, 4),
            "uar_face": round(self.at("clean", MISSING).uar, 4),
            "uar_speech": round(self.at(MISSING, "clean").uar, 4),
            "gain_points": round(100 * self.gain(clean), 2),
            "worst_gap": round(max(0.0, -100 * self.gain(self.worst)), 2),
            "worst_at": {"face": self.worst.face, "speech": self.worst.speech},
            "grid": [
                {
                    "face": cell.face,
                    "speech": cell.speech,
                    "uar": round(cell.uar, 4),
                    "face_weight": round(cell.face_weight, 3),
                    "speech_weight": round(cell.speech_weight, 3),
                }
                for cell in self.cells
            ],
        }


def evaluate(pairs: Pairs, config: FusionConfig) -> Results:
    """Every combination of degradations, fused under one configuration."""
    parameters = attention_trial.config_row(config)
    classes = tuple(name for name in EMOTIONS if name in pairs.labels)
    truth = [classes.index(label) for label in pairs.labels]
    places = [EMOTIONS.index(name) for name in classes]
    cells = []
    for face_name, face in pairs.faces.items():
        for speech_name, speech in pairs.speech.items():
            if face_name == speech_name == MISSING:
                continue
            fused, face_weight, speech_weight = _fused(face, speech, parameters)
            scores = Scores.of(classes, truth, fused[:, places].argmax(axis=1).tolist())
            cells.append(
                Cell(face_name, speech_name, scores.uar, float(face_weight.mean()), float(speech_weight.mean()))
            )
    return Results(len(pairs.labels), classes, cells)


def _fused(face: Floats, speech: Floats, parameters: Floats) -> attention_trial.Fused:
    """Emotions and weights of each pair, means over the looks at it."""
    looks = speech.shape[1]
    fused = attention_trial.fuse(np.repeat(face, looks, axis=0), speech.reshape(-1, speech.shape[2]), parameters)
    return attention_trial.Fused(
        *(values.reshape(len(face), looks, *values.shape[1:]).mean(axis=1) for values in fused)
    )


def pairs_of(settings: Settings, faces: Path, speech: Path, limit: int | None, progress: Progress) -> Pairs:
    """At most ``limit`` utterances, spread evenly, each with :data:`FACES` pictures that have the same label."""
    everything = corpus.read(speech)
    clips = [clip for clip in everything if clip.label in EMOTIONS]
    if limit is not None and limit < len(clips):
        clips = [clips[number * len(clips) // limit] for number in range(limit)]
    heaps: dict[str, list[labelled_faces.LabelledFace]] = {label: [] for label in EMOTIONS}
    for picture in labelled_faces.read(faces):
        heaps[picture.label].append(picture)
    random = Random(SEED)
    for heap in heaps.values():
        random.shuffle(heap)
    # Where an emotion has fewer pictures than pairs, they come again, beside other voices.
    deals = {label: cycle(heap) for label, heap in heaps.items() if heap}
    clips = [clip for clip in clips if clip.label in deals]
    if not clips:
        raise PrerequisiteError(f"{faces} and {speech} share no emotion")
    chosen = [next(deals[clip.label]) for _ in range(FACES) for clip in clips]
    progress(f"{len(chosen)} pairs of {len(clips)} utterances")
    rows_by_face = _faces(settings, chosen, progress)
    rows_by_sound = _speech(settings, clips, everything, progress)
    return Pairs(
        tuple(clip.label for clip in clips) * FACES,
        rows_by_face,
        {name: np.tile(rows, (FACES, 1, 1)) for name, rows in rows_by_sound.items()},
    )


def _faces(
    settings: Settings, faces: Sequence[labelled_faces.LabelledFace], progress: Progress
) -> Mapping[str, Floats]:
    cv2.setNumThreads(1)
    engine = face_engine(settings)
    crops = [cv2.resize(face.picture(), (FACE, FACE), interpolation=cv2.INTER_CUBIC) for face in faces]
    found: dict[str, Floats] = {}
    for name, degrade in PICTURES.items():
        signals = [_seen(engine, degrade(np.asarray(crop, np.uint8))) for crop in crops]
        found[name] = np.stack([attention_trial.face_row(signal) for signal in signals])
        progress(f"faces, {name}: {sum(signal.face_detected for signal in signals)} of {len(signals)} found")
    found[MISSING] = np.stack([attention_trial.face_row(None)] * len(faces))
    return found


def _seen(engine: FaceEngine, crop: NDArray[np.uint8]) -> FaceSignal:
    margin = (PICTURE - FACE) // 2
    picture = cv2.copyMakeBorder(crop, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    (output,) = engine.infer([FaceInput(np.ascontiguousarray(picture, np.uint8), 0)])
    return output.signal


def _speech(
    settings: Settings, clips: Sequence[corpus.Clip], everything: Sequence[corpus.Clip], progress: Progress
) -> Mapping[str, Floats]:
    """Rows (clips, looks, S_WIDTH) for each degradation of the sound."""
    engines = _engines(settings, clips, everything, progress)
    detector = SileroVad(models.locate(settings, "silero_vad"))
    sounds = [corpus.load(clip.path) for clip in clips]
    found: dict[str, Floats] = {}
    for name, degrade in SOUNDS.items():
        rows: dict[int, Floats] = {}
        for engine in dict.fromkeys(engines):
            own = [row for row, each in enumerate(engines) if each is engine]
            for start in range(0, len(own), MAX_BATCH):
                batch = {str(row): degrade(sounds[row]) for row in own[start : start + MAX_BATCH]}
                processor = SpeechProcessor(engine, detector, SpectralVisemes(), Metrics("eval"))
                for row, heard in hearing.hear(batch, processor).items():
                    rows[int(row)] = _looks(heard)
        progress(f"speech, {name}: {sum(bool(each.any()) for each in rows.values())} of {len(clips)} heard")
        looks = max(len(each) for each in rows.values())
        # A shorter clip is looked at for the last time again.
        found[name] = np.stack(
            [np.pad(rows[n], ((0, looks - len(rows[n])), (0, 0)), "edge") for n in range(len(clips))]
        )
    found[MISSING] = np.zeros_like(found["clean"])
    return found


def _looks(heard: Sequence[hearing.Heard]) -> Floats:
    felt = [each.signal for each in heard if each.at_s >= FIRST_FELT_S][::EVERY]
    if not felt:
        return attention_trial.speech_row(heard[-1].signal if heard else None)[None]
    return np.stack([attention_trial.speech_row(signal) for signal in felt])


def _engines(
    settings: Settings, clips: Sequence[corpus.Clip], everything: Sequence[corpus.Clip], progress: Progress
) -> Sequence[SpeechEngine]:
    """For each clip an engine whose model never heard its speaker: the shipped one, or one that is trained here."""
    shipped = choice.embedded(settings)
    heard = [clip for clip in everything if emotions.was_heard(clip)]
    if not heard:
        return [shipped] * len(clips)
    trained = emotions.without_each(heard, progress, folds=FOLDS, variations=VARIATIONS)
    return [trained.get(clip.speaker, shipped) if emotions.was_heard(clip) else shipped for clip in clips]


def evaluate_fusion(  # noqa: PLR0917 - what the command line gives
    settings: Settings, faces: Path, speech: Path, limit: int | None, console: Console, progress: Progress
) -> dict[str, Any]:
    """The grid under the default configuration on ``console``; returns what ``--json`` prints."""
    results = evaluate(pairs_of(settings, faces, speech, limit, progress), FusionConfig.of())
    show(results, console)
    return results.keys()


def show(results: Results, console: Console) -> None:
    """The grid: UAR of what fusion says, the face's weight, and where it loses to the better modality."""
    faces, sounds = list(PICTURES), list(SOUNDS)
    console.print(
        f"{results.n} pairs across people, {len(results.classes)} emotions (chance {1 / len(results.classes):.3f}). "
        "UAR of fused emotions, by degradation; beside it the face's share of the weight"
    )
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column("face | noise over speech", min_width=12)
    for name in (*sounds, "all"):
        table.add_column(name.removeprefix("noise "), justify="right", no_wrap=True)
    for face in (*faces, MISSING):
        cells = [_told(results, face, sound) for sound in (*sounds, MISSING)]
        table.add_row("no face" if face == MISSING else face, *cells)
    console.print(table)
    clean, worst = results.at("clean", "clean"), results.worst
    console.print(
        f"\nclean: fused {clean.uar:.3f}, face {results.at('clean', MISSING).uar:.3f}, speech "
        f"{results.at(MISSING, 'clean').uar:.3f}: {100 * results.gain(clean):+.1f} points over the better one\n"
        f"worst: {100 * results.gain(worst):+.1f} points, with {worst.face} (face) and {worst.speech} (speech)"
    )


def _told(results: Results, face: str, sound: str) -> str:
    if face == sound == MISSING:
        return ""
    cell = results.at(face, sound)
    total = cell.face_weight + cell.speech_weight
    uar = f"{cell.uar:.3f}".removeprefix("0")  # so that the table fits a terminal of 80 columns
    if MISSING in {face, sound} or total == 0.0:
        return f"{uar}    "
    behind = "[red]" if results.gain(cell) < -0.01 else ""
    return f"{behind}{uar} {cell.face_weight / total:3.0%}"
