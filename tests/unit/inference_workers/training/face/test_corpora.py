import csv

import cv2
import numpy as np
import pytest

from inference_workers.training.face import corpora
from inference_workers.training.face.corpora import SIDE, Split
from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS


def write(path, grey: int, side: int = SIDE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((side, side), grey, np.uint8))


def named(faces) -> list[tuple[str, int]]:
    """Emotion and mean grey of each face."""
    return [
        (EMOTIONS[label], round(float(picture.mean())))
        for picture, label in zip(faces.pictures, faces.labels, strict=True)
    ]


@pytest.mark.parametrize("name", ["fer2013.csv", "icml_face_data.csv"])
def test_fer2013_as_kaggle_gives_it_without_its_private_test(tmp_path, name):
    space = " " if name.startswith("icml") else ""  # that file's header has a space after each comma
    rows = [(0, 10, "Training"), (3, 20, "PublicTest"), (6, 30, "PrivateTest"), (1, 40, "Training")]
    lines = [f"emotion,{space}pixels,{space}Usage" if not space else "emotion, Usage, pixels"]
    for code, grey, usage in rows:
        pixels = " ".join([str(grey)] * (SIDE * SIDE))
        lines.append(f"{code},{usage},{pixels}" if space else f"{code},{pixels},{usage}")
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = corpora.find(tmp_path)
    assert corpus.name == "FER2013"
    assert "unclear" in corpus.terms
    assert named(corpus.read(Split.TRAIN)) == [("angry", 10), ("disgust", 40)]
    assert named(corpus.read(Split.VALIDATION)) == [("happy", 20)]


def test_fer2013_with_another_number_of_pixels_is_told_with_its_line(tmp_path):
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n0,1 2 3,Training\n", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="line 2: 3 pixels"):
        corpora.find(tmp_path).read(Split.TRAIN)


def test_fer2013_as_folders_in_the_order_of_paths(tmp_path):
    write(tmp_path / "train" / "happy" / "b.png", 20)
    write(tmp_path / "train" / "happy" / "a.jpg", 10)
    write(tmp_path / "train" / "sadness" / "c.png", 30, side=96)
    write(tmp_path / "train" / "contempt" / "d.png", 40)
    (tmp_path / "train" / "happy" / "notes.txt").write_text("not a picture", encoding="utf-8")
    write(tmp_path / "validation" / "neutral" / "e.png", 50)
    corpus = corpora.find(tmp_path)
    assert named(corpus.read(Split.TRAIN)) == [("happy", 10), ("happy", 20), ("sad", 30)]
    assert named(corpus.read(Split.VALIDATION)) == [("neutral", 50)]


def test_affectnet_with_boxes_cuts_the_face_out(tmp_path):
    picture = np.zeros((200, 200), np.uint8)
    picture[50:150, 60:160] = 90
    path = tmp_path / "Manually_Annotated_Images" / "7" / "x.png"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), picture)
    columns = ["subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "expression"]
    for name in ("training.csv", "validation.csv"):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as lines:
            table = csv.writer(lines)
            table.writerow(columns)
            for code in (0, 4, 7, 10):
                table.writerow(["7/x.png", 60, 50, 100, 100, code])
    corpus = corpora.find(tmp_path)
    faces = corpus.read(Split.TRAIN)
    assert corpus.name == "AffectNet"
    assert named(faces) == [("neutral", 90), ("fear", 90)]
    assert faces.left_out == 2


def test_affectnet_as_crops(tmp_path):
    for part, code in (("train_set", 3), ("val_set", 6)):
        write(tmp_path / part / "images" / "12.jpg", 70, side=224)
        (tmp_path / part / "annotations").mkdir()
        np.save(tmp_path / part / "annotations" / "12_exp.npy", np.array(str(code)))
    corpus = corpora.find(tmp_path)
    assert named(corpus.read(Split.TRAIN)) == [("surprise", 70)]
    assert named(corpus.read(Split.VALIDATION)) == [("angry", 70)]


def test_rafdb(tmp_path):
    base = tmp_path / "basic"
    for name, grey in (("train_00001", 10), ("train_00002", 20), ("test_0001", 30)):
        write(base / "Image" / "aligned" / f"{name}_aligned.jpg", grey, side=100)
    (base / "EmoLabel").mkdir()
    (base / "EmoLabel" / "list_patition_label.txt").write_text(
        "train_00001.jpg 1\ntrain_00002.jpg 7\ntest_0001.jpg 4\n", encoding="utf-8"
    )
    corpus = corpora.find(tmp_path)
    assert corpus.name == "RAF-DB"
    assert named(corpus.read(Split.TRAIN)) == [("surprise", 10), ("neutral", 20)]
    assert named(corpus.read(Split.VALIDATION)) == [("happy", 30)]


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(PrerequisiteError, match="none of the layouts"):
        corpora.find(tmp_path)
    (tmp_path / "train" / "joy").mkdir(parents=True)
    with pytest.raises(PrerequisiteError, match="no folder of pictures that is named"):
        corpora.find(tmp_path).read(Split.TRAIN)
    (tmp_path / "train" / "happy").mkdir()
    (tmp_path / "train" / "happy" / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(PrerequisiteError, match=r"a\.jpg cannot be read"):
        corpora.find(tmp_path).read(Split.TRAIN)
    write(tmp_path / "b.png", 10)
    with pytest.raises(PrerequisiteError, match="lies outside"):
        corpora.grey_crop(tmp_path / "b.png", (100, 100, 10, 10))
