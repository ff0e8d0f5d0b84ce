"""Real Signal records of many sessions, made fast and the same for the same seed.

Each kind of record is encoded once by the product's own codec, in a few hundred variants; what differs from record to
record (stamps, sequence, session) lies at known places and is patched in for all sessions of an instant at once. So a
million valid records take about a second, most of it Kafka's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import FaceSignal, Payload, SessionEnded, SessionStarted, Signal, SpeechSignal, Timeline
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

US: Final = 1_000_000
FACE_HZ: Final = 30
SPEECH_HZ: Final = 25
HOP_US: Final = US // SPEECH_HZ
ORIGIN_US: Final = 1_760_000_000 * US
"""When recorded sessions start: a whole second, so that it lies on the grids of ticks and of hops."""
FIRST_FACE_SEQUENCE: Final = 10_000
"""From here to 1,048,575 a sequence takes three bytes, so that every record of a kind has one length."""
DELAYS_US: Final = (0, 4_000, 5_000, 7_000, 15_000)
"""Hop stamps after capture in a recorded log: captured, received, ingested, consumed, inferred."""
FACE_VARIANTS: Final = 900
SPEECH_VARIANTS: Final = 64
SOURCE: Final = "bench@1"

Bytes2D = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

MARK_US: Final = ORIGIN_US
MARK_FACE_SEQUENCE: Final = FIRST_FACE_SEQUENCE
MARK_SPEECH_SEQUENCE: Final = ORIGIN_US // HOP_US
PREFIX_BYTES: Final = 10
STAMPS: Final = 5
STAMP_BYTES: Final = 8

AGREEING: Final = FusionConfig.of(
    {"face_slack_ms": 0.0, "speech_slack_ms": 0.0, "staleness_context": 0.0, "calibration_seconds": 0.0}
)
"""With no slack and no staleness a tick holds exactly what a window that ends with it holds.

Nothing is calibrated: the peers that have the maths written out for themselves do not learn faces.
"""


def varints(values: Int64s, width: int) -> Bytes2D:
    """Avro's zig-zag variable-length encoding of non-negative values that all take ``width`` bytes; (n, width)."""
    z = values.astype(np.uint64) << np.uint64(1)
    least = np.uint64(1) << np.uint64(7 * (width - 1)) if width > 1 else np.uint64(0)
    if len(z) and (z.min() < least or z.max() >> np.uint64(7 * width)):
        msg = f"values from {values.min()} to {values.max()} do not all take {width} bytes"
        raise ValueError(msg)
    out = np.empty((len(values), width), np.uint8)
    for i in range(width):
        out[:, i] = (z >> np.uint64(7 * i)) & np.uint64(0x7F)
    out[:, : width - 1] |= 0x80
    return out


def session_ids(sessions: int) -> list[str]:
    """As long as the ingest edge's."""
    return [f"{i:024x}" for i in range(sessions)]


class Pattern:
    """Records of one kind, ready to be stamped: ``variants`` encoded records of equal length."""

    def __init__(self, payloads: list[Payload], sequence: int) -> None:
        codec = Codec()
        session = session_ids(1)[0]
        encoded = [
            codec.encode(Signal(MARK_US, MARK_US, MARK_US, MARK_US, MARK_US, payload, sequence, session, SOURCE))
            for payload in payloads
        ]
        self.variants: Bytes2D = np.stack([np.frombuffer(record, np.uint8) for record in encoded])
        tail = encoded[0].rindex(session.encode())
        self._session = slice(tail, tail + len(session))
        # Before the session stand its length (one byte) and the sequence.
        self._sequence_width = 1 if sequence == 0 else len(_varint(sequence))
        self._sequence = slice(tail - 1 - self._sequence_width, tail - 1)
        assert encoded[0][self._sequence] == _varint(sequence)
        assert encoded[0][PREFIX_BYTES : PREFIX_BYTES + STAMP_BYTES] == _varint(MARK_US)

    def records(self, variants: Int64s, stamps: Int64s, sequence: Int64s, sessions: Bytes2D) -> list[bytes]:
        """The n records with these variants, stamps (n, 5) or (5,) in µs, sequences and session ids (n, 24)."""
        n = len(variants)
        out = self.variants[variants]
        stamped = varints(np.broadcast_to(stamps, (n, STAMPS)).reshape(-1), STAMP_BYTES)
        out[:, PREFIX_BYTES : PREFIX_BYTES + STAMPS * STAMP_BYTES] = stamped.reshape(n, -1)
        out[:, self._sequence] = varints(sequence, self._sequence_width)
        out[:, self._session] = sessions
        width = out.shape[1]
        data = out.tobytes()
        return [data[i : i + width] for i in range(0, n * width, width)]


