"""What the edge takes from a client: sizes, forms and rates. Pure."""

from dataclasses import dataclass
from typing import Final

from ingest import jpeg
from runtime.rates import TokenBucket
from schemas.media_framing import MediaKind
from schemas.vocabulary import Modality, Outcome

SAMPLE_RATE_HZ: Final = 16_000
BYTES_PER_MS: Final = SAMPLE_RATE_HZ * 2 // 1_000
MIN_CHUNK_MS: Final = 20
MAX_CHUNK_MS: Final = 60
MAX_JPEG_BYTES: Final = 100_000
MIN_EDGE_PX: Final = 16
MAX_EDGE_PX: Final = 4_096
MAX_OPUS_BYTES: Final = 1_275 * 3
"""Three frames of the largest size that RFC 6716, section 3.4, allows: 60 ms."""

RECORDED_SPEED: Final = 32.0
"""Recorded sessions may send this much faster than live ones; what the broker takes limits them in the end."""


class Refused(Exception):  # noqa: N818 - an item is refused; nothing went wrong here
    """One media item is not taken; ``outcome`` is the ledger's word, the message is for the client."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


def check_pcm(payload: bytes) -> None:
    """Raise Refused unless ``payload`` is 20 to 60 ms of PCM16 mono at 16 kHz."""
    if len(payload) % 2:
        raise Refused(Outcome.MALFORMED, f"{len(payload)} bytes are no whole number of 16-bit samples")
    if len(payload) > MAX_CHUNK_MS * BYTES_PER_MS:
        msg = f"{len(payload) / BYTES_PER_MS:.1f} ms of sound: send {MIN_CHUNK_MS} to {MAX_CHUNK_MS} ms a message"
        raise Refused(Outcome.TOO_LARGE, msg)
    if len(payload) < MIN_CHUNK_MS * BYTES_PER_MS:
        msg = f"{len(payload) / BYTES_PER_MS:.1f} ms of sound: send {MIN_CHUNK_MS} to {MAX_CHUNK_MS} ms a message"
        raise Refused(Outcome.MALFORMED, msg)


def check_opus(payload: bytes) -> None:
    """Raise Refused if ``payload`` cannot be an Opus packet of at most 60 ms; decoding tells the rest."""
    if len(payload) > MAX_OPUS_BYTES:
        raise Refused(Outcome.TOO_LARGE, f"{len(payload)} bytes: an Opus packet of 60 ms has at most {MAX_OPUS_BYTES}")


def check_jpeg(payload: bytes) -> tuple[int, int]:
    """Width and height of a picture of at most 100 kB; raises Refused."""
    if len(payload) > MAX_JPEG_BYTES:
        raise Refused(Outcome.TOO_LARGE, f"a picture of {len(payload)} bytes: at most {MAX_JPEG_BYTES} are taken")
    try:
        width, height = jpeg.dimensions(payload)
    except jpeg.JpegError as error:
        raise Refused(Outcome.MALFORMED, f"not a JPEG to use: {error}") from error
    if max(width, height) > MAX_EDGE_PX:
        raise Refused(Outcome.TOO_LARGE, f"{width}x{height} pixels: at most {MAX_EDGE_PX} an edge")
    if min(width, height) < MIN_EDGE_PX:
        raise Refused(Outcome.MALFORMED, f"{width}x{height} pixels: at least {MIN_EDGE_PX} an edge")
    return width, height


CATCH_UP_S: Final = 20.0
"""After an outage a client sends at once what it and its socket held: 10 s until the edge gives a stalled connection
up, and 10 s of sound that the client keeps for its next one."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Sustained rates and bursts of one live session. A burst holds what comes at once after an outage."""

    audio_per_s: float = 100.0
    audio_burst: float = 50.0 * CATCH_UP_S
    video_per_s: float = 60.0
    video_burst: float = 60.0 * CATCH_UP_S
    bytes_per_s: float = 8e6
    bytes_burst: float = 64e6
    faults_per_s: float = 5.0
    fault_burst: float = 100.0


class Admission:
    """The buckets of one session; they outlive its connections."""

    def __init__(self, rates: Rates, *, speed: float = 1.0) -> None:
        self._audio = TokenBucket(rates.audio_per_s * speed, rates.audio_burst * speed)
        self._video = TokenBucket(rates.video_per_s * speed, rates.video_burst * speed)
        self._bytes = TokenBucket(rates.bytes_per_s * speed, rates.bytes_burst * speed)
        self._faults = TokenBucket(rates.faults_per_s, rates.fault_burst)

    def check_rate(self, modality: Modality, size: int, now_us: int) -> None:
        """Raise Refused if the session sends more messages or bytes than it may."""
        bucket = self._audio if modality is Modality.SPEECH else self._video
        if not bucket.take(now_us):
            raise Refused(Outcome.TOO_FAST, "more messages a second than a session may send")
        if not self._bytes.take(now_us, size):
            raise Refused(Outcome.TOO_FAST, "more bytes a second than a session may send")

    def tolerates_fault(self, now_us: int) -> bool:
        """Whether one more refused item is borne; False: close the connection."""
        return self._faults.take(now_us)


def check_kind(kind: MediaKind, payload: bytes) -> tuple[int, int]:
    """Check a payload by its kind; width and height of a picture, (0, 0) of sound. Raises Refused."""
    if kind is MediaKind.JPEG:
        return check_jpeg(payload)
    if kind is MediaKind.PCM16:
        check_pcm(payload)
    else:
        check_opus(payload)
    return 0, 0
