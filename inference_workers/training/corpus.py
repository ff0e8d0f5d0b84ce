"""Labelled clips of emotional speech, from a folder of audio files.

Three layouts are understood: a ``manifest.csv`` with the columns path, label, speaker; EMO-DB's file names (Burkhardt
et al., "A Database of German Emotional Speech", Interspeech 2005); RAVDESS's (Livingstone & Russo, PLoS ONE 13(5),
2018). Labels are those of :data:`schemas.vocabulary.EMOTIONS` and ``unknown``, for an emotion that is none of them.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.features import SAMPLE_RATE_HZ
from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS

UNKNOWN: Final = "unknown"
EMODB_NAME: Final = re.compile(r"^(?P<speaker>\d\d)[ab]\d\d(?P<letter>[WLEAFTN])[a-z]$")
EMODB_LABELS: Final = {
    "W": "angry",
    "L": UNKNOWN,  # boredom
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
RAVDESS_NAME: Final = re.compile(r"^03-01-(?P<number>0[1-8])-\d\d-\d\d-\d\d-(?P<speaker>\d\d)$")
RAVDESS_LABELS: Final = {
    "01": "neutral",
    "02": "neutral",  # calm
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
AUDIO_SUFFIXES: Final = (".flac", ".wav")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, its label and who speaks."""

    path: Path
    label: str
    speaker: str


def read(folder: Path) -> Sequence[Clip]:
    """The clips of a folder in the order of their paths; raises PrerequisiteError if it holds none."""
    manifest = folder / "manifest.csv"
    clips = sorted(_listed(manifest) if manifest.exists() else _named(folder), key=lambda clip: clip.path)
    if not clips:
        raise PrerequisiteError(f"{folder} holds neither manifest.csv nor clips named as in EMO-DB or RAVDESS")
    return clips


def _listed(manifest: Path) -> Iterator[Clip]:
    with manifest.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["label"] not in (*EMOTIONS, UNKNOWN):
                raise PrerequisiteError(f"{manifest}: label {row['label']!r} is not one of {EMOTIONS} or {UNKNOWN}")
            yield Clip(manifest.parent / row["path"], row["label"], row["speaker"])


def _named(folder: Path) -> Iterator[Clip]:
    for path in folder.rglob("*"):
        if path.suffix not in AUDIO_SUFFIXES:
            continue
        if found := EMODB_NAME.match(path.stem):
            yield Clip(path, EMODB_LABELS[found["letter"]], found["speaker"])
        elif found := RAVDESS_NAME.match(path.stem):
            yield Clip(path, RAVDESS_LABELS[found["number"]], found["speaker"])


def load(path: Path) -> NDArray[np.float32]:
    """Samples of an audio file, mixed to mono, 16 kHz, -1..1."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)
