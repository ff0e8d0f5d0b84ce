"""A film or sound file as the pieces that a session sends: JPEG pictures and PCM16 chunks in order of their times."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from client.errors import ClientError
from schemas.media_framing import MediaKind

SAMPLE_RATE_HZ: Final = 16_000
LONG_EDGE_PX: Final = 640
MAX_JPEG_BYTES: Final = 100_000
MAX_PICTURES_PER_S: Final = 30.0
QUALITIES: Final = (85, 70, 55, 40, 25, 10)


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """One picture or chunk; ``media_us`` counts from the start of the recording."""

    media_us: int
    kind: MediaKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tracks:
    """What a recording holds."""

    video: Path | None
    audio: Path | None
    duration_s: float


def tracks(path: Path, audio: Path | None = None) -> Tracks:
    """Which files give pictures and sound: ``path``, and ``audio`` in place of its own sound.

    Raises ClientError if a file cannot be read or holds neither.
    """
    video, sound, duration_s = None, audio, 0.0
    for file in (path, audio):
        if file is None:
            continue
        try:
            with av.open(str(file)) as container:
                if file is path and container.streams.video:
                    video = path
                if container.streams.audio and (file is audio or audio is None):
                    sound = file
                elif file is audio:
                    raise ClientError(f"{file} holds no sound")
                if container.duration is not None:
                    duration_s = max(duration_s, container.duration / 1e6)
        except (av.FFmpegError, OSError) as error:
            raise ClientError(f"{file} cannot be read: {error}") from error
    if video is None and sound is None:
        raise ClientError(f"{path} holds neither pictures nor sound")
    return Tracks(video, sound, duration_s)


def pieces(recording: Tracks, *, chunk_ms: int = 20) -> Iterator[Piece]:
    """Every piece in order of time. Blocking: decoding takes a few milliseconds a picture."""
    sources = []
    if recording.video is not None:
        sources.append(_pictures(recording.video))
    if recording.audio is not None:
        sources.append(_chunks(recording.audio, chunk_ms))
    return heapq.merge(*sources, key=lambda piece: piece.media_us)


def _pictures(path: Path) -> Iterator[Piece]:
    """At most 30 pictures a second, long edge at most 640, at most 100 kB each."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first_s: float | None = None
        due_s = 0.0
        for frame in container.decode(stream):
            at_s = float(frame.time or 0.0)
            first_s = at_s if first_s is None else first_s
            at_s -= first_s
            if at_s < due_s - 0.002:
                continue
            due_s = max(due_s + 1 / MAX_PICTURES_PER_S, at_s + 0.5 / MAX_PICTURES_PER_S)
            scale = min(1.0, LONG_EDGE_PX / max(frame.width, frame.height))
            width, height = max(16, round(frame.width * scale)), max(16, round(frame.height * scale))
            picture = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
            yield Piece(round(at_s * 1e6), MediaKind.JPEG, encode_jpeg(picture))


def encode_jpeg(picture: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    """A BGR picture as a JPEG of at most 100 kB, of the best quality that fits; raises ClientError if none does."""
    for quality in QUALITIES:
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if encoded.size <= MAX_JPEG_BYTES:
            return bytes(encoded)
    raise ClientError(f"a picture of {picture.shape[1]}x{picture.shape[0]} does not fit in {MAX_JPEG_BYTES} bytes")


def _chunks(path: Path, chunk_ms: int) -> Iterator[Piece]:
    """PCM16 mono at 16 kHz in chunks of ``chunk_ms``; the last is filled up with silence."""
    size = SAMPLE_RATE_HZ * chunk_ms // 1_000
    sent = 0
    rest = np.zeros(0, np.int16)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(path)) as container:
        for frame in _with_flush(container):
            for resampled in resampler.resample(frame):
                rest = np.concatenate((rest, resampled.to_ndarray().reshape(-1)))
            while rest.size >= size:
                yield Piece(sent * 1_000_000 // SAMPLE_RATE_HZ, MediaKind.PCM16, rest[:size].astype("<i2").tobytes())
                rest, sent = rest[size:], sent + size
    if rest.size:
        last = np.zeros(size, np.int16)
        last[: rest.size] = rest
        yield Piece(sent * 1_000_000 // SAMPLE_RATE_HZ, MediaKind.PCM16, last.astype("<i2").tobytes())


def _with_flush(container: "av.container.InputContainer") -> Iterator["av.AudioFrame | None"]:
    """The frames of the sound, then None, which makes a resampler give what it holds."""
    yield from container.decode(container.streams.audio[0])
    yield None
