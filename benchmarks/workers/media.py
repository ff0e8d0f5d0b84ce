"""What the workers are given: the sample session, as the edge would write it to the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cli.sample import GroundTruth, Sample
from client.recording import pieces, tracks
from schemas.media_framing import MediaKind
from schemas.records import AudioChunk, VideoFrame

CHUNK_MS: Final = 20
EPOCH_US: Final = 1_800_000_000_000_000
"""When the recording was captured, as its stamps say: a whole number of hops and seconds."""


@dataclass(frozen=True)
class Recorded:
    """Pictures and sound with the seconds from the sample's start at which each begins."""

    pictures: Sequence[tuple[float, bytes]]
    chunks: Sequence[tuple[float, bytes]]
    truth: GroundTruth

    def with_faces(self) -> list[tuple[float, bytes]]:
        """The pictures that show a face."""
        return [(at_s, jpeg) for at_s, jpeg in self.pictures if self.truth.shows_face(at_s)]


def load(sample: Sample) -> Recorded:
    """The whole sample: 30 JPEG pictures and 50 chunks of PCM16 a second."""
    taken = list(pieces(tracks(sample.video, sample.audio), chunk_ms=CHUNK_MS))
    return Recorded(
        [(piece.media_us / 1e6, piece.payload) for piece in taken if piece.kind is MediaKind.JPEG],
        [(piece.media_us / 1e6, piece.payload) for piece in taken if piece.kind is MediaKind.PCM16],
        sample.truth,
    )


def picture(session_id: str, number: int, jpeg: bytes, *, captured_at_us: int, received_at_us: int) -> VideoFrame:
    """A picture as the edge writes it."""
    return VideoFrame(captured_at_us, received_at_us, received_at_us, 640, 480, number, session_id, jpeg)


def chunk(session_id: str, number: int, pcm: bytes, *, captured_at_us: int) -> AudioChunk:
    """A chunk as the edge writes it."""
    done_us = captured_at_us + CHUNK_MS * 1_000
    return AudioChunk(captured_at_us, done_us, done_us, 16_000, number, session_id, pcm)
