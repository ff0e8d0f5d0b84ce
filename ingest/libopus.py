"""libopus itself, decoding straight to 16 kHz, which FFmpeg's wrapper of it cannot: half the work, and no resampler.

PyAV's wheels carry the library beside FFmpeg; where it is not found, the system's is looked for. Calls keep Python's
lock: they take about 20 µs, less than giving the lock up and waiting for it again.
"""

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

RATE_HZ: Final = 16_000
MAX_SAMPLES: Final = RATE_HZ * 120 // 1_000
"""No packet is longer than 120 ms (RFC 6716, section 3.2)."""


class OpusError(ValueError):
    """A packet that cannot be decoded; the message says why."""


def _candidates() -> Iterator[str]:
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            yield from map(str, sorted(folder.glob("libopus*")))
    system = ctypes.util.find_library("opus")
    if system is not None:
        yield system


@cache
def library() -> ctypes.PyDLL | None:
    """The library, or None where there is none."""
    for path in _candidates():
        try:
            found = ctypes.PyDLL(path)
            found.opus_decoder_get_size.restype = ctypes.c_int
            found.opus_decoder_init.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_int)
            found.opus_decode.argtypes = (
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int,
            )
            found.opus_strerror.restype = ctypes.c_char_p
        except (OSError, AttributeError):
            continue
        return found
    return None


class LibopusDecoder:
    """The decoder of one stream, mono: stereo is mixed down. Not thread-safe; packets must come in order."""

    def __init__(self, opus: ctypes.PyDLL) -> None:
        """``opus``: what :func:`library` returned."""
        self._opus = opus
        self._state = ctypes.create_string_buffer(opus.opus_decoder_get_size(1))
        code = opus.opus_decoder_init(self._state, RATE_HZ, 1)
        if code:
            raise OpusError(self._why(code))
        self._samples = (ctypes.c_int16 * MAX_SAMPLES)()
        self._bytes = memoryview(self._samples).cast("B")

    def decode(self, packet: bytes) -> bytes:
        """The packet's sound, PCM16 little-endian at 16 kHz, exactly as long as it; raises OpusError."""
        if not packet:
            raise OpusError("an empty packet")  # to libopus it would mean: conceal a loss
        count = self._opus.opus_decode(self._state, packet, len(packet), self._samples, MAX_SAMPLES, 0)
        if count < 0:
            raise OpusError(self._why(count))
        return bytes(self._bytes[: 2 * count])

    def _why(self, code: int) -> str:
        return str(self._opus.opus_strerror(code).decode())
