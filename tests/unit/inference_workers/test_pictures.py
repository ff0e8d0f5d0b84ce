import cv2
import numpy as np
import pytest

from inference_workers.pictures import MAX_PIXELS, UndecodableError, decode, jpeg_size
from tests.support.faces import jpeg

GRADIENT = np.dstack([np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))] * 3)


def with_size(data: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its frame header."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2) + width.to_bytes(2) + data[at + 4 :]


def test_a_jpeg_becomes_pixels():
    picture = decode(jpeg(GRADIENT))
    assert picture.shape == (64, 96, 3)
    assert np.abs(picture.astype(int) - GRADIENT).mean() < 3


def test_the_size_is_read_from_the_header():
    assert jpeg_size(jpeg(GRADIENT)) == (96, 64)


def test_a_large_picture_is_decoded_at_half_size():
    assert decode(jpeg(np.zeros((1080, 1920, 3), np.uint8))).shape == (540, 960, 3)


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", "does not start with FFD8"),
        (b"\x89PNG....", "does not start with FFD8"),
        (b"\xff\xd8", "no frame header"),
        (b"\xff\xd8\xff\xe0\xff\xff" + bytes(64), "no frame header"),
        (b"\xff\xd8 not a picture \xff\xd9", "no frame header"),
        (jpeg(GRADIENT)[:-200], "truncated"),
        (with_size(jpeg(GRADIENT), 0, 64), "0 x 64 pixels"),
        (with_size(jpeg(GRADIENT), 65_535, 65_535), f"at most {MAX_PIXELS}"),
    ],
)
def test_what_is_no_picture_says_why(data, why):
    with pytest.raises(UndecodableError, match=why):
        decode(data)


def test_a_picture_without_its_tables_is_refused_by_the_decoder():
    data = jpeg(GRADIENT)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    length = int.from_bytes(data[frame + 2 : frame + 4])
    with pytest.raises(UndecodableError, match="decoder"):
        decode(data[:2] + data[frame : frame + 2 + length] + data[scan:][:4] + b"\xff\xd9")


def test_a_picture_that_is_damaged_in_the_middle_is_refused():
    data = jpeg(np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8))
    with pytest.raises(UndecodableError, match="premature end"):
        decode(data[: len(data) // 2] + b"\xff\xd9")


def test_stray_bytes_between_the_parts_do_no_harm():
    data = jpeg(GRADIENT)
    tables = data.index(b"\xff\xc4")
    assert np.array_equal(decode(data[:tables] + bytes(8) + data[tables:]), decode(data))


def test_the_pixels_are_those_that_opencv_gives():
    data = jpeg(cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (61, 95, 3), np.uint8), (5, 5), 2))
    assert np.array_equal(decode(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_a_grey_picture_gets_three_channels():
    grey = cv2.imencode(".jpg", GRADIENT[:, :, 0])[1].tobytes()
    assert decode(grey).shape == (64, 96, 3)
