"""Opus packets to PCM16 mono at 16 kHz: by libopus itself where it is found, else by FFmpeg and a low-pass.

Importing this loads FFmpeg's libraries, which takes some tenths of a second: the edge does so with the first packet.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import av
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ingest.admission import BYTES_PER_MS, MAX_CHUNK_MS, MIN_CHUNK_MS, SAMPLE_RATE_HZ, Refused
from ingest.libopus import LibopusDecoder, OpusError, library
from schemas.vocabulary import Outcome

OPUS_RATE_HZ: Final = 48_000
FACTOR: Final = OPUS_RATE_HZ // SAMPLE_RATE_HZ
TAPS: Final = 63
CUTOFF_HZ: Final = 7_200.0


def _low_pass() -> NDArray[np.float32]:
    """A windowed-sinc low-pass (Hamming), 63 taps at 48 kHz: 0.65 ms of delay, unity gain."""
    n = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(2 * CUTOFF_HZ / OPUS_RATE_HZ * n) * np.hamming(TAPS)
    return np.asarray(taps / taps.sum(), np.float32)


LOW_PASS: Final = _low_pass()


BLOCK: Final = 8
"""So many samples are filtered at once: as a product of matrices it takes a third of the time."""

SPAN: Final = (BLOCK - 1) * FACTOR + TAPS
"""What a block sees of its input."""


def _block_filter() -> NDArray[np.float32]:
    """The low-pass as a matrix: SPAN samples to BLOCK filtered ones, each three samples after the one before."""
    matrix = np.zeros((SPAN, BLOCK), np.float32)
    for number in range(BLOCK):
        matrix[number * FACTOR : number * FACTOR + TAPS, number] = LOW_PASS
    return matrix


BLOCK_FILTER: Final = _block_filter()


class Decimator:
    """48 kHz to 16 kHz: the low-pass, and every third sample of it. Keeps what the next call needs of this one's."""

    def __init__(self) -> None:
        self._padded = np.zeros(TAPS - 1, np.float32)
        self._blocks = self._padded

    def take(self, sound: NDArray[np.int16]) -> bytes:
        """PCM16 little-endian of exactly as long as ``sound``: a multiple of 2.5 ms, as all Opus frames are."""
        before = self._padded
        if before.size != TAPS - 1 + sound.size:
            self._padded = np.empty(TAPS - 1 + sound.size, np.float32)
            step = self._padded.strides[0]
            shape = sound.size // (FACTOR * BLOCK), SPAN
            self._blocks = as_strided(self._padded, shape, (FACTOR * BLOCK * step, step))
        self._padded[: TAPS - 1] = before[-(TAPS - 1) :]
        self._padded[TAPS - 1 :] = sound
        # Blocks overlap in memory: a copy of them goes through the fast multiplication, a view would not.
        filtered = (self._blocks.copy() @ BLOCK_FILTER).reshape(-1)
        np.rint(filtered, out=filtered)
        np.maximum(filtered, -32_768, out=filtered)
        np.minimum(filtered, 32_767, out=filtered)
        return filtered.astype("<i2").tobytes()


def samples_of(frames: Sequence[Any]) -> NDArray[np.int16]:
    """The samples of decoded frames (av.AudioFrame, mono, 16 bits), at least one, one after another."""
    parts = [np.frombuffer(frame.planes[0], np.int16, frame.samples) for frame in frames]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Decodes(Protocol):
    """The decoder of one stream. Not thread-safe; packets must come in order, but may be missing."""

    def decode(self, packet: bytes) -> bytes:
        """The packet's sound, exactly as long as it; raises OpusError."""
        ...


class FfmpegDecoder:
    """FFmpeg decodes to 48 kHz; of what is left after the low-pass every third sample is taken."""

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = OPUS_RATE_HZ
        self._decoder.layout = "mono"
        self._decimator = Decimator()

    def decode(self, packet: bytes) -> bytes:
        """The packet's sound, exactly as long as it; raises OpusError."""
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise OpusError(error.strerror or "the decoder refuses it") from error
        return self._decimator.take(samples_of(frames)) if frames else b""


def decoder() -> Decodes:
    """A decoder for one stream."""
    opus = library()
    return FfmpegDecoder() if opus is None else LibopusDecoder(opus)


class OpusDecoder:
    """The decoder of one connection; packets must come in order. Not thread-safe: one packet at a time."""

    def __init__(self) -> None:
        self._decoder = decoder()

    def decode(self, packet: bytes) -> bytes:
        """The packet's samples, 20 to 60 ms of PCM16 mono at 16 kHz; raises Refused."""
        try:
            sound = self._decoder.decode(packet)
        except OpusError as error:
            raise Refused(Outcome.MALFORMED, f"not an Opus packet: {error}") from error
        if not sound:
            raise Refused(Outcome.MALFORMED, "an Opus packet without sound")
        length_ms = len(sound) / BYTES_PER_MS
        if not MIN_CHUNK_MS <= length_ms <= MAX_CHUNK_MS:
            outcome = Outcome.TOO_LARGE if length_ms > MAX_CHUNK_MS else Outcome.MALFORMED
            raise Refused(outcome, f"an Opus packet of {length_ms:g} ms: send {MIN_CHUNK_MS} to {MAX_CHUNK_MS} ms")
        return sound
