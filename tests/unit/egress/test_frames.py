from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress.frames import LONGEST_NAME, DecodedFrame, FrameReader, LogFrame
from egress.packed import pack
from egress.projection import Instants
from schemas.codec import Codec, DecodeError
from schemas.records import AvatarFrame
from tests.support.frame_strategies import avatar_frames
from tests.support.frames import avatar_frame

CODEC = Codec()
READER = FrameReader(CODEC)


@given(avatar_frames(), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_frame_is_packed_from_its_bytes_as_from_its_record(frame, fused, relayed):
    found = READER.read(CODEC.encode(frame), frame.captured_at_us + fused)
    assert (found.session_id, found.sequence) == (frame.session_id, frame.sequence)
    assert found.captured_at_us == frame.captured_at_us
    assert CODEC.encode(found.record()) == CODEC.encode(frame)
    if len(frame.session_id.encode()) < 256:
        instants = Instants(frame.captured_at_us + fused, frame.captured_at_us + fused + relayed)
        assert found.packed(instants.relayed_at_us) == pack(frame, instants)


@pytest.mark.parametrize("sequence", [0, 1, 63, 64, 8_191, 8_192, 100_000_000])
@pytest.mark.parametrize("name", ["s", "a" * 24, "a" * LONGEST_NAME])
def test_the_frames_of_the_product_are_cut_and_not_decoded(sequence, name):
    assert isinstance(READER.read(CODEC.encode(avatar_frame(name, sequence)), 0), LogFrame)


@pytest.mark.parametrize("name", ["a" * (LONGEST_NAME + 1), "é"])
def test_others_are_decoded(name):
    found = READER.read(CODEC.encode(avatar_frame(name, 7)), 0)
    assert isinstance(found, DecodedFrame)
    assert found.record().session_id == name


@given(st.data())
def test_bytes_that_were_changed_are_read_as_the_codec_reads_them(data):
    value = bytearray(CODEC.encode(avatar_frame("session", 300)))
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    value = bytes(value[: data.draw(st.integers(0, len(value)))]) if data.draw(st.booleans()) else bytes(value)
    try:
        wanted = CODEC.decode(AvatarFrame, value)
    except DecodeError:
        with pytest.raises(DecodeError):
            READER.read(value, 0)
        return
    if not 0 <= wanted.sequence < 1 << 32:
        with pytest.raises(DecodeError, match=f"frame {wanted.sequence}"):
            READER.read(value, 0)
        return
    found = READER.read(value, 0)
    assert (found.session_id, found.sequence) == (wanted.session_id, wanted.sequence)
    assert found.captured_at_us == wanted.captured_at_us
    assert CODEC.encode(found.record()) == CODEC.encode(wanted)


@pytest.mark.parametrize("sequence", [-1, 1 << 32])
def test_a_number_that_viewers_cannot_be_told_is_no_frame(sequence):
    with pytest.raises(DecodeError, match=f"frame {sequence}"):
        READER.read(CODEC.encode(replace(avatar_frame("session", 1), sequence=sequence)), 0)


@pytest.mark.parametrize("value", [None, b"", b"\xc3\x01", b"nothing of ours"])
def test_what_is_no_frame_raises(value):
    with pytest.raises(DecodeError):
        READER.read(value, 0)
