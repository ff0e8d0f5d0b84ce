"""``affectstream eval face``: the face engine on labelled pictures, and others beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from inference_workers import face_engines, models
from inference_workers.engines.face_emotion import FaceEmotion
from inference_workers.engines.protocols import FaceEngine
from inference_workers.evaluation.face import Answer, FaceScores, Given, answers
from inference_workers.training.face.corpora import pictures_of
from runtime.errors import PrerequisiteError, SettingsError
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS

Progress = Callable[[str], None]


def evaluate_faces(
    settings: Settings,
    folder: Path,
    given: Given,
    *,
    network: bool,
    weights: Path | None,
    peers: bool,
    console: Console,
    progress: Progress,
) -> dict[str, Any]:
    """Score the engine on ``folder/<emotion>/``, print the tables; returns what ``--json`` prints.

    With another engine than the embedded one (``AFFECTSTREAM_FACE_ENGINE``), crops too are searched for the face.
    """
    pictures = pictures_of(folder)
    engine, emotion = _engine(settings, network=network, weights=weights)
    progress(f"{len(pictures)} pictures, {engine.source}")
    found = list(answers(pictures, engine, emotion, given, progress))
    answered = [each for each in found if isinstance(each, Answer)]
    for path in (each for each in found if isinstance(each, Path)):
        progress(f"cannot be read: {path}")
    if not answered:
        raise PrerequisiteError(f"{folder}: none of {len(pictures)} files can be read as a picture")
    scored = FaceScores.of(answered, len(found) - len(answered))
    show(engine.source, scored, console)
    found_keys = {"engine": engine.source, **scored.keys()}
    if peers:
        crops = [(each.path, each.label) for each in answered if each.crop]
        if not crops:
            raise PrerequisiteError("--peers compares answers to crops, and these are whole pictures")
        from benchmarks.face_emotion.peers import ask  # noqa: PLC0415 - only in the source tree, see require_benchmarks

        found_keys["peers"] = ask(settings.cache_dir, crops, progress)
        show_peers(found_keys["peers"], console)
    return found_keys


def _engine(settings: Settings, *, network: bool, weights: Path | None) -> tuple[FaceEngine, FaceEmotion | None]:
    """The engine, and the network that reads crops by itself, if there is one."""
    if settings.face_engine != "embedded":
        if weights is not None or not network:
            raise SettingsError(
                "--emotion and --weights are about the embedded engine, and AFFECTSTREAM_FACE_ENGINE is "
                f"{settings.face_engine}"
            )
        return face_engines.face_engine(settings), None
    emotion = None
    if network:
        emotion = FaceEmotion(weights or models.locate(settings, "face_emotion"), own=weights is not None)
    return face_engines.landmarker(settings, emotion), emotion


def show_peers(figures: Mapping[str, Mapping[str, Any] | str], console: Console) -> None:
    """Print how others answer the same crops, or why they could not be asked."""
    table = Table("the same crops", box=None, pad_edge=False)
    for column in ("accuracy", "macro-F1", "ECE", "CPU ms"):
        table.add_column(column, justify="right")
    for name, of in figures.items():
        if not isinstance(of, str):
            table.add_row(name, *(f"{of[key]:.3f}" for key in ("accuracy", "macro_f1", "ece")), f"{of['ms']:.1f}")
    console.print(table)
    for name, of in figures.items():
        if isinstance(of, str):
            console.print(f"{name} could not be asked: {of}", markup=False, soft_wrap=True)


def show(engine: str, scored: FaceScores, console: Console) -> None:
    """Print the summary, the classes and the confusion."""
    of = scored.scores
    console.print(
        f"[bold]{engine}[/bold]: {of.n} pictures ({scored.crops} crops), accuracy {of.accuracy:.3f}, macro-F1 "
        f"{of.macro_f1:.3f}, UAR {of.uar:.3f}, calibration error {scored.ece:.3f}, "
        f"{scored.undetected} without a face found"
    )
    classes = Table("emotion", box=None, pad_edge=False)
    for column in ("n", "recall", "F1"):
        classes.add_column(column, justify="right")
    confusion = Table("truth \\ answer", box=None, pad_edge=False)
    for name in of.classes:
        confusion.add_column(name, justify="right", no_wrap=True)
    for i, emotion in enumerate(EMOTIONS):
        if emotion in of.recalls:
            counts = of.table[i].tolist()
            classes.add_row(emotion, str(sum(counts)), f"{of.recalls[emotion]:.3f}", f"{of.f1s[emotion]:.3f}")
            cells = [f"[bold]{count}[/bold]" if j == i else str(count) for j, count in enumerate(counts)]
            confusion.add_row(emotion, *cells)
    console.print(classes)
    console.print(confusion)
