"""Opus packets to PCM16 mono at 16 kHz. Blocking, about 0.1 ms a packet: call it off the event loop.

Importing this loads FFmpeg's libraries, which takes some tenths of a second: the edge does so with the first packet.
"""

from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from ingest.admission import MAX_CHUNK_MS, MIN_CHUNK_MS, SAMPLE_RATE_HZ, Refused
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


class OpusDecoder:
    """The decoder of one connection; packets must come in order. Not thread-safe: one packet at a time."""

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = OPUS_RATE_HZ
        self._decoder.layout = "mono"
        self._history = np.zeros(TAPS - 1, np.float32)

    def decode(self, packet: bytes) -> bytes:
        """The packet's samples, 20 to 60 ms of PCM16 mono at 16 kHz; raises Refused.

        Every third sample after the low-pass: a packet of n ms gives exactly n ms.
        """
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise Refused(Outcome.MALFORMED, f"not an Opus packet: {error.strerror}") from error
        if not frames:
            raise Refused(Outcome.MALFORMED, "an Opus packet without sound")
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)
        length_ms = sound.size * 1_000 / OPUS_RATE_HZ
        if not MIN_CHUNK_MS <= length_ms <= MAX_CHUNK_MS:
            outcome = Outcome.TOO_LARGE if length_ms > MAX_CHUNK_MS else Outcome.MALFORMED
            raise Refused(outcome, f"an Opus packet of {length_ms:g} ms: send {MIN_CHUNK_MS} to {MAX_CHUNK_MS} ms")
        padded = np.concatenate((self._history, sound))
        self._history = padded[-(TAPS - 1) :]
        filtered = np.convolve(padded, LOW_PASS, "valid")[::FACTOR]
        return np.clip(np.rint(filtered), -32_768, 32_767).astype("<i2").tobytes()
