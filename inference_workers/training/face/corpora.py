"""Labelled faces from the corpora's published layouts, as grey crops of one size.

Understood, and told apart by what lies in the folder:

* FER2013 (Goodfellow et al., "Challenges in representation learning", ICONIP 2013): Kaggle's ``fer2013.csv`` or
  ``icml_face_data.csv``, or folders of pictures, ``train/<emotion>/`` and ``validation/<emotion>/``. Pictures of the
  PrivateTest part are never read: it is for the last judgement alone.
* AffectNet (Mollahosseini, Hasani and Mahoor, IEEE TAC 10(1), 2019): ``training.csv`` and ``validation.csv`` with the
  face's box in each picture, or the later ``train_set/`` and ``val_set/`` of crops with ``annotations/N_exp.npy``.
* RAF-DB (Li, Deng and Du, CVPR 2017), basic emotions: ``EmoLabel/list_patition_label.txt`` (so spelt) with
  ``Image/aligned/``.

Labels are positions in :data:`schemas.vocabulary.EMOTIONS`; pictures of what is none of them (contempt, no face,
uncertain) are left out and counted.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS

SIDE: Final = 48
"""Pixels of a crop's edge: FER2013's own."""

PICTURE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".webp")

FER2013_LABELS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
AFFECTNET_LABELS: Final = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry")
"""Its codes 0 to 6; 7 is contempt, 8 none, 9 uncertain, 10 no face."""
RAFDB_LABELS: Final = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
"""Its codes 1 to 7."""

SYNONYMS: Final[Mapping[str, str]] = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "sadness": "sad",
    "surprised": "surprise",
}  # fmt: skip
"""Names of folders that mean an emotion of ours."""

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Split(StrEnum):
    """Parts of a corpus, as its authors cut it."""

    TRAIN = "train"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class Faces:
    """``pictures`` (n x SIDE x SIDE, grey), ``labels`` (n), and how many pictures had no label of ours."""

    pictures: Pictures
    labels: Labels
    left_out: int = 0

    def where(self, rows: NDArray[np.bool_]) -> "Faces":
        """Some of the rows."""
        return Faces(self.pictures[rows], self.labels[rows], self.left_out)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus on the disk: its name, the terms it comes under, and how to read a part of it."""

    name: str
    source: str
    terms: str
    read: Callable[[Split], Faces]


def find(folder: Path) -> Corpus:
    """The corpus of a folder; raises PrerequisiteError if it has none of the layouts, saying what was looked for."""
    for name in ("fer2013.csv", "icml_face_data.csv"):
        if (table := folder / name).is_file():
            return _fer2013(lambda split: _of_fer_table(table, split))
    if (folder / "training.csv").is_file():
        return _affectnet(lambda split: _of_affectnet_table(folder, split))
    if (folder / "train_set" / "annotations").is_dir():
        return _affectnet(lambda split: _of_affectnet_crops(folder, split))
    for base in (folder, folder / "basic"):
        if (base / "EmoLabel" / "list_patition_label.txt").is_file():
            return _rafdb(base)
    if (folder / "train").is_dir():
        return _fer2013(lambda split: of_folders(folder / split.value))
    raise PrerequisiteError(
        f"{folder} holds none of the layouts that are known: FER2013 (fer2013.csv, or train/ and validation/ with a "
        f"folder for each emotion), AffectNet (training.csv, or train_set/annotations/), RAF-DB "
        f"(EmoLabel/list_patition_label.txt)"
    )


def _fer2013(read: Callable[[Split], Faces]) -> Corpus:
    return Corpus(
        "FER2013",
        "Goodfellow et al., Challenges in representation learning, ICONIP 2013",
        "pictures found by web search; published for a Kaggle competition under its database contents licence, without "
        "the rights of the pictured or of the photographers being cleared: its terms are unclear",
        read,
    )


def _affectnet(read: Callable[[Split], Faces]) -> Corpus:
    return Corpus(
        "AffectNet",
        "Mollahosseini, Hasani and Mahoor, IEEE Transactions on Affective Computing 10(1), 2019",
        "for non-commercial research, by agreement with the University of Denver",
        read,
    )


def _rafdb(base: Path) -> Corpus:
    return Corpus(
        "RAF-DB",
        "Li, Deng and Du, CVPR 2017",
        "for non-commercial research, by agreement with BUPT",
        lambda split: _of_rafdb(base, split),
    )


def label_of(name: str) -> int | None:
    """Position of an emotion in the vocabulary by the name of its folder; None: none of ours."""
    known = SYNONYMS.get(name.lower(), name.lower())
    return EMOTIONS.index(known) if known in EMOTIONS else None


