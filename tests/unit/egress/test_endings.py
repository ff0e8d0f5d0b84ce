from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress.endings import EndReader
from schemas.codec import Codec, DecodeError
from schemas.records import ClientEvent

CODEC = Codec()
READER = EndReader(CODEC)
NOW_US = 1_800_000_000_000_000
END = ClientEvent(
    captured_at_us=NOW_US, received_at_us=NOW_US + 5, kind="session_ended", sequence=0, session_id="s",
    client_id="edge", detail="client_closed",
)  # fmt: skip


def test_an_end_says_which_session_is_over():
    assert READER.ended(CODEC.encode(END)) == "s"


@pytest.mark.parametrize("kind", ["ack", "rating", "viewer_left", "exposure"])
@pytest.mark.parametrize("captured_us", [-5, 0, 127, NOW_US, 1 << 60])
def test_other_events_are_no_ends(kind, captured_us):
    assert READER.ended(CODEC.encode(replace(END, kind=kind, captured_at_us=captured_us))) == ""


@pytest.mark.parametrize("captured_us", [-5, 0, 127, 1 << 60])
def test_an_end_at_an_unlikely_time_is_one(captured_us):
    assert READER.ended(CODEC.encode(replace(END, captured_at_us=captured_us))) == "s"


@pytest.mark.parametrize("value", [None, b"", b"\xc3\x01", b"nothing of ours"])
def test_what_cannot_be_read_is_no_end(value):
    assert READER.ended(value) == ""


@pytest.mark.parametrize("kind", range(256))
def test_every_kind_is_what_the_codec_takes_it_for(kind):
    value = bytearray(CODEC.encode(END))
    value[26] = kind
    try:
        wanted = CODEC.decode(ClientEvent, bytes(value)).kind == "session_ended"
    except DecodeError:
        wanted = False
    assert bool(READER.ended(bytes(value))) == wanted


@given(st.sampled_from(("ack", "session_ended")), st.data())
def test_bytes_that_were_changed_are_read_as_the_codec_reads_them(kind, data):
    value = bytearray(CODEC.encode(replace(END, kind=kind)))
    for _ in range(data.draw(st.integers(0, 2))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        event = CODEC.decode(ClientEvent, bytes(value))
    except DecodeError:
        assert READER.ended(bytes(value)) == ""
        return
    assert READER.ended(bytes(value)) == (event.session_id if event.kind == "session_ended" else "")
