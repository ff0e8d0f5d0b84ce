"""How well the face engine tells emotions, on pictures in folders that are named as the emotions.

A picture is either the crop of a face already, as in FER2013, or a whole picture in which the face is found first.
Whole pictures in which no face is found count as answered wrongly: they are answers that a user does not get.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from inference_workers.engines.face_emotion import SIDE, FaceEmotion
from inference_workers.engines.protocols import FaceEngine, FaceInput, Picture
from inference_workers.evaluation.calibration import calibration_error
from inference_workers.evaluation.scores import Scores
from inference_workers.training.face.corpora import fitted
from schemas.records import Vector
from schemas.vocabulary import EMOTIONS

LARGEST_CROP: Final = 128
"""Pixels: a picture that is no larger is taken for a crop, unless it is said what pictures are."""
BATCH: Final = 64
NO_FACE: Final = "no face"

ENLARGED: Final = 4
"""How much a crop is enlarged, with a border around it, for an engine that must find the face in it."""


class Given(StrEnum):
    """What the pictures are."""

    AUTO = "auto"
    CROPS = "crops"
    PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says of a picture: scores of the emotions, None if it sees no face."""

    path: Path
    label: int
    scores: Vector | None
    crop: bool


class Unreadable(Exception):  # noqa: N818 - a condition; the caller counts it
    """A file that is no picture."""


def answers(
    pictures: Sequence[tuple[Path, int]],
    engine: FaceEngine,
    network: FaceEmotion | None,
    given: Given,
    progress: Callable[[str], None],
) -> Iterator[Answer | Path]:
    """Each picture's answer, or its path alone if it cannot be read.

    ``network`` reads crops; without it they are enlarged, and the engine must find the face in them.
    """
    for start in range(0, len(pictures), BATCH):
        crops: list[tuple[Path, int, Picture]] = []
        for path, label in pictures[start : start + BATCH]:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is None:
                yield path
                continue
            taken = np.asarray(picture, np.uint8)
            if given is Given.PICTURES or (given is Given.AUTO and max(taken.shape[:2]) > LARGEST_CROP):
                yield Answer(path, label, _found(engine, taken), crop=False)
            elif network is None:
                yield Answer(path, label, _found(engine, enlarged(taken)), crop=True)
            else:
                crops.append((path, label, taken))
        if network is not None:
            grey = [fitted(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)) for *_, picture in crops]
            for (path, label, _), scores in zip(crops, network.scores(grey), strict=True):
                yield Answer(path, label, scores, crop=True)
        if (done := start + BATCH) % (16 * BATCH) == 0 and done < len(pictures):
            progress(f"{done} of {len(pictures)} pictures")


def enlarged(crop: Picture) -> Picture:
    """A crop as a picture in which a detector may find the face: a third of its edge added around, and enlarged."""
    around = max(crop.shape[:2]) // 3
    wider = cv2.copyMakeBorder(crop, around, around, around, around, cv2.BORDER_REPLICATE)
    factor = ENLARGED * SIDE / max(crop.shape[:2])
    return np.asarray(cv2.resize(wider, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def _found(engine: FaceEngine, picture: Picture) -> Vector | None:
    (output,) = engine.infer([FaceInput(picture, 0)])
    return output.signal.emotion_scores if output.signal.face_detected else None


@dataclass(frozen=True, slots=True)
class FaceScores:
    """What came of the pictures."""

    scores: Scores
    """With ``no face`` as an answer besides the emotions."""
    ece: float
    """Expected calibration error over the faces that were found."""
    crops: int
    unreadable: int

    @classmethod
    def of(cls, answered: Sequence[Answer], unreadable: int = 0) -> "FaceScores":
        """Score at least one answer."""
        seen = [each for each in answered if each.scores is not None]
        truth = [each.label for each in answered]
        best = [len(EMOTIONS) if each.scores is None else int(np.argmax(each.scores)) for each in answered]
        ece = (
            calibration_error(np.array([each.scores for each in seen]), np.array([each.label for each in seen]))
            if seen
            else 0.0
        )
        crops = sum(each.crop for each in answered)
        return cls(Scores.of((*EMOTIONS, NO_FACE), truth, best), ece, crops, unreadable)

    @property
    def undetected(self) -> int:
        """Pictures in which no face was found."""
        return int(self.scores.table[:, len(EMOTIONS)].sum())

    def keys(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "n": self.scores.n,
            "accuracy": round(self.scores.accuracy, 4),
            "macro_f1": round(self.scores.macro_f1, 4),
            "uar": round(self.scores.uar, 4),
            "ece": round(self.ece, 4),
            "undetected": self.undetected,
            "crops": self.crops,
            "unreadable": self.unreadable,
            "per_class": {
                name: {"recall": round(recall, 4), "f1": round(self.scores.f1s[name], 4)}
                for name, recall in self.scores.recalls.items()
            },
            "confusion": {
                name: dict(zip(self.scores.classes, map(int, self.scores.table[i]), strict=True))
                for i, name in enumerate(EMOTIONS)
                if self.scores.table[i].any()
            },
        }
