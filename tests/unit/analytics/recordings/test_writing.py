import json

import fastavro
import pytest

from analytics.recordings.container import HEADER_KEY, Entry, Header, RecordingError
from analytics.recordings.reading import open_recording
from analytics.recordings.writing import writing
from tests.support.recordings import write_recording

ENTRIES = [Entry("signals", 1, n, 1_800_000_000_000 + n, "s1", bytes([n]) * 40) for n in range(200)]


def test_what_was_written_is_read(tmp_path):
    recording = open_recording(write_recording(tmp_path / "made" / "a.afr", ENTRIES))
    assert list(recording.entries()) == ENTRIES
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.afr"]


def test_any_avro_library_reads_it(tmp_path):
    path = write_recording(tmp_path / "a.afr", ENTRIES)
    with path.open("rb") as stream:
        reader = fastavro.reader(stream)
        found = list(reader)
    assert reader.codec == "zstandard"
    assert json.loads(reader.metadata[HEADER_KEY])["product"] == "test"
    assert [entry["value"] for entry in found[:-1]] == [entry.value for entry in ENTRIES]
    assert found[-1]["topic"] == "summary"


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = write_recording(tmp_path / "a.afr", ENTRIES[:1])
    before = path.read_bytes()
    with pytest.raises(TypeError), writing(path, Header("test", 0, [], [])) as writer:
        writer.add(Entry("signals", 0, 0, 0, "s1", "no bytes"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=r"file/a\.afr cannot be written"):
        write_recording(tmp_path / "file" / "a.afr", ENTRIES)
