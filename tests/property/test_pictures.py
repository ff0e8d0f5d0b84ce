import contextlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.pictures import UndecodableError, decode
from tests.support.faces import jpeg

WHOLE = jpeg(np.full((32, 48, 3), 90, np.uint8))


@given(st.binary(max_size=400).map(lambda tail: b"\xff\xd8" + tail))
def test_no_bytes_do_worse_than_being_undecodable(data):
    with contextlib.suppress(UndecodableError):
        assert decode(data).ndim == 3


@given(st.integers(2, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_picture_or_undecodable(at, value):
    with contextlib.suppress(UndecodableError):
        picture = decode(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
        assert picture.dtype == np.uint8
