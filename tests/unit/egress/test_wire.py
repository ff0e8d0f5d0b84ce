import cbor2
import orjson
import pytest

from egress.projection import Instants, avatar_frame, emotion_update
from egress.wire import cbor_frames, json_frames
from tests.support.frames import avatar_frame as example

FRAME = example("abc-123", 30)
MESSAGES = [avatar_frame(FRAME, Instants(0, 0)), emotion_update(FRAME)]


def unframed(wire):
    """Opcode and payload of each unmasked, unfragmented WebSocket frame (RFC 6455, 5.2)."""
    while wire:
        opcode, length, start = wire[0] & 0x0F, wire[1], 2
        assert wire[0] & 0xF0 == 0x80
        if length == 126:
            length, start = int.from_bytes(wire[2:4], "big"), 4
        yield opcode, wire[start : start + length]
        wire = wire[start + length :]


def test_json_goes_as_text():
    frames = list(unframed(json_frames(MESSAGES)))
    assert [opcode for opcode, _ in frames] == [1, 1]
    assert [orjson.loads(payload) for _, payload in frames] == MESSAGES


def test_cbor_goes_as_binary_and_is_smaller():
    frames = list(unframed(cbor_frames(MESSAGES)))
    assert [opcode for opcode, _ in frames] == [2, 2]
    frame, emotion = (cbor2.loads(payload) for _, payload in frames)
    assert frame["payload"]["blendshapes"] == pytest.approx(MESSAGES[0]["payload"]["blendshapes"], abs=5e-4)
    assert frame["timestamp_ms"] == MESSAGES[0]["timestamp_ms"]
    assert emotion["payload"]["scores"] == pytest.approx(MESSAGES[1]["payload"]["scores"], abs=5e-4)
    assert len(cbor_frames(MESSAGES)) < 0.9 * len(json_frames(MESSAGES))