def _varint(value: int) -> bytes:
    z = value << 1
    out = bytearray()
    while True:
        out.append(z & 0x7F | (0x80 if z > 0x7F else 0))
        z >>= 7
        if not z:
            return bytes(out)


def _faces(seed: int) -> list[Payload]:
    """A face that moves through ``FACE_VARIANTS`` pictures and comes back to the first without a jump."""
    rng = np.random.default_rng(seed)
    turn = np.arange(FACE_VARIANTS) / FACE_VARIANTS * 2 * np.pi

    def moving(channels: int) -> npt.NDArray[np.float32]:
        rounds = rng.integers(1, 40, channels)
        phase = rng.random(channels) * 2 * np.pi
        return (0.5 + 0.5 * np.sin(np.outer(turn, rounds) + phase)).astype(np.float32)

    emotions = moving(len(EMOTIONS)) + 0.05
    emotions /= emotions.sum(axis=1, keepdims=True)
    affect, aus, shapes = moving(3) * 2 - 1, moving(len(AUS)), moving(len(BLENDSHAPES))
    pose, gaze, blinks = moving(3) * 60 - 30, moving(2) * 1.6 - 0.8, moving(2)
    confidence = 0.5 + 0.49 * moving(1)
    columns = np.hstack((affect, pose, gaze, blinks)).tolist()
    return [
        FaceSignal(
            face_detected=True,
            confidence=float(confidence[i, 0]),
            emotion_scores=tuple(emotions[i].tolist()),
            valence=columns[i][0],
            arousal=columns[i][1],
            dominance=columns[i][2],
            au_intensities=tuple(aus[i].tolist()),
            blendshapes=tuple(shapes[i].tolist()),
            yaw_deg=columns[i][3],
            pitch_deg=columns[i][4],
            roll_deg=columns[i][5],
            gaze_x=columns[i][6],
            gaze_y=columns[i][7],
            blink_left=columns[i][8],
            blink_right=columns[i][9],
            box=(0.3, 0.2, 0.4, 0.5),
            face_count=1,
            track_id=0,
        )
        for i in range(FACE_VARIANTS)
    ]


def _voices(seed: int) -> list[Payload]:
    """Voices that each stay as they are: holding a value and interpolating it give the same."""
    rng = np.random.default_rng(seed + 1)
    voices: list[Payload] = []
    for _ in range(SPEECH_VARIANTS):
        emotions = rng.random(len(EMOTIONS))
        visemes = rng.random(len(VISEMES))
        valence, arousal, dominance = (rng.random(3) * 2 - 1).tolist()
        voices.append(
            SpeechSignal(
                speaking_probability=rng.random(),
                energy_dbfs=-20.0,
                emotion_scores=tuple((emotions / emotions.sum()).tolist()),
                emotion_unknown=0.0,
                emotion_confidence=0.3 + 0.6 * rng.random(),
                emotion_age_ms=120.0,
                valence=valence,
                arousal=arousal,
                dominance=dominance,
                viseme_scores=tuple((visemes / visemes.sum()).tolist()),
                viseme_confidence=rng.random(),
            )
        )
    return voices


def started(config: FusionConfig, *, timeline: Timeline = "recorded") -> SessionStarted:
    """A session of both modalities with this configuration."""
    return SessionStarted(
        tenant="bench",
        subject=None,
        timeline=timeline,
        audio_consented=True,
        video_consented=True,
        store_raw_consented=False,
        speech_expected=True,
        face_expected=True,
        config=config,
    )


