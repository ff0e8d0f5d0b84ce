import tarfile

import cv2
import numpy as np
import pytest

from inference_workers.evaluation.labelled_faces import LabelledFace, read
from runtime.errors import PrerequisiteError


@pytest.fixture
def folder(tmp_path):
    for label, name in (("happy", "a.jpg"), ("sad", "b.png"), ("holiday", "c.jpg"), ("sad", "notes.txt")):
        path = tmp_path / "set" / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("no picture")
        else:
            cv2.imwrite(str(path), np.full((48, 48), 100, np.uint8))
    return tmp_path / "set"


def test_a_folder_and_a_tar_file_of_it_hold_the_same(folder, tmp_path):
    found = read(folder)
    assert [(face.name, face.label) for face in found] == [("happy/a.jpg", "happy"), ("sad/b.png", "sad")]
    assert found[0].picture().shape == (48, 48, 3)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(folder, "validation")
    packed = read(tmp_path / "set.tar.gz")
    assert [(face.label, face.encoded) for face in packed] == [(face.label, face.encoded) for face in found]


def test_what_cannot_be_read_is_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PrerequisiteError, match="empty holds no pictures in folders named neutral"):
        read(tmp_path / "empty")
    with pytest.raises(PrerequisiteError, match=r"notes\.txt is neither a folder nor a tar file"):
        read(folder / "sad" / "notes.txt")
    with pytest.raises(PrerequisiteError, match="x is no picture"):
        LabelledFace("x", "sad", b"nothing").picture()
