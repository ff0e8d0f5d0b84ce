"""The records of the log as frozen dataclasses, one a schema in ``schemas/avro/``, fields in schema order.

Vectors are tuples of floats in the order of :mod:`schemas.vocabulary`; instants are integer microseconds since
the Unix epoch (``*_at_us``). :mod:`schemas.codec` turns records into bytes and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.fusion_config import FusionConfig

Vector = tuple[float, ...]
EndReason = Literal["client_closed", "deleted", "idle", "expired", "edge_shutdown", "consent_withdrawn", "error"]
Timeline = Literal["live", "recorded"]
MappingName = Literal["direct_au", "emotion_style", "blend"]
ControlAction = Literal["reset_calibration"]
ClientEventKind = Literal[
    "ack", "rating", "consent_changed", "opt_out", "viewer_joined", "viewer_left", "exposure", "session_ended"
]
"""session_ended is the edge's own word, for those who follow a session without reading its signals."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Mono PCM16 of one session, 20 to 60 ms; ``captured_at_us`` is the instant of its first sample.

    ``sealed``: ``pcm`` is encrypted with the session's key for sound (:mod:`runtime.sealing`).
    """

    captured_at_us: int
    received_at_us: int
    ingested_at_us: int
    sample_rate_hz: int
    sequence: int
    session_id: str
    pcm: bytes
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One JPEG picture of one session; ``sealed``: encrypted with the session's key for pictures."""

    captured_at_us: int
    received_at_us: int
    ingested_at_us: int
    width: int
    height: int
    sequence: int
    session_id: str
    jpeg: bytes
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """Neutral baseline and gain of each AU of one person."""

    au_neutral: Vector
    au_gain: Vector


@dataclass(frozen=True, slots=True)
class ExperimentAssignment:
    """The variant that a session was given."""

    experiment: str
    variant: str
    salt: str


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """First signal of a session: identity, consent, configuration."""

    tenant: str
    subject: str | None
    timeline: Timeline
    audio_consented: bool
    video_consented: bool
    store_raw_consented: bool
    speech_expected: bool
    face_expected: bool
    config: FusionConfig
    calibration: Calibration | None = None
    experiment: ExperimentAssignment | None = None
    fairness_consented: bool = False
    declared_group: str | None = None
    """Never without ``fairness_consented``."""


@dataclass(frozen=True, slots=True)
class SpeechSignal:
    """What the voice says about the 40 ms that end at the signal's ``captured_at_us``."""

    speaking_probability: float
    energy_dbfs: float
    emotion_scores: Vector
    emotion_unknown: float
    emotion_confidence: float
    emotion_age_ms: float
    valence: float
    arousal: float
    dominance: float
    viseme_scores: Vector
    viseme_confidence: float
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class FaceSignal:
    """What one picture says about the tracked face; all zero when ``face_detected`` is false."""

    face_detected: bool
    confidence: float
    emotion_scores: Vector
    valence: float
    arousal: float
    dominance: float
    au_intensities: Vector
    blendshapes: Vector
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    gaze_x: float
    gaze_y: float
    blink_left: float
    blink_right: float
    box: Vector
    degraded: bool = False
    face_count: int = 0
    track_id: int = -1


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Last signal of a session: closes every tick up to the signal's ``captured_at_us``."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class SessionControl:
    """What the client asks of a running session, from the signal's ``captured_at_us`` on."""

    action: ControlAction


Payload = SessionStarted | SpeechSignal | FaceSignal | SessionEnded | SessionControl


@dataclass(frozen=True, slots=True)
class Signal:
    """One entry of the ``signals`` topic: hop stamps around one payload."""

    captured_at_us: int
    received_at_us: int
    ingested_at_us: int
    consumed_at_us: int
    inferred_at_us: int
    payload: Payload
    sequence: int
    session_id: str
    source: str


@dataclass(frozen=True, slots=True)
class AvatarFrame:
    """One tick of one session, quantised; the packed fields' layouts are in :mod:`schemas.vocabulary`."""

    captured_at_us: int
    face_hops_ms: Vector
    speech_hops_ms: Vector
    emotions: bytes
    affect: bytes
    levels: bytes
    aus: bytes
    angles: bytes
    blendshapes: bytes
    visemes: bytes
    discontinuity: bool
    face_live: bool
    speech_live: bool
    viseme_mouth: bool
    closed_by_max_wait: bool
    mapping: MappingName
    sequence: int
    session_id: str


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """What a client reports (latency acknowledgement, rating) or decides (consent, opting out)."""

    captured_at_us: int
    received_at_us: int
    kind: ClientEventKind
    sequence: int
    session_id: str
    client_id: str
    frame_sequence: int | None = None
    frame_captured_at_us: int | None = None
    relayed_at_us: int | None = None
    rendered_at_us: int | None = None
    value: float | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Bytes that could not be read, where they were, and why."""

    recorded_at_us: int
    stage: str
    topic: str
    partition: int
    offset: int
    error: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of a run of items at one stage."""

    recorded_at_us: int
    stage: str
    modality: str
    outcome: str
    count: int
    first_sequence: int
    last_sequence: int
    session_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record of one session, carried over and sealed before its log was cut to erase another session."""

    session: str
    topic: str
    partition: int
    offset: int
    published_at_ms: int
    value: bytes


Record = AudioChunk | VideoFrame | Signal | AvatarFrame | ClientEvent | DeadLetter | LedgerEntry | KeptRecord

NESTED: Mapping[str, type] = {
    cls.__name__: cls
    for cls in (
        SessionStarted,
        SpeechSignal,
        FaceSignal,
        SessionEnded,
        SessionControl,
        FusionConfig,
        Calibration,
        ExperimentAssignment,
    )
}
"""Records that occur only inside others, by Avro name."""

TOP_LEVEL: Mapping[str, type[Record]] = {
    cls.__name__: cls
    for cls in (AudioChunk, VideoFrame, Signal, AvatarFrame, ClientEvent, DeadLetter, LedgerEntry, KeptRecord)
}
"""Records that are Kafka values, by Avro name."""
