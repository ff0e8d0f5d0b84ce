"""What the sink reads: signals of many sessions, and the frames that fusion itself makes of them.

Faces and voices move as people's do: each channel on its own, slowly, towards where it rests, with the noise of a
landmark model; stamps jitter as a network's do. Otherwise the columns would compress better than they ever will.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.fusion.signals import HOP_US, MARK_FACE_SEQUENCE, MARK_SPEECH_SEQUENCE, ORIGIN_US, Pattern, session_ids
from benchmarks.fusion.signals import started as session_started
from dataflows.shard import Shard
from runtime.topics import murmur2_partition
from schemas.fusion_config import FusionConfig
from schemas.records import FaceSignal, Payload, SessionEnded, SpeechSignal
from schemas.topics import AVATAR_FRAMES, SIGNALS, Topic
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

US: Final = 1_000_000
FACE_HZ: Final = 30
SPEECH_HZ: Final = 25
VARIANTS: Final = 3_000
"""Pictures, and voices, that sessions go through; each begins somewhere else."""
RESTING: Final = 0.6
"""Part of the channels that stay near zero, as in a face that is not acting."""
NOISE: Final = 0.004
"""Of a channel from picture to picture, when nothing moves."""
HOPS_MS: Final = ((6.0, 2.0), (0.5, 0.2), (3.0, 1.0), (9.0, 1.5))
"""Mean and spread of each hop: to the edge, to Kafka, to the worker, through inference."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """A record of the log."""

    topic: Topic
    key: bytes
    value: bytes


@dataclass(frozen=True)
class SinkLog:
    """``sessions`` sessions of ``seconds`` seconds at the same time."""

    sessions: int
    seconds: int
    partitions: int
    seed: int = 5

    @property
    def signals(self) -> int:
        """Records of ``signals``."""
        return self.sessions * (self.seconds * (FACE_HZ + SPEECH_HZ) + 2)

    @cached_property
    def _patterns(self) -> tuple[Pattern, Pattern, Pattern, Pattern]:
        rng = np.random.default_rng(self.seed)
        return (
            Pattern([session_started(FusionConfig.of())], 0),
            Pattern(_faces(rng), MARK_FACE_SEQUENCE),
            Pattern(_voices(rng), MARK_SPEECH_SEQUENCE),
            Pattern([SessionEnded("client_closed")], 0),
        )

    def records(self) -> Iterator[list[Record]]:
        """The log, some seconds at a time: signals, then the frames that they led to."""
        shards = [Shard(partition, self.partitions) for partition in range(self.partitions)]
        offsets = [0] * self.partitions
        home = {key.encode(): murmur2_partition(key.encode(), self.partitions) for key in session_ids(self.sessions)}
        for piece in self._signals():
            by_partition: dict[int, list[tuple[int, bytes, bytes | None]]] = defaultdict(list)
            for record in piece:
                partition = home[record.key]
                by_partition[partition].append((offsets[partition], record.key, record.value))
                offsets[partition] += 1
            frames = [
                Record(AVATAR_FRAMES, key, value)
                for partition, messages in sorted(by_partition.items())
                for key, value in shards[partition].step(messages).frames
            ]
            yield piece + frames

    def _signals(self) -> Iterator[list[Record]]:
        rng = np.random.default_rng(self.seed + 1)
        ids = session_ids(self.sessions)
        keys = [key.encode() for key in ids]
        id_bytes = np.frombuffer("".join(ids).encode(), np.uint8).reshape(self.sessions, -1)
        first = rng.integers(0, VARIANTS, self.sessions)
        zeros = np.zeros(self.sessions, np.int64)
        start, face, speech, end = self._patterns

        def made(pattern: Pattern, captured_us: int, variants: npt.NDArray[np.int64], sequence: int) -> list[Record]:
            means, spreads = np.array(HOPS_MS).T
            hops = np.maximum(rng.normal(means, spreads, (self.sessions, len(HOPS_MS))), 0.1) * 1_000
            stamps = captured_us + np.concatenate((np.zeros((self.sessions, 1)), hops.cumsum(axis=1)), axis=1)
            values = pattern.records(
                variants, stamps.astype(np.int64), np.full(self.sessions, sequence, np.int64), id_bytes
            )
            return [Record(SIGNALS, key, value) for key, value in zip(keys, values, strict=True)]

        yield made(start, ORIGIN_US, zeros, 0)
        for second in range(self.seconds):
            piece: list[Record] = []
            ticks = [(ORIGIN_US + k * US // FACE_HZ, k) for k in range(second * FACE_HZ, (second + 1) * FACE_HZ)]
            hops = [(ORIGIN_US + h * HOP_US, -1) for h in range(second * SPEECH_HZ, (second + 1) * SPEECH_HZ)]
            for captured_us, k in sorted(ticks + hops):
                if k >= 0:
                    jitter = int(rng.integers(0, 8_000))
                    piece += made(face, captured_us + jitter, (first + k) % VARIANTS, MARK_FACE_SEQUENCE + k)
                else:
                    hop = captured_us // HOP_US
                    piece += made(speech, captured_us, (first + hop) % VARIANTS, hop)
            yield piece
        yield made(end, ORIGIN_US + self.seconds * US + 1, zeros, 0)


def _moving(rng: np.random.Generator, channels: int, *, resting: float = RESTING) -> Floats:
    """(VARIANTS, channels) in 0..1: each pulled towards its rest, pushed at random, smooth; some rest at zero."""
    values = np.empty((VARIANTS, channels))
    rest = np.where(rng.random(channels) < resting, -0.05, rng.uniform(0.1, 0.7, channels))
    at, speed = rest.copy(), np.zeros(channels)
    pushes = rng.normal(0, 0.0025, (VARIANTS, channels)) * np.where(rest < 0, 0.3, 1.0)
    for i in range(VARIANTS):
        speed = 0.9 * speed + pushes[i] - 0.01 * (at - rest)
        at = at + speed
        values[i] = at
    noisy = values + rng.normal(0, NOISE, values.shape) * (values > 0)
    return np.clip(noisy, 0.0, 1.0)


def _faces(rng: np.random.Generator) -> list[Payload]:
    emotions = _moving(rng, len(EMOTIONS), resting=0.3) + 0.02
    emotions /= emotions.sum(axis=1, keepdims=True)
    aus, shapes = _moving(rng, len(AUS)), _moving(rng, len(BLENDSHAPES))
    signed = _moving(rng, 8, resting=0.0) * 2 - 1
    blinks, confidence = _moving(rng, 2), 0.9 + 0.09 * _moving(rng, 1)
    return [
        FaceSignal(
            face_detected=True,
            confidence=float(confidence[i, 0]),
            emotion_scores=tuple(emotions[i].tolist()),
            valence=float(signed[i, 0]),
            arousal=float(signed[i, 1]),
            dominance=float(signed[i, 2]),
            au_intensities=tuple(aus[i].tolist()),
            blendshapes=tuple(shapes[i].tolist()),
            yaw_deg=float(20 * signed[i, 3]),
            pitch_deg=float(10 * signed[i, 4]),
            roll_deg=float(8 * signed[i, 5]),
            gaze_x=float(signed[i, 6]),
            gaze_y=float(signed[i, 7]),
            blink_left=float(blinks[i, 0]),
            blink_right=float(blinks[i, 1]),
            box=tuple((np.array((0.3, 0.2, 0.4, 0.5)) + 0.01 * signed[i, :4]).tolist()),
            face_count=1,
            track_id=0,
        )
        for i in range(VARIANTS)
    ]


def _voices(rng: np.random.Generator) -> list[Payload]:
    """Speech and silence in turn, 2.4 s each; a viseme for each 80 to 200 ms, an emotion for each half second."""
    found: list[Payload] = []
    emotions = _moving(rng, len(EMOTIONS), resting=0.3) + 0.02
    emotions /= emotions.sum(axis=1, keepdims=True)
    affect = _moving(rng, 3, resting=0.0) * 2 - 1
    viseme, until = 0, 0
    for i in range(VARIANTS):
        speaking = (i // 60) % 2 == 0
        window = i - i % 13
        if i >= until:
            viseme, until = int(rng.integers(1, len(VISEMES))), i + int(rng.integers(2, 6))
        weights = np.zeros(len(VISEMES))
        if speaking:
            weights[viseme] = 0.7 + 0.3 * rng.random()
            weights[(viseme + 3) % len(VISEMES)] = 1 - weights[viseme]
        else:
            weights[0] = 1.0
        found.append(
            SpeechSignal(
                speaking_probability=float(np.clip((0.93 if speaking else 0.04) + rng.normal(0, 0.02), 0, 1)),
                energy_dbfs=float((-24.0 if speaking else -62.0) + rng.normal(0, 2)),
                emotion_scores=tuple(emotions[window].tolist()),
                emotion_unknown=0.0,
                emotion_confidence=0.6 if speaking else 0.0,
                emotion_age_ms=float(40 * (i % 13)),
                valence=float(affect[window, 0]),
                arousal=float(affect[window, 1]),
                dominance=float(affect[window, 2]),
                viseme_scores=tuple(weights.tolist()),
                viseme_confidence=float(0.5 + 0.4 * rng.random()) if speaking else 0.0,
            )
        )
    return found
