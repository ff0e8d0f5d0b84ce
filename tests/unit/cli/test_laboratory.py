"""Telling frames apart without decoding them."""

import pytest

from cli.laboratory import _Identifier
from schemas.codec import Codec, DecodeError
from tests.support.frames import avatar_frame


@pytest.mark.parametrize("session", ["a", "1-0-12", "x" * 63, "x" * 64, "x" * 200])
@pytest.mark.parametrize("sequence", [0, 1, 63, 64, 8_191, 8_192, 100_000, 2**31 - 1])
def test_a_frame_says_whose_it_is(session: str, sequence: int) -> None:
    value = Codec().encode(avatar_frame(session, sequence))
    identify = _Identifier()
    assert identify(value, session.encode()) == (session, sequence)
    assert identify(value, b"another key") == (session, sequence)
    assert identify(value, b"") == (session, sequence)


@pytest.mark.parametrize("value", [b"", b"\xc3\x01 but no frame"])
def test_what_is_no_frame_is_refused(value: bytes) -> None:
    with pytest.raises(DecodeError):
        _Identifier()(value, b"a")
