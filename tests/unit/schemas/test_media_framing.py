import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.media_framing import HEADER, FramingError, MediaKind, MediaMessage, parse


def test_the_header_is_sixteen_bytes_little_endian():
    data = MediaMessage(MediaKind.JPEG, 7, 1_700_000_123_456_789, b"x").to_bytes()
    assert HEADER.size == 16
    assert data[:8] == b"\x03\x00\x00\x00\x07\x00\x00\x00"
    assert int.from_bytes(data[8:16], "little", signed=True) == 1_700_000_123_456_789


@given(
    st.sampled_from(MediaKind),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(min_size=1, max_size=64),
)
def test_what_is_written_is_read(kind, sequence, captured_at_us, payload):
    message = MediaMessage(kind, sequence, captured_at_us, payload)
    assert parse(message.to_bytes()) == message
    assert message.is_audio == (kind not in {MediaKind.JPEG, MediaKind.FACE_FEATURES})
    assert message.is_features == (kind in {MediaKind.FACE_FEATURES, MediaKind.SPEECH_FEATURES})


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_an_error(data):
    with contextlib.suppress(FramingError):
        assert parse(data).to_bytes() == data


@pytest.mark.parametrize("sequence", [-1, 2**32])
def test_a_sequence_that_does_not_fit_is_an_error(sequence):
    with pytest.raises(FramingError, match=str(sequence)):
        MediaMessage(MediaKind.PCM16, sequence, 0, b"x").to_bytes()
