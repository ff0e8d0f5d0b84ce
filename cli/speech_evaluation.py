"""``affectstream eval speech`` and ``eval viseme``: what is evaluated, and how it is told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from inference_workers import models
from inference_workers.engines import choice
from inference_workers.engines.protocols import VisemeEngine
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.engines.viseme_network import VisemeNetwork
from inference_workers.evaluation import alignment, hearing, timed_labels
from inference_workers.evaluation import speech as emotions
from inference_workers.evaluation import viseme as visemes
from inference_workers.evaluation.timed_labels import Timed
from inference_workers.speech import emotion
from inference_workers.speech.phones import Segment
from inference_workers.speech.processor import MAX_BATCH, SpeechProcessor
from inference_workers.speech.viseme import SpectralVisemes
from inference_workers.training import corpus
from runtime.errors import PrerequisiteError
from runtime.metrics import Metrics
from runtime.settings import Settings

Progress = Callable[[str], None]

HEADLINES = ("speakers never heard", "each speaker left out once")
"""Endings of the titles of parts that may be the headline, in order of preference."""


def evaluate_emotion(
    settings: Settings, folders: Sequence[Path], leave_one_out: bool, console: Console, progress: Progress
) -> dict[str, Any]:
    """Tables of every corpus on ``console``; returns what ``--json`` prints, of strangers if there are any."""
    engine = choice.embedded(settings)
    nameable = [name for name in emotion.CLASSES if name != corpus.UNKNOWN]
    parts, unheard = [], []
    for folder in folders:
        clips = corpus.read(folder)
        name = emotions.corpus_name(folder, clips)
        progress(f"{name}: {len(clips)} clips")
        answered = emotions.answers(engine, clips, progress)
        if not answered:
            raise PrerequisiteError(f"{folder}: no clip has one of the emotions {', '.join(nameable)}")
        for title, chosen in (
            (f"{name}, speakers trained on", [a for a in answered if emotions.was_heard(a.clip)]),
            (f"{name}, speakers never heard", [a for a in answered if not emotions.was_heard(a.clip)]),
        ):
            if chosen:
                parts.append(emotions.part(title, chosen, nameable))
        heard = [clip for clip in clips if emotions.was_heard(clip)]
        if leave_one_out and heard:
            answered = emotions.left_out(heard, progress)
            parts.append(emotions.part(f"{name}, each speaker left out once", answered, nameable))
        unheard += [a for a in answered if not emotions.was_heard(a.clip)]
    if len(folders) > 1 and unheard:
        parts.append(emotions.part("all speakers never heard", unheard, nameable))
    headline = next((part for ending in HEADLINES for part in parts if part.title.endswith(ending)), parts[0])
    _show_emotions(engine.source, parts, headline, console)
    return emotions.keys(headline, parts)


def _show_emotions(source: str, parts: Sequence[emotions.Part], headline: emotions.Part, console: Console) -> None:
    console.print(f"{source}, trained on EMO-DB's {', '.join(sorted(emotions.TRAINED_ON))}; it names no surprise")
    table = _table("clips of", "speakers", "n", "macro-F1", "UAR", "accuracy", "without surprise: n", "macro-F1", "UAR")
    for each in parts:
        of, known = each.scores, each.known
        beside = ("", "", "")
        if known.n < of.n:
            beside = (f"{known.n:,}", f"{known.macro_f1:.3f}", f"{known.uar:.3f}")
        table.add_row(
            each.title, _shortly(each.speakers), f"{of.n:,}", f"{of.macro_f1:.3f}", f"{of.uar:.3f}",
            f"{of.accuracy:.3f}", *beside,
        )  # fmt: skip
    console.print(table)
    found = headline.scores
    console.print(f"\n{headline.title} (rows: truth)")
    confusion = _table("", *found.classes, "recall", "F1")
    for row, name in enumerate(found.classes):
        if name in found.recalls:
            counts = [str(n) if n else "·" for n in found.table[row].tolist()]
            confusion.add_row(name, *counts, f"{found.recalls[name]:.2f}", f"{found.f1s[name]:.2f}")
    console.print(confusion)


def _shortly(names: Sequence[str]) -> str:
    return " ".join(names) if len(names) <= 8 else f"{len(names)} speakers"


def evaluate_visemes(  # noqa: PLR0917 - what the command line gives
    settings: Settings,
    folder: Path,
    engines: Sequence[str],
    sentence: str | None,
    limit: int | None,
    console: Console,
    progress: Progress,
) -> dict[str, Any]:
    """A table of the engines on ``console``; returns what ``--json`` prints."""
    recordings = _labelled(folder, sentence, limit, progress)
    truth = {str(each.path): each.segments for each in recordings}
    found: dict[str, visemes.VisemeScores] = {}
    for name in engines:
        engine = viseme_engine(settings, name)
        progress(f"{engine.source}: hearing {len(recordings)} recordings")
        found[engine.source] = visemes.score(_heard(settings, engine, recordings), truth)
    _show_visemes(found, console)
    first = next(iter(found.values()))
    return {**first.keys(), "engines": {name: scores.keys() for name, scores in found.items()}}


def viseme_engine(settings: Settings, name: str) -> VisemeEngine:
    """The engine of that name, loaded."""
    return VisemeNetwork(models.locate(settings, "viseme")) if name == "network" else SpectralVisemes()


def _labelled(folder: Path, sentence: str | None, limit: int | None, progress: Progress) -> Sequence[Timed]:
    paths = timed_labels.recordings(folder)
    if limit is not None and limit < len(paths):
        paths = [paths[number * len(paths) // limit] for number in range(limit)]
    labels = timed_labels.labels_for(paths, folder)
    unlabelled = [path for path in paths if path not in labels]
    align: timed_labels.Align = _cannot
    if any(sentence or timed_labels.sentence_of(path) for path in unlabelled):
        progress(f"timing the phones of {len(unlabelled)} recordings")
        align = alignment.aligner()
    found: list[Timed] = []
    failed: list[Path] = []
    for each in timed_labels.timed(paths, labels, sentence, align):
        if isinstance(each, Timed):
            found.append(each)
        else:
            failed.append(each)
    if failed:
        progress(f"{len(failed)} recordings left out: no labels, or not the sentence (as {failed[0].name})")
    if not found:
        raise PrerequisiteError(f"{folder}: no recording has timed labels; say what is spoken with --align")
    return found


def _cannot(_sound: timed_labels.Samples, _sentence: str) -> Sequence[Segment] | None:
    return None


def _heard(
    settings: Settings, engine: VisemeEngine, recordings: Sequence[Timed]
) -> Mapping[str, Sequence[hearing.Heard]]:
    detector = SileroVad(models.locate(settings, "silero_vad"))
    found: dict[str, Sequence[hearing.Heard]] = {}
    for start in range(0, len(recordings), MAX_BATCH):
        processor = SpeechProcessor(hearing.Unfelt(), detector, engine, Metrics("eval"))
        batch = {str(each.path): each.sound for each in recordings[start : start + MAX_BATCH]}
        found.update(hearing.hear(batch, processor))
    return found


def _show_visemes(found: Mapping[str, visemes.VisemeScores], console: Console) -> None:
    table = _table("engine", "recordings", "hops", "accuracy", "while speaking", "at their ends", "UAR", "offset")
    for name, scores in found.items():
        table.add_row(
            name, f"{scores.recordings:,}", f"{scores.middle.n:,}", f"{scores.middle.accuracy:.3f}",
            f"{scores.spoken_accuracy:.3f}", f"{scores.end.accuracy:.3f}", f"{scores.middle.uar:.3f}",
            f"{scores.late_ms:+.0f} ms",
        )  # fmt: skip
    console.print(table)
    console.print("\nrecall by viseme")
    classes = next(iter(found.values())).middle.recalls
    recalls = _table("engine", *classes)
    for name, scores in found.items():
        recalls.add_row(name, *(f"{scores.middle.recalls[each]:.2f}" for each in classes))
    console.print(recalls)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
