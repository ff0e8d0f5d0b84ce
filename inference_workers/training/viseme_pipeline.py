"""From nothing to ``viseme.onnx`` and its card: speech, examples, training, export. Needs the extra ``train``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from inference_workers.speech.articulation import CONTEXT
from inference_workers.speech.features import MELS
from inference_workers.training import viseme_network
from inference_workers.training.spoken import speak
from inference_workers.training.viseme import HELD_OUT, Examples, examples_of

LOOK_AHEADS_MS: Final = (0, 10, 20, 30, 40, 60)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is made; ``look_ahead_ms`` is the one that is exported, ``balance`` see ``write_onnx``."""

    utterances: int = 1_800
    variations: int = 1
    epochs: int = 12
    seed: int = 0
    look_ahead_ms: int = 20
    balance: float = 0.8


@dataclass(frozen=True, slots=True)
class Made:
    """The file that was written, and the accuracy on languages never trained on, by look-ahead in ms."""

    path: Path
    bytes: int
    sha256: str
    accuracies: dict[int, float]


def make(synthesiser: Path, out: Path, recipe: Recipe, command: str, say: Callable[[str], None]) -> Made:
    """Make the network in the folder ``out``; what an interrupted run has left there is gone on with."""
    kept = out / "examples.npz"
    if kept.exists():
        with np.load(kept) as held:
            examples = Examples(held["frames"], held["labels"], held["held_out"], LOOK_AHEADS_MS)
    else:
        say(f"speaking {recipe.utterances} utterances, {recipe.variations} variations of each")
        utterances = speak(synthesiser, recipe.utterances, recipe.seed)
        examples = examples_of(utterances, LOOK_AHEADS_MS, recipe.variations, recipe.seed)
        out.mkdir(parents=True, exist_ok=True)
        np.savez(kept, frames=examples.frames, labels=examples.labels, held_out=examples.held_out)
    say(f"{len(examples.frames):,} frames; {', '.join(HELD_OUT)} are never trained on")
    net = viseme_network.fit(examples, epochs=recipe.epochs, seed=recipe.seed, checkpoints=out / "checkpoints", say=say)
    away = examples.held_out
    found = viseme_network.accuracies(net, examples.frames[away], examples.labels[:, away])
    accuracies = dict(zip(LOOK_AHEADS_MS, found, strict=True))
    path = out / "viseme.onnx"
    head = LOOK_AHEADS_MS.index(recipe.look_ahead_ms)
    frequency = viseme_network.frequencies(examples.labels[head, ~away])
    size, digest = viseme_network.write_onnx(net, head, frequency, recipe.balance, path)
    made = Made(path, size, digest, accuracies)
    (out / "viseme.md").write_text(_card(made, recipe, command, len(examples.frames)), encoding="utf-8")
    return made


def _card(made: Made, recipe: Recipe, command: str, frames: int) -> str:
    rows: Sequence[str] = [f"| {ms} ms | {accuracy:.3f} |" for ms, accuracy in made.accuracies.items()]
    table = "\n".join(rows)
    held_out = ", ".join(HELD_OUT)
    return f"""# Model card: viseme.onnx

| | |
| --- | --- |
| what | mouth shapes (15 visemes) of the newest sound, {recipe.look_ahead_ms} ms before its end |
| input | {CONTEXT} frames of {MELS} log mel bands, relative to the voice's average |
| network | causal convolutions, {made.bytes:,} bytes, SHA-256 {made.sha256} |
| trained on | {frames:,} frames (10 ms) of espeak-ng: {recipe.utterances} utterances, varied {recipe.variations} x |
| made by | `{command}`, seed {recipe.seed} |

No recording of a person was used. Accuracy on frames of languages that were not trained on ({held_out}), varied as in
training, by look-ahead (how long before the end of what is heard the instant lies that is answered for):

| look-ahead | accuracy |
| --- | --- |
{table}

How it does on recordings of people: `affectstream eval viseme`. Limits: a synthesiser's voices, 13 languages; sounds
that look alike to a microphone (p, t and k; m and n) are mistaken for each other; music, laughter and several voices
at once were not trained on.
"""
