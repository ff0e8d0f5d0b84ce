import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.jpeg import JpegError, dimensions
from tests.support.pictures import jpeg


@pytest.mark.parametrize("size", [(16, 16), (641, 479), (1_920, 1_080)])
def test_the_size_stands_in_the_header(size):
    assert dimensions(jpeg(*size)) == size


def test_progressive_pictures_are_read_too():
    import cv2
    import numpy as np

    _, data = cv2.imencode(".jpg", np.zeros((30, 50, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert dimensions(bytes(data)) == (50, 30)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "does not start"),
        (b"\x89PNG", "does not start"),
        (b"\xff\xd8\xff", "no frame header"),
        (b"\xff\xd8\xff\xe0\x00\x01", "length 1"),
        (b"\xff\xd8\xff\xe0\x00\x04\x00\x00ab--", "no marker"),
        (b"\xff\xd8\xff\xda\x00\x04\x00\x00", "before its frame header"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x10\x00\x10\x01\x00\x00\x00", "not supported"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00", "cut off"),
    ],
)
def test_why_a_picture_cannot_be_used(data, reason):
    with pytest.raises(JpegError, match=reason):
        dimensions(data)


@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff\xff\xff\xff\xff")
def test_hostile_bytes_end_in_a_size_or_an_error(tail):
    for data in (tail, b"\xff\xd8\xff" + tail):
        try:
            width, height = dimensions(data)
        except JpegError:
            continue
        assert 0 <= width <= 65_535
        assert 0 <= height <= 65_535
