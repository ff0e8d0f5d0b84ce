"""Opus and G.711/G.722 packets to PCM16 mono at 16 kHz, in pieces of 20 to 60 ms. Blocking, about 0.02 ms a packet."""

from collections.abc import Callable
from typing import Any, Final

import av

from ingest import opus
from ingest.admission import BYTES_PER_MS, MAX_CHUNK_MS, MIN_CHUNK_MS, SAMPLE_RATE_HZ
from ingest.libopus import OpusError
from ingest.webrtc.receiving.pictures import DecodeError

DECODERS: Final = {"opus": "libopus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw", "G722": "adpcm_g722"}
MIN_BYTES: Final = MIN_CHUNK_MS * BYTES_PER_MS
MAX_BYTES: Final = MAX_CHUNK_MS * BYTES_PER_MS


class SoundDecoder:
    """The decoder of one stream. Not thread-safe; packets must come in order, but may be missing."""

    def __init__(self, codec: str) -> None:
        """``codec``: the RTP payload name: opus, PCMU, PCMA or G722."""
        self._decode: Callable[[bytes], bytes] = opus.decoder().decode if codec == "opus" else _Telephony(codec).decode

    def decode(self, data: bytes) -> bytes:
        """The packet's sound, PCM16 mono at 16 kHz; raises DecodeError."""
        try:
            return self._decode(data)
        except OpusError as error:
            raise DecodeError(str(error)) from error


class _Telephony:
    def __init__(self, codec: str) -> None:
        self._decoder = av.CodecContext.create(DECODERS[codec], "r")
        self._decoder.layout = "mono"
        self._resampler: Any = None
        if codec == "G722":  # 16 kHz, though its RTP clock says 8
            self._decoder.sample_rate = SAMPLE_RATE_HZ
        else:
            self._decoder.sample_rate = SAMPLE_RATE_HZ // 2
            self._resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ)

    def decode(self, data: bytes) -> bytes:
        try:
            frames = self._decoder.decode(av.Packet(data))
            if self._resampler is not None:
                frames = [resampled for frame in frames for resampled in self._resampler.resample(frame)]
        except av.FFmpegError as error:
            raise DecodeError(error.strerror or "the decoder refuses it") from error
        return opus.samples_of(frames).astype("<i2").tobytes() if frames else b""


class Chunker:
    """Packets of any length to pieces of 20 to 60 ms: short ones are collected, long ones cut."""

    def __init__(self, clock_rate_hz: int) -> None:
        """``clock_rate_hz``: of the timestamps."""
        self._clock_rate_hz = clock_rate_hz
        self._held = b""
        self._timestamp = 0
        self._received_us = 0

    def put(self, pcm: bytes, timestamp: int, received_us: int) -> list[tuple[bytes, int, int]]:
        """Take a packet's sound; returns pieces, each with its beginning's RTP timestamp and its packet's arrival."""
        if not self._held:
            if MIN_BYTES <= len(pcm) <= MAX_BYTES:
                return [(pcm, timestamp, received_us)]
            self._timestamp, self._received_us = timestamp, received_us
        self._held += pcm
        pieces: list[tuple[bytes, int, int]] = []
        while len(self._held) >= MIN_BYTES:
            piece, self._held = self._held[:MAX_BYTES], self._held[MAX_BYTES:]
            pieces.append((piece, self._timestamp, self._received_us))
            self._timestamp += len(piece) * self._clock_rate_hz // (1_000 * BYTES_PER_MS)
            self._received_us = received_us
        return pieces

    def forget(self) -> None:
        """Drop what is held: the next packet does not follow it."""
        self._held = b""
