"""Messages as bytes on the socket, WebSocket framing included: made once, however many viewers get them.

A server's frames are not masked (RFC 6455, 5.1) and no extension is negotiated, so the same bytes suit every client.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

import cbor2
import orjson
from websockets.frames import Frame, Opcode

from egress.frames import Frame as AvatarFrame
from egress.hub import Format, Wires
from egress.packed import FRAME_BYTES

_HALF: Final = struct.Struct("<e")
HALF_MAX: Final = 65_504.0
_HEADERS: Final = tuple(b"\x82\x7e" + length.to_bytes(2, "big") for length in range(FRAME_BYTES + 256))
"""Of a whole binary message, not masked, of 126 to 65,535 bytes (RFC 6455, 5.2), by its length."""


def json_frames(messages: Iterable[Mapping[str, Any]]) -> bytes:
    """One text frame a message."""
    return b"".join(Frame(Opcode.TEXT, orjson.dumps(message)).serialize(mask=False) for message in messages)


def cbor_frames(messages: Iterable[Mapping[str, Any]]) -> bytes:
    """One binary frame a message: CBOR (RFC 8949), floats as 16 bits where they fit."""
    return b"".join(Frame(Opcode.BINARY, cbor_message(message)).serialize(mask=False) for message in messages)


def cbor_message(message: Mapping[str, Any]) -> bytes:
    """One message as CBOR, floats as 16 bits where they fit."""
    return cbor2.dumps(_halved(message), canonical=True)


def _halved(value: Any) -> Any:
    """``value`` with floats rounded to half precision (11 bits, finer than the 8 of the log), which CBOR then keeps."""
    if isinstance(value, float):
        return _HALF.unpack(_HALF.pack(value))[0] if abs(value) <= HALF_MAX else value
    if isinstance(value, Mapping):
        return {name: _halved(item) for name, item in value.items()}
    return value


def packed_frame(frame: AvatarFrame, relayed_at_us: int) -> bytes:
    """One binary frame: packed, every frame has 192 bytes and at most 255 of its session's id."""
    message = frame.packed(relayed_at_us)
    return _HEADERS[len(message)] + message


WIRES: Final = Wires({"json": json_frames, "cbor": cbor_frames, "binary": json_frames}, {"binary": packed_frame})
SUBPROTOCOLS: Final[Mapping[str, Format]] = {
    "affectstream.json": "json",
    "affectstream.cbor": "cbor",
    "affectstream.binary": "binary",
}