def pictures_of(folder: Path) -> Sequence[tuple[Path, int]]:
    """Pictures of ``folder/<emotion>/`` in the order of their paths; raises PrerequisiteError if there is none."""
    if not folder.is_dir():
        raise PrerequisiteError(f"{folder} is no folder")
    found = [
        (path, label)
        for emotion in sorted(folder.iterdir())
        if emotion.is_dir() and (label := label_of(emotion.name)) is not None
        for path in sorted(emotion.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]
    if not found:
        raise PrerequisiteError(f"{folder} holds no folder of pictures that is named as one of {', '.join(EMOTIONS)}")
    return found


def of_folders(folder: Path) -> Faces:
    """Crops from ``folder/<emotion>/``: each picture is one face."""
    return _faces((grey_crop(path), label) for path, label in pictures_of(folder))


def grey_crop(path: Path, box: tuple[int, int, int, int] | None = None) -> Pictures:
    """A picture, or its ``box`` (x, y, width, height), in grey at SIDE x SIDE; PrerequisiteError if unreadable."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise PrerequisiteError(f"{path} cannot be read as a picture")
    if box is not None:
        x, y, width, height = box
        picture = picture[max(y, 0) : y + height, max(x, 0) : x + width]
        if picture.size == 0:
            raise PrerequisiteError(f"{path}: the box {box} of its face lies outside of it")
    return fitted(picture)


def fitted(picture: Pictures) -> Pictures:
    """A grey picture at SIDE x SIDE."""
    if picture.shape == (SIDE, SIDE):
        return picture
    smaller = min(picture.shape) > SIDE
    return np.asarray(
        cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
    )


def _of_fer_table(table: Path, split: Split) -> Faces:
    usage = {Split.TRAIN: "Training", Split.VALIDATION: "PublicTest"}[split]

    def rows() -> Iterator[tuple[Pictures, int | None]]:
        with table.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, skipinitialspace=True)  # icml_face_data.csv has a space after each comma
            for number, row in enumerate(reader, start=2):
                if row.get("Usage") != usage:
                    continue
                pixels = np.fromstring(row["pixels"], np.uint8, sep=" ")
                if pixels.size != SIDE * SIDE:
                    raise PrerequisiteError(f"{table}, line {number}: {pixels.size} pixels, not {SIDE} x {SIDE}")
                yield pixels.reshape(SIDE, SIDE), _coded(FER2013_LABELS, int(row["emotion"]))

    return _faces(rows(), f"{table} with Usage {usage}")


def _of_affectnet_table(folder: Path, split: Split) -> Faces:
    table = folder / {Split.TRAIN: "training.csv", Split.VALIDATION: "validation.csv"}[split]
    pictures = next((p for p in (folder / "Manually_Annotated_Images", folder) if p.is_dir()), folder)

    def rows() -> Iterator[tuple[Pictures, int | None]]:
        with table.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                label = _coded(AFFECTNET_LABELS, int(row["expression"]))
                if label is None:
                    yield np.zeros((SIDE, SIDE), np.uint8), None
                    continue
                x, y, w, h = (round(float(row[k])) for k in ("face_x", "face_y", "face_width", "face_height"))
                yield grey_crop(pictures / row["subDirectory_filePath"], (x, y, w, h)), label

    return _faces(rows(), str(table))


def _of_affectnet_crops(folder: Path, split: Split) -> Faces:
    base = folder / {Split.TRAIN: "train_set", Split.VALIDATION: "val_set"}[split]

    def rows() -> Iterator[tuple[Pictures, int | None]]:
        for annotation in sorted((base / "annotations").glob("*_exp.npy")):
            label = _coded(AFFECTNET_LABELS, int(np.load(annotation, allow_pickle=False)))
            path = base / "images" / f"{annotation.stem.removesuffix('_exp')}.jpg"
            yield (grey_crop(path), label) if label is not None else (np.zeros((SIDE, SIDE), np.uint8), None)

    return _faces(rows(), str(base))


def _of_rafdb(base: Path, split: Split) -> Faces:
    prefix = {Split.TRAIN: "train_", Split.VALIDATION: "test_"}[split]
    table = base / "EmoLabel" / "list_patition_label.txt"

    def rows() -> Iterator[tuple[Pictures, int | None]]:
        for line in table.read_text(encoding="utf-8").splitlines():
            name, _, code = line.partition(" ")
            if name.startswith(prefix):
                path = base / "Image" / "aligned" / f"{Path(name).stem}_aligned.jpg"
                yield grey_crop(path), _coded(RAFDB_LABELS, int(code) - 1)

    return _faces(rows(), f"{table} with {prefix}")


def _coded(names: Sequence[str], code: int) -> int | None:
    return EMOTIONS.index(names[code]) if 0 <= code < len(names) else None


def _faces(rows: Iterable[tuple[Pictures, int | None]], where: str = "") -> Faces:
    pictures: list[Pictures] = []
    labels: list[int] = []
    left_out = 0
    for picture, label in rows:
        if label is None:
            left_out += 1
        else:
            pictures.append(picture)
            labels.append(label)
    if not pictures:
        raise PrerequisiteError(f"{where} holds no labelled face")
    return Faces(np.stack(pictures), np.array(labels, np.int64), left_out)
