from pathlib import Path

import numpy as np
import pytest

from inference_workers.evaluation.timed_labels import (
    Timed,
    labels_for,
    read_textgrid,
    recordings,
    sentence_of,
    timed,
)
from inference_workers.speech.phones import Segment
from runtime.errors import PrerequisiteError
from tests.support.voices import silence, write_wav

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = "AA1"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.7
            mark = "said ""tick"" 3"
"""
SHORT = """"ooTextFile"
"TextGrid"
0
1.5
<exists>
1
"IntervalTier"
"words"
0
1.5
2
0
0.5
""
0.5
1.5
"AA1"
"""
SEGMENTS = [Segment(0.0, 0.5, ""), Segment(0.5, 1.5, "AA1")]


@pytest.mark.parametrize("text", [LONG, SHORT])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_both_forms_of_textgrid_are_read(tmp_path, text, encoding):
    path = tmp_path / "a.TextGrid"
    path.write_text(text, encoding=encoding)
    assert read_textgrid(path) == SEGMENTS


@pytest.mark.parametrize("text", ["", "hello", LONG[:200], '"ooTextFile" "TextGrid" 0 1 <exists> 0'])
def test_another_file_is_named(tmp_path, text):
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(PrerequisiteError, match=r"a\.TextGrid is not a TextGrid"):
        read_textgrid(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a", "b", "c", "03-01-05-01-02-01-08"):
        write_wav(tmp_path / f"{name}.wav", silence(0.1))
    (tmp_path / "a.TextGrid").write_text(LONG)
    (tmp_path / "b.csv").write_text("start_s,end_s,label\n0.5,1.5,AA1\n0,0.5,\n")
    (tmp_path / "labels.csv").write_text("path,start_s,end_s,label\nc.wav,0,0.5,\nc.wav,0.5,1.5,AA1\n")
    return tmp_path


def test_labels_stand_beside_or_in_one_file(folder):
    paths = recordings(folder)
    found = labels_for(paths, folder)
    assert found == {folder / f"{name}.wav": SEGMENTS for name in "abc"}


def test_a_label_that_is_neither_phone_nor_viseme_is_named(folder):
    (folder / "b.csv").write_text("start_s,end_s,label\n0,0.5,XX\n")
    with pytest.raises(PrerequisiteError, match=r"b\.csv: neither phones nor visemes: XX"):
        labels_for(recordings(folder), folder)
    (folder / "b.csv").write_text("from,to\n0,0.5\n")
    with pytest.raises(PrerequisiteError, match="columns start_s, end_s, label wanted"):
        labels_for(recordings(folder), folder)


def test_a_folder_without_recordings_is_named(tmp_path):
    with pytest.raises(PrerequisiteError, match="holds no audio files"):
        recordings(tmp_path)


def test_who_has_no_labels_is_aligned_if_the_sentence_is_known(folder):
    asked = []

    def align(sound, sentence):
        asked.append(sentence)
        return None if len(asked) > 1 else [Segment(0.0, 0.1, "")]

    paths = [folder / "a.wav", folder / "03-01-05-01-02-01-08.wav"]
    known, aligned = timed(paths, {folder / "a.wav": SEGMENTS}, None, align)
    assert isinstance(known, Timed)
    assert known.segments == SEGMENTS
    assert isinstance(aligned, Timed)
    assert asked == ["dogs are sitting by the door"] == [sentence_of(paths[1])]
    assert len(aligned.sound) == 1_600
    np.testing.assert_array_equal(aligned.sound, 0.0)
    # The second time the aligner finds no such sentence.
    assert list(timed(paths[1:], {}, "another", align)) == paths[1:]
    assert list(timed([folder / "b.wav"], {}, None, align)) == [folder / "b.wav"]
