"""Pictures of faces with an emotion's label: ``DIR/<emotion>/*.jpg|png``, or such folders within one tar file."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS

Picture = NDArray[np.uint8]

SUFFIXES: Final = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """An encoded picture, its emotion, and its name."""

    name: str
    label: str
    encoded: bytes

    def picture(self) -> Picture:
        """Blue-green-red; raises PrerequisiteError if it is no picture."""
        found = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR)
        if found is None:
            raise PrerequisiteError(f"{self.name} is no picture")
        return np.asarray(found, np.uint8)


def read(source: Path) -> Sequence[LabelledFace]:
    """Every labelled picture of a folder or a tar file, by name; raises PrerequisiteError if there is none."""
    found = sorted(_in_folder(source) if source.is_dir() else _in_tar(source), key=lambda face: face.name)
    if not found:
        raise PrerequisiteError(f"{source} holds no pictures in folders named {', '.join(EMOTIONS)}")
    return found


def _label(path: PurePosixPath | Path) -> str | None:
    name = path.parent.name
    return name if path.suffix.lower() in SUFFIXES and name in EMOTIONS else None


def _in_folder(folder: Path) -> Iterator[LabelledFace]:
    for path in folder.rglob("*"):
        if label := _label(path):
            yield LabelledFace(str(path.relative_to(folder)), label, path.read_bytes())


def _in_tar(archive: Path) -> Iterator[LabelledFace]:
    try:
        with tarfile.open(archive) as members:
            for member in members:
                label = _label(PurePosixPath(member.name))
                if label and member.isfile() and (content := members.extractfile(member)) is not None:
                    yield LabelledFace(member.name, label, content.read())
    except (OSError, tarfile.TarError) as error:
        raise PrerequisiteError(f"{archive} is neither a folder nor a tar file: {error}") from error
