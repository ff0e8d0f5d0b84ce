"""Avro's integers: variable length, seven bits a byte, zigzag (the sign in the lowest bit).

A microsecond of our age has exactly eight bytes, so that instants can be read by the thousand, and told from others by
a mask.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

CONTINUED: Final = 0x8080808080808080
EIGHT_BYTES: Final = 0x0080808080808080
"""Of eight bytes in memory (little-endian), the bits that say whether a varint goes on, and what they are where it has
these eight."""
_EIGHT_FROM: Final = 1 << 48
_EIGHT_TO: Final = 1 << 55
"""Values in this range have varints of eight bytes: µs since the epoch from 1978 to 3111."""
_ONE_BYTE: Final = tuple(bytes((value << 1,)) for value in range(64))
_VARINT_BYTES: Final = 9
"""Longer varints do not fit 63 bits, and are left to fastavro."""


def read_instants(raw: npt.NDArray[np.uint64]) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Eight-byte varints, zigzag, as they stand in memory (little-endian): their values, and which are eight long."""
    fits = (raw & np.uint64(CONTINUED)) == np.uint64(EIGHT_BYTES)
    x = raw & np.uint64(0x7F7F7F7F7F7F7F7F)
    # Close the gaps between the groups of seven bits: pairs, then fours, then all eight.
    x = (x & np.uint64(0x007F007F007F007F)) | ((x & np.uint64(0x7F007F007F007F00)) >> np.uint64(1))
    x = (x & np.uint64(0x00003FFF00003FFF)) | ((x & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2))
    x = (x & np.uint64(0x000000000FFFFFFF)) | ((x & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4))
    value = (x >> np.uint64(1)).astype(np.int64)
    return np.where((x & np.uint64(1)) == 0, value, ~value), fits


def instant(raw: int) -> int | None:
    """One of :func:`read_instants` that is not negative; None: not eight bytes, or negative."""
    if raw & CONTINUED != EIGHT_BYTES or raw & 1:
        return None
    x = raw & 0x7F7F7F7F7F7F7F7F
    x = (x & 0x007F007F007F007F) | ((x & 0x7F007F007F007F00) >> 1)
    x = (x & 0x00003FFF00003FFF) | ((x & 0x3FFF00003FFF0000) >> 2)
    x = (x & 0x000000000FFFFFFF) | ((x & 0x0FFFFFFF00000000) >> 4)
    return x >> 1


def read_varints(data: Bytes, position: Int64s, ends: Int64s) -> tuple[Int64s, Int64s, npt.NDArray[np.bool_]]:
    """Zigzag varints at ``position``: values, positions behind them, and which ended before ``ends`` and in 63 bits.

    ``data`` must go on for ten bytes behind the last record.
    """
    value = np.zeros(len(position), np.int64)
    at = position.copy()
    reading = np.ones(len(position), np.bool_)
    for group in range(_VARINT_BYTES):
        byte = data[np.minimum(at, len(data) - 1)].astype(np.int64)
        value = np.where(reading, value | ((byte & 0x7F) << (7 * group)), value)
        at = at + reading
        reading = reading & (byte >= 0x80)
        if not reading.any():
            break
    return (value >> 1) ^ -(value & 1), at, ~reading & (at <= ends)


def varint(value: int) -> bytes:
    """One zigzag varint of a non-negative value."""
    if 0 <= value < len(_ONE_BYTE):
        return _ONE_BYTE[value]
    if _EIGHT_FROM <= value < _EIGHT_TO:
        # Timestamps: :func:`read_instants` the other way round, which costs a third of the loop.
        x = value << 1
        x = (x & 0x0000_0000_0FFF_FFFF) | ((x & 0x00FF_FFFF_F000_0000) << 4)
        x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x0FFF_C000_0FFF_C000) << 2)
        x = (x & 0x007F_007F_007F_007F) | ((x & 0x3F80_3F80_3F80_3F80) << 1)
        return (x | EIGHT_BYTES).to_bytes(8, "little")
    rest, out = value << 1, bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