@dataclass(frozen=True)
class Patterns:
    """The four kinds of records, with one configuration for all sessions."""

    config: FusionConfig
    seed: int
    timeline: Timeline = "recorded"

    @cached_property
    def start(self) -> Pattern:
        return Pattern([started(self.config, timeline=self.timeline)], 0)

    @cached_property
    def face(self) -> Pattern:
        return Pattern(_faces(self.seed), MARK_FACE_SEQUENCE)

    @cached_property
    def speech(self) -> Pattern:
        return Pattern(_voices(self.seed), MARK_SPEECH_SEQUENCE)

    @cached_property
    def end(self) -> Pattern:
        return Pattern([SessionEnded("client_closed")], 0)


@dataclass(frozen=True)
class Slice:
    """Records that follow each other in the log: session ids and values, pairwise."""

    keys: list[bytes]
    values: list[bytes]


@dataclass(frozen=True)
class RecordedLog:
    """``sessions`` sessions of ``seconds`` seconds at the same event time, and so on by ``generations``, as a log.

    When a generation has ended the next one starts, with new sessions. Pictures are taken exactly at the ticks and
    voices stay as they are, so that interpolation at a tick, and the newest value in a window that ends with the tick,
    are the same. Every instant's records come in another order.
    """

    sessions: int
    seconds: int
    seed: int = 7
    generations: int = 1

    @property
    def everyone(self) -> int:
        """Sessions of all generations."""
        return self.sessions * self.generations

    @property
    def frames(self) -> int:
        """Frames that come out."""
        return self.everyone * self.frames_a_session

    @property
    def frames_a_session(self) -> int:
        return self.seconds * FACE_HZ

    @property
    def signals(self) -> int:
        """Records in the log."""
        return self.everyone * (self.seconds * (FACE_HZ + SPEECH_HZ) + 2)

    @property
    def session_seconds(self) -> int:
        return self.everyone * self.seconds

    @cached_property
    def _patterns(self) -> Patterns:
        return Patterns(AGREEING, self.seed)

    def slices(self) -> Iterator[Slice]:
        """The log from its start to its end."""
        rng = np.random.default_rng(self.seed + 2)
        ids = session_ids(self.everyone)
        for generation in range(self.generations):
            mine = ids[generation * self.sessions : (generation + 1) * self.sessions]
            yield from self._generation(mine, ORIGIN_US + generation * (self.seconds + 1) * US, rng)

    def _generation(self, ids: list[str], origin_us: int, rng: np.random.Generator) -> Iterator[Slice]:
        keys = np.array([key.encode() for key in ids], dtype=object)
        id_bytes = np.frombuffer("".join(ids).encode(), np.uint8).reshape(self.sessions, -1)
        first_face = rng.integers(0, FACE_VARIANTS, self.sessions)
        voice = rng.integers(0, SPEECH_VARIANTS, self.sessions)
        delays = np.array(DELAYS_US, np.int64)
        zeros = np.zeros(self.sessions, np.int64)

        def made(pattern: Pattern, captured: int, variants: Int64s, sequence: int) -> Slice:
            order = rng.permutation(self.sessions)
            values = pattern.records(
                variants[order], captured + delays, np.full(self.sessions, sequence), id_bytes[order]
            )
            return Slice(keys[order].tolist(), values)

        patterns = self._patterns
        yield made(patterns.start, origin_us, zeros, 0)
        ticks = [(origin_us + k * US // FACE_HZ, 1, k) for k in range(self.frames_a_session)]
        hops = [(origin_us + h * HOP_US, 0, h) for h in range(self.seconds * SPEECH_HZ)]
        for captured, is_face, number in sorted(ticks + hops):
            if is_face:
                variants = (first_face + number) % FACE_VARIANTS
                yield made(patterns.face, captured, variants, FIRST_FACE_SEQUENCE + number)
            else:
                yield made(patterns.speech, captured, voice, captured // HOP_US)
        yield made(patterns.end, ticks[-1][0] + 1, zeros, 0)
