import cv2
import numpy as np
import pytest

from client.errors import ClientError
from client.recording import encode_jpeg, pieces, tracks
from schemas.media_framing import MediaKind
from tests.support.pictures import film


def test_a_film_becomes_pictures_and_chunks_in_order(tmp_path):
    path = tmp_path / "film.mkv"
    film(path, seconds=1.0, rate=25, size=(1_280, 720))
    recording = tracks(path)
    assert (recording.video, recording.audio) == (path, path)
    assert recording.duration_s == pytest.approx(1.0, abs=0.05)
    found = list(pieces(recording, chunk_ms=40))
    assert [piece.media_us for piece in found] == sorted(piece.media_us for piece in found)
    sound = [piece for piece in found if piece.kind is MediaKind.PCM16]
    pictures = [piece for piece in found if piece.kind is MediaKind.JPEG]
    assert [piece.media_us for piece in sound] == [40_000 * i for i in range(25)]
    assert {len(piece.payload) for piece in sound} == {1_280}
    assert [piece.media_us for piece in pictures] == pytest.approx([40_000 * i for i in range(25)], abs=1_000)
    decoded = cv2.imdecode(np.frombuffer(pictures[0].payload, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (360, 640, 3)


def test_many_pictures_a_second_become_thirty(tmp_path):
    path = tmp_path / "film.mkv"
    film(path, seconds=1.0, rate=60)
    pictures = [piece for piece in pieces(tracks(path)) if piece.kind is MediaKind.JPEG]
    assert len(pictures) == pytest.approx(30, abs=1)


def test_sound_of_another_file_replaces_the_films_own(tmp_path):
    film(tmp_path / "a.mkv", seconds=0.5)
    film(tmp_path / "b.mkv", seconds=1.0)
    recording = tracks(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert (recording.video, recording.audio) == (tmp_path / "a.mkv", tmp_path / "b.mkv")
    found = list(pieces(recording))
    assert sum(piece.kind is MediaKind.PCM16 for piece in found) == 50
    assert sum(piece.kind is MediaKind.JPEG for piece in found) == 15


def test_files_that_cannot_be_used_say_so(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film")
    for path in (tmp_path / "text.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(ClientError, match=path.name):
            tracks(path)


def test_any_picture_fits():
    noise = np.random.default_rng(1).integers(0, 255, (640, 640, 3), np.uint8)
    assert len(encode_jpeg(noise)) <= 100_000
