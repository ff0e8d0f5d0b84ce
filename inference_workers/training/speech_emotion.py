"""Train the embedded speech emotion model: ``python -m inference_workers.training.speech_emotion --data DIR``.

The model answers for one second of speech. So it is trained on windows of one second, cut from each clip every
250 ms, of the clip as it is and of random variations of it (:mod:`inference_workers.training.augment`). It is a few
small perceptrons over standardised acoustic features, their logits averaged and divided by a temperature; averaging
logits of perceptrons makes one wide perceptron, and that is what the ONNX file holds, with the standardisation inside.

Every figure printed comes from leaving one speaker out: no model ever answers for a voice that it was trained on,
and the temperature is fitted on those answers. ``--evaluate`` answers for another corpus with the final model;
nothing is trained, chosen or fitted on it. The same data, seed and library versions give the same file.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.evaluation.calibration import best_temperature, calibration_error
from inference_workers.probabilities import softmax
from inference_workers.speech import emotion
from inference_workers.speech.features import FEATURES, SAMPLE_RATE_HZ, emotion_features, voiced_fraction
from inference_workers.training import augment, corpus, perceptron
from inference_workers.training.perceptron import Recipe
from runtime.errors import PrerequisiteError, SettingsError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

WINDOW: Final = SAMPLE_RATE_HZ
STEP: Final = SAMPLE_RATE_HZ // 4
VOICED_AT_LEAST: Final = 0.15
"""Windows with less voice than that are left out: at run time they get no answer either."""
RECIPE: Final = Recipe(hidden=128, epochs=20, rate=1e-3, decay=0.3, input_dropout=0.2, hidden_dropout=0.5)
MEMBERS: Final = 4
VARIATIONS: Final = 5
OUT: Final = Path(__file__).parent.parent / "weights" / "speech_emotion.onnx"


@dataclass(frozen=True, slots=True)
class Windows:
    """Feature vectors of windows, row by row, and where each came from."""

    features: Array
    labels: Labels
    clips: Labels
    variations: Labels
    speakers: NDArray[np.str_]

    def where(self, rows: NDArray[np.bool_]) -> "Windows":
        """Some of the rows."""
        return Windows(
            self.features[rows], self.labels[rows], self.clips[rows], self.variations[rows], self.speakers[rows]
        )


@dataclass(frozen=True, slots=True)
class Model:
    """Standardisation, members, temperature."""

    mean: Array
    spread: Array
    members: Sequence[perceptron.Perceptron]
    temperature: float = 1.0

    def logits(self, features: Array) -> Array:
        """(n, FEATURES) to (n, CLASSES)."""
        inputs = np.clip((features - self.mean) / self.spread, -emotion.CLIP, emotion.CLIP)
        total: Array = sum((m.logits(inputs) for m in self.members), np.zeros((len(features), len(emotion.CLASSES))))
        result: Array = total / len(self.members) / self.temperature
        return result


def cut(clips: Sequence[corpus.Clip], variations: int, seed: int, *, noisy: bool = False) -> Windows:
    """The windows of every clip and of ``variations`` random variations of it, many of them in noise if ``noisy``."""
    rows: list[tuple[NDArray[np.float32], int, int, int, str]] = []
    for index, clip in enumerate(clips):
        samples = corpus.load(clip.path)
        random = np.random.default_rng([seed, index])
        label = (*emotion.CLASSES, "surprise").index(clip.label)
        for variation in range(variations + 1):
            if variation and noisy:  # noise hides the pitch of a voice, which is there all the same
                version, voice = augment.vary_in_noise(samples, random)
            else:
                version = voice = augment.vary(samples, random) if variation else samples
            version, voice = (np.pad(each, (0, max(0, WINDOW - len(each)))) for each in (version, voice))
            for start in range(0, len(version) - WINDOW + 1, STEP):
                part = slice(start, start + WINDOW)
                if voiced_fraction(voice[part]) >= VOICED_AT_LEAST:
                    rows.append((emotion_features(version[part]), label, index, variation, clip.speaker))
        if index % 50 == 49:
            say(f"  {index + 1} of {len(clips)} clips")
    features, labels, indices, variants, speakers = zip(*rows, strict=True)
    return Windows(
        np.stack(features).astype(np.float64),
        np.array(labels),
        np.array(indices),
        np.array(variants),
        np.array(speakers),
    )


def fit(windows: Windows, seed: int, members: int = MEMBERS, recipe: Recipe = RECIPE) -> Model:
    """A model of these windows; classes weigh alike, however many windows they have."""
    mean, spread = windows.features.mean(axis=0), windows.features.std(axis=0) + 1e-6
    inputs = np.clip((windows.features - mean) / spread, -emotion.CLIP, emotion.CLIP)
    classes = len(emotion.CLASSES)
    counts = np.maximum(np.bincount(windows.labels, minlength=classes), 1)
    weights = (len(inputs) / counts / classes)[windows.labels]
    wanted = perceptron.Wanted(windows.labels, weights, classes)
    nets = [perceptron.train(inputs, wanted, seed=seed * 1_000 + i, recipe=recipe) for i in range(members)]
    return Model(mean, spread, nets)


def leave_one_speaker_out(windows: Windows, seed: int, members: int = MEMBERS, recipe: Recipe = RECIPE) -> Array:
    """Logits for every window from a model that never heard its speaker."""
    logits = np.zeros((len(windows.labels), len(emotion.CLASSES)))
    for speaker in np.unique(windows.speakers):
        apart = windows.speakers == speaker
        logits[apart] = fit(windows.where(~apart), seed, members, recipe).logits(windows.features[apart])
        say(f"  without speaker {speaker}: trained on {int((~apart).sum())}, answered {int(apart.sum())} windows")
    return logits


def confusion(labels: Labels, answers: Labels, classes: int) -> Labels:
    """Counts, truth by answer."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (labels, answers), 1)
    return table


