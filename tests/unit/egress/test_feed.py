"""Messages for channels: written once for all viewers, taken apart at each end."""

from typing import Any

import cbor2
import orjson
from hypothesis import given
from hypothesis import strategies as st

from egress.feed import WIRES, ChannelSink
from egress.frames import DecodedFrame
from schemas.close_codes import CloseCode
from tests.support.frames import avatar_frame

MESSAGES = st.lists(st.dictionaries(st.text(max_size=5), st.integers(-1000, 1000) | st.text(max_size=20)), max_size=6)


class FakeChannel:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.slow = False

    def congested(self, now_us: int) -> bool:
        return now_us >= 0 and self.slow

    def write(self, message: str | bytes) -> None:
        self.messages.append(message)

    def close(self, code: CloseCode, reason: str) -> None:
        raise AssertionError(f"nobody asked for {code}: {reason}")


@given(MESSAGES)
def test_json_goes_as_texts_and_cbor_as_bytes(messages: list[dict[str, Any]]) -> None:
    text, binary = FakeChannel(), FakeChannel()
    ChannelSink(text, "json").write(WIRES.encoders["json"](messages))
    ChannelSink(binary, "cbor").write(WIRES.encoders["cbor"](messages))
    assert all(isinstance(message, str) for message in text.messages)
    assert all(isinstance(message, bytes) for message in binary.messages)
    assert [orjson.loads(message) for message in text.messages] == messages
    assert [cbor2.loads(message) for message in binary.messages if isinstance(message, bytes)] == messages


def test_a_sink_is_congested_as_its_channel_is() -> None:
    channel = FakeChannel()
    sink = ChannelSink(channel, "json")
    assert not sink.congested(0)
    channel.slow = True
    assert sink.congested(0)


def test_packed_frames_are_bytes_among_texts() -> None:
    channel = FakeChannel()
    sink = ChannelSink(channel, "binary")
    sink.write(WIRES.encoders["binary"]([{"type": "welcome"}]))
    sink.write(WIRES.packers["binary"](DecodedFrame(avatar_frame("abc", 30), 0), 0))
    text, frame = channel.messages
    assert text == '{"type":"welcome"}'
    assert isinstance(frame, bytes)
    assert frame.endswith(b"abc")
