"""The model card that is written beside a network: what it is, what it was made of, how well it answers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference_workers.evaluation.face import FaceScores
from schemas.vocabulary import EMOTIONS


@dataclass(frozen=True, slots=True)
class Made:
    """The facts of one training."""

    file: str
    bytes: int
    sha256: str
    parameters: int
    corpus: str
    source: str
    terms: str
    counts: Mapping[str, int]
    """Training pictures of each emotion."""
    left_out: int
    held_out: int
    recipe: Mapping[str, object]
    versions: Mapping[str, str]
    temperature: float
    before: float
    """Calibration error on the validation part without the temperature."""
    validation: FaceScores
    command: str


def card(made: Made) -> str:
    """The card, Markdown."""
    of = made.validation.scores
    counts = ", ".join(f"{name} {made.counts.get(name, 0):,}" for name in EMOTIONS)
    recipe = ", ".join(f"{name} {value}" for name, value in made.recipe.items())
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    network = (
        f"residual, {made.parameters:,} parameters; the mean of the crop's and its mirror image's logits, temperature "
        f"{made.temperature:.3f} inside; {made.bytes:,} bytes, weights kept as float16 and computed with as float32"
    )
    facts = _table(
        ("", ""),
        [
            ("what", "seven emotions of a face: probabilities of " + ", ".join(EMOTIONS)),
            ("input", "grey crops of 48 x 48 pixels, uint8 (n, 48, 48), framed as FER2013 frames its faces"),
            ("network", network),
            ("sha256", f"`{made.sha256}`"),
            ("licence", "Apache-2.0, as the product; of the data see below"),
            ("made by", f"`{made.command}` ({versions})"),
            ("recipe", recipe),
        ],
    )
    classes = _table(
        ("emotion", "n", "recall", "F1"),
        [
            (name, str(int(of.table[i].sum())), f"{of.recalls[name]:.3f}", f"{of.f1s[name]:.3f}")
            for i, name in enumerate(EMOTIONS)
            if name in of.recalls
        ],
    )
    confusion = _table(
        ("truth \\ answer", *EMOTIONS),
        [
            (name, *map(str, of.table[i, : len(EMOTIONS)].tolist()))
            for i, name in enumerate(EMOTIONS)
            if name in of.recalls
        ],
    )
    return f"""# Model card: {made.file}

{facts}

## Data

{made.corpus} ({made.source}). Terms: {made.terms}.

Trained on {sum(made.counts.values()):,} pictures of its training part: {counts}.
{made.left_out:,} pictures of none of these emotions were left out. {made.held_out:,} more of the training part, drawn
by chance, were kept apart: the temperature, and nothing else, was fitted on them.

## How well it answers

On the corpus's validation part, {of.n:,} pictures, on which nothing was fitted; which recipe to keep was judged by it,
so these figures are a little favourable.

Accuracy {of.accuracy:.3f}, macro-F1 {of.macro_f1:.3f}, UAR {of.uar:.3f}; always the commonest class would be
{max(of.table.sum(axis=1)) / max(of.n, 1):.3f}. Expected calibration error {made.validation.ece:.3f} ({made.before:.3f}
without the temperature).

{classes}

{confusion}

## Limits

- It says what a face shows, as people who labelled pictures named it. It does not know what a person feels: do not
  decide about people with it.
- Labels of such corpora are noisy: people agree with FER2013's in about two thirds of the pictures.
- Who is pictured was not recorded, so how it answers for an age, a gender or a skin colour is **not known**.
- Fear, sadness and disgust are told least well, as the table says.
- A face turned far aside, covered, or smaller than about 30 pixels is answered badly, and not always with less
  confidence.
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