def scores_of(table: Labels) -> tuple[float, float]:
    """Unweighted average recall and macro-F1 over the classes that occur."""
    occurs = table.sum(axis=1) > 0
    hits = np.diag(table)[occurs]
    truth, answered = table.sum(axis=1)[occurs], table.sum(axis=0)[occurs]
    recall = hits / truth
    f1 = 2 * hits / (truth + answered)
    return float(recall.mean()), float(f1.mean())


def report(title: str, logits: Array, windows: Windows) -> None:
    """Print UAR, macro-F1 and confusion: by window and by clip (mean of its windows' probabilities)."""
    known = len(emotion.CLASSES) - 1
    probabilities = softmax(logits)
    say(f"\n{title}")
    by_clip = np.unique(np.stack((windows.clips, windows.variations)), axis=1).T
    rows = [(windows.clips == clip) & (windows.variations == variation) for clip, variation in by_clip]
    clip_probabilities = np.stack([probabilities[row].mean(axis=0) for row in rows])
    clip_labels = np.array([windows.labels[row][0] for row in rows])
    for unit, found, labels in (
        ("1 s windows", probabilities, windows.labels),
        ("clips", clip_probabilities, clip_labels),
    ):
        inside = labels < known
        table = confusion(labels[inside], found[inside, :known].argmax(axis=1), known)
        uar, f1 = scores_of(table)
        accuracy = np.diag(table).sum() / table.sum()
        say(f"  {unit}: n {int(inside.sum())}, UAR {uar:.3f}, macro-F1 {f1:.3f}, accuracy {accuracy:.3f}")
        if unit == "1 s windows":
            right = labels <= known
            error = calibration_error(found[right], labels[right])
            say(f"  calibration error {error:.3f} (over all {known + 1} classes)")
        say("  | truth \\ answer | " + " | ".join(emotion.CLASSES[:known]) + " |")
        for name, line in zip(emotion.CLASSES[:known], table, strict=True):
            say(f"  | {name} | " + " | ".join(str(n) for n in line) + " |")
        for label, name in ((known, "unknown"), (known + 1, "surprise")):
            rest = found[labels == label]
            if len(rest):
                answers = np.bincount(rest.argmax(axis=1), minlength=known + 1)
                listing = ", ".join(f"{c} {n}" for c, n in zip(emotion.CLASSES, answers, strict=True))
                say(f"  {name} ({len(rest)}) is answered: {listing}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parser(what: str, out: Path, variations: int) -> argparse.ArgumentParser:
    """The options that training either model takes, with its defaults."""
    made = argparse.ArgumentParser(description=what)
    made.add_argument("--data", type=Path, required=True, help="folder with manifest.csv, or EMO-DB's files")
    made.add_argument("--out", type=Path, default=out, help="ONNX file to write")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--variations", type=int, default=variations, help="random variations of each clip")
    return made


def require_writer() -> None:
    """PrerequisiteError unless :func:`write` can work: nobody should learn that after minutes of training."""
    try:
        import inference_workers.training.export  # noqa: F401, PLC0415 - needs the extra
    except ImportError as error:
        raise PrerequisiteError("training writes ONNX files: pip install 'affectstream[train]'") from error


def clips_of(options: argparse.Namespace) -> Sequence[corpus.Clip]:
    """What is trained on; SettingsError if a shipped model would be made of what may not be shipped."""
    clips = corpus.read(options.data)
    forbidden = corpus.forbids_shipping(clips)
    if forbidden is not None and options.out.resolve().is_relative_to(OUT.parent):
        raise SettingsError(f"a model that is shipped is not trained on {forbidden}: give another --out")
    return clips


def write(path: Path, model: Model) -> None:
    """Write a model's ONNX file, and say its size and digest."""
    from inference_workers.training.export import write_onnx  # noqa: PLC0415 - needs the extra

    size, digest = write_onnx(
        path,
        mean=model.mean,
        spread=model.spread,
        clip=emotion.CLIP,
        members=[net.parameters for net in model.members],
        temperature=model.temperature,
    )
    say(f"\n{path}: {size} bytes, sha256 {digest}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, report, write."""
    taken = parser("Train the embedded speech emotion model.", OUT, VARIATIONS)
    taken.add_argument("--evaluate", type=Path, action="append", default=[], help="another corpus: answered only")
    options = taken.parse_args(arguments)
    require_writer()
    clips = clips_of(options)
    speakers = sorted({clip.speaker for clip in clips})
    say(f"{len(clips)} clips of {len(speakers)} speakers ({', '.join(speakers)}); each is left out once")
    windows = cut(clips, options.variations, options.seed)
    say(f"{len(windows.labels)} windows, {FEATURES} features")
    logits = leave_one_speaker_out(windows, options.seed)
    temperature = best_temperature(logits, windows.labels)
    say(f"temperature {temperature:.3f}")
    for title, rows in (
        ("Held-out speakers, clips as they are", windows.variations == 0),
        ("Held-out speakers, varied (room, noise, gain, speed)", windows.variations > 0),
    ):
        if rows.any():
            report(title, logits[rows] / temperature, windows.where(rows))
    model = replace(fit(windows, options.seed), temperature=temperature)
    for folder in options.evaluate:
        other = cut(corpus.read(folder), 0, options.seed)
        report(f"Other corpus: {folder.name}", model.logits(other.features), other)
    write(options.out, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
