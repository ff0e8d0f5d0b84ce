"""Recordings whose phones or visemes are timed: from Praat's TextGrids, from CSV files, or by forced alignment.

Beside ``NAME.wav`` (or .flac) stands ``NAME.TextGrid``, or ``NAME.csv`` with the columns start_s, end_s, label; or one
``labels.csv`` with a column path besides is for the whole folder. A label is a phone in IPA or ARPAbet or one of our
visemes. Recordings without labels are aligned with the sentence that is said in them, if that is known.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.phones import Segment, unknown_names
from inference_workers.training.corpus import AUDIO_SUFFIXES, load
from runtime.errors import PrerequisiteError

Samples = NDArray[np.float32]
Align = Callable[[Samples, str], Sequence[Segment] | None]
"""Sound and a sentence to its phones; None if the sound does not hold that sentence."""

RAVDESS_NAME: Final = re.compile(r"^03-0[12]-\d\d-\d\d-(?P<statement>0[12])-\d\d-\d\d$")
RAVDESS_STATEMENTS: Final = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
TIERS: Final = ("visemes", "viseme", "phones", "phonemes", "phone", "phoneme", "MAU")
"""Names of the tier to take, in order of preference; else the last one, which holds the smallest units by habit."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A recording and what is said in it when."""

    path: Path
    sound: Samples
    segments: Sequence[Segment]


def recordings(folder: Path) -> Sequence[Path]:
    """Every audio file below a folder, in order; raises PrerequisiteError if there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in AUDIO_SUFFIXES)
    if not found:
        raise PrerequisiteError(f"{folder} holds no audio files ({', '.join(AUDIO_SUFFIXES)})")
    return found


def labels_for(paths: Sequence[Path], folder: Path) -> Mapping[Path, Sequence[Segment]]:
    """The labels that stand beside the recordings, of those that have any.

    Raises PrerequisiteError, with the file, on a label that is neither phone nor viseme, or a file that cannot be read.
    """
    listed = folder / "labels.csv"
    common = _by_path(listed) if listed.exists() else {}
    found: dict[Path, Sequence[Segment]] = {}
    for path in paths:
        source, segments = listed, common.get(path, ())
        if (grid := path.with_suffix(".TextGrid")).exists():
            source, segments = grid, read_textgrid(grid)
        elif (table := path.with_suffix(".csv")).exists():
            source, segments = table, _by_path(table).get(table, ())
        if unknown := unknown_names(segments):
            raise PrerequisiteError(f"{source}: neither phones nor visemes: {', '.join(unknown[:5])}")
        if segments:
            found[path] = segments
    return found


def sentence_of(path: Path) -> str | None:
    """What is said in a recording that is named as in RAVDESS."""
    found = RAVDESS_NAME.match(path.stem)
    return RAVDESS_STATEMENTS[found["statement"]] if found else None


def timed(
    paths: Sequence[Path], labels: Mapping[Path, Sequence[Segment]], sentence: str | None, align: Align
) -> Iterator[Timed | Path]:
    """Each recording with its labels, aligned where it has none; a path alone where that fails or nothing is known."""
    for path in paths:
        said = sentence or sentence_of(path)
        sound = load(path)
        segments = labels.get(path)
        if segments is None and said is not None:
            segments = align(sound, said)
        yield path if segments is None else Timed(path, sound, segments)


def _by_path(file: Path) -> Mapping[Path, Sequence[Segment]]:
    """Segments by the column ``path``, which is relative to the file; all under the file itself without it."""
    found: dict[Path, list[Segment]] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            try:
                segment = Segment(float(row["start_s"]), float(row["end_s"]), row["label"])
            except (KeyError, TypeError, ValueError) as error:
                raise PrerequisiteError(f"{file}: columns start_s, end_s, label wanted, not {row}") from error
            found.setdefault(file.parent / row["path"] if "path" in row else file, []).append(segment)
    return {path: sorted(segments, key=lambda s: s.start_s) for path, segments in found.items()}


_TOKEN: Final = re.compile(r'"((?:[^"]|"")*)"|<exists>|(?<![\w.\[])(-?\d+(?:\.\d+)?)(?![\w\]])')


def read_textgrid(file: Path) -> Sequence[Segment]:
    """The intervals of one tier of a Praat TextGrid, long or short form, UTF-8 or UTF-16.

    Both forms hold the same strings and numbers in the same order; what stands between them in the long form says
    nothing. Raises PrerequisiteError if the file is another.
    """
    raw = file.read_bytes()
    text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    tokens = [m[2] if m[2] is not None else '"' + m[1].replace('""', '"') if m[1] is not None else m[0]
              for m in _TOKEN.finditer(text)]  # fmt: skip
    try:
        # What is missing at the end reads as an empty word, which is no number.
        tiers = dict(_tiers(chain(tokens, repeat(""))))
        chosen = next((name for name in TIERS if name in tiers), list(tiers)[-1])
    except (IndexError, ValueError) as error:
        raise PrerequisiteError(f"{file} is not a TextGrid with a tier of intervals") from error
    return tiers[chosen]


def _tiers(tokens: Iterator[str]) -> Iterator[tuple[str, Sequence[Segment]]]:
    for word in ('"ooTextFile', '"TextGrid'):
        if next(tokens) != word:
            raise ValueError(word)
    next(tokens), next(tokens), next(tokens)  # from, to, <exists>
    for _ in range(int(next(tokens))):
        kind, name = next(tokens), next(tokens)
        next(tokens), next(tokens)
        count = int(next(tokens))
        if kind == '"IntervalTier':
            rows = [(float(next(tokens)), float(next(tokens)), next(tokens)[1:]) for _ in range(count)]
            yield name[1:], [Segment(*row) for row in rows]
        else:
            for _ in range(count):
                next(tokens), next(tokens)
