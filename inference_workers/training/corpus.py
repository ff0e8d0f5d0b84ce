"""Labelled clips of emotional speech, from a folder of audio files.

These layouts are understood: a ``manifest.csv`` with the columns path, label, speaker; the file names of EMO-DB
(Burkhardt et al., "A Database of German Emotional Speech", Interspeech 2005), of RAVDESS (Livingstone & Russo, PLoS ONE
13(5), 2018) and of CREMA-D (Cao et al., IEEE TAC 5(4), 2014); IEMOCAP's sessions (Busso et al., Language Resources and
Evaluation 42(4), 2008), whose labels are in ``dialog/EmoEvaluation/``. Labels are those of
:data:`schemas.vocabulary.EMOTIONS` and ``unknown``, for an emotion that is none of them.
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
CREMAD_NAME: Final = re.compile(r"^(?P<speaker>1\d{3})_[A-Z]{3}_(?P<code>ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)$")
CREMAD_LABELS: Final = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
IEMOCAP_LINE: Final = re.compile(
    r"^\[[\d.]+ - [\d.]+\]\t(?P<turn>(?P<dialogue>Ses\d\d[FM]_\w+)_(?P<who>[FM])\d+)\t(?P<code>[a-z]{3})\t"
)
IEMOCAP_LABELS: Final = {
    "ang": "angry",
    "dis": "disgust",
    "exc": "happy",  # excited: its users count it so
    "fea": "fear",
    "fru": UNKNOWN,  # frustrated
    "hap": "happy",
    "neu": "neutral",
    "oth": UNKNOWN,
    "sad": "sad",
    "sur": "surprise",
}
"""Turns on which the raters did not agree (xxx) are left out."""
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
    found = _listed(manifest) if manifest.exists() else (*_named(folder), *_rated(folder))
    clips = sorted(found, key=lambda clip: clip.path)
    if not clips:
        raise PrerequisiteError(
            f"{folder} holds neither manifest.csv nor clips as in EMO-DB, RAVDESS, CREMA-D or IEMOCAP"
        )
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
        elif found := CREMAD_NAME.match(path.stem):
            yield Clip(path, CREMAD_LABELS[found["code"]], found["speaker"])


def _rated(folder: Path) -> Iterator[Clip]:
    """IEMOCAP's turns; a speaker is a session's woman or man."""
    for table in sorted(folder.glob("Session*/dialog/EmoEvaluation/Ses*.txt")):
        for line in table.read_text(encoding="utf-8").splitlines():
            found = IEMOCAP_LINE.match(line)
            if found and (label := IEMOCAP_LABELS.get(found["code"])):
                path = table.parents[2] / "sentences" / "wav" / found["dialogue"] / f"{found['turn']}.wav"
                yield Clip(path, label, f"{found['dialogue'][:5]}{found['who']}")


def forbids_shipping(clips: Sequence[Clip]) -> str | None:
    """The corpus among the clips' whose terms forbid a commercial use of what is trained on it; None: there is none."""
    if any(RAVDESS_NAME.match(clip.path.stem) for clip in clips):
        return "RAVDESS (CC BY-NC-SA 4.0)"
    if any(re.match(r"^Ses\d\d[FM]_", clip.path.stem) for clip in clips):
        return "IEMOCAP (for research, by agreement with USC)"
    return None


def load(path: Path) -> NDArray[np.float32]:
    """Samples of an audio file, mixed to mono, 16 kHz, -1..1."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)
