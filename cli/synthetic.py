"""An endless log of the ``signals`` topic as a busy deployment writes it: for verifying, not for measuring.

People come and go, each seen and heard for some seconds. Now and then the network is as networks are: samples come
late or twice, somebody freezes for a second or two, a record is no record. The same seed gives the same bytes.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import FaceSignal, Payload, SessionEnded, SessionStarted, Signal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

US: Final = 1_000_000
START_US: Final = 1_800_000_000 * US
FACE_HZ: Final = 30
HOP_US: Final = 40_000
PAYLOADS: Final = 128
"""Different faces, and different voices; what a sample holds is drawn from these."""
SECONDS: Final = (4.0, 14.0)
"""Shortest and longest stay of a person."""
LATE: Final = 0.01
TWICE: Final = 0.01
FREEZES: Final = 0.002
GARBAGE: Final = 0.000_2

MAPPINGS: Final = ("direct_au", "emotion_style", "blend")


class Arrival(NamedTuple):
    """A record, and when it is written: µs on the log's own time, which begins at :data:`START_US`."""

    at_us: int
    session_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class _Samples:
    faces: list[Payload]
    voices: list[Payload]


def synthetic_log(sessions: int, seed: int) -> Iterator[Arrival]:
    """What ``sessions`` people at a time lead to, in the order of arrival, for ever: about 55 records a second each."""
    rng = random.Random(seed)
    samples = _Samples([_face(rng) for _ in range(PAYLOADS)], [_voice(rng) for _ in range(PAYLOADS)])
    yield from heapq.merge(*(_place(f"{seed:x}-{n}", samples) for n in range(sessions)))


def _place(name: str, samples: _Samples) -> Iterator[Arrival]:
    """One person after another."""
    rng = random.Random(name)
    codec = Codec()
    at_us = START_US + rng.randrange(US)
    visit = 0
    while True:
        arrivals = sorted(_session(f"{name}-{visit}", at_us, rng, samples))
        for at_us, _order, signal in arrivals:
            value = codec.encode(signal)
            if rng.random() < GARBAGE:
                value = value[: rng.randrange(len(value))]
            yield Arrival(at_us, signal.session_id, value)
        at_us += rng.randrange(US // 5, US)
        visit += 1


def _session(
    session_id: str, start_us: int, rng: random.Random, samples: _Samples
) -> Iterator[tuple[int, int, Signal]]:
    """(arrival, order, signal) of one session, not sorted."""
    order = 0

    def signal(captured_us: int, sequence: int, payload: Payload) -> Signal:
        stamps = (captured_us, captured_us + 4_000, captured_us + 5_000, captured_us + 7_000, captured_us + 15_000)
        return Signal(*stamps, payload, sequence, session_id, "synthetic@1")

    config = FusionConfig.of(mapping=rng.choice(MAPPINGS))
    yield start_us, order, signal(start_us, 0, _started(config))
    end_us = start_us + round(rng.uniform(*SECONDS) * US)
    faces = [
        (start_us + 3_000 + n * US // FACE_HZ, n, samples.faces) for n in range((end_us - start_us) * FACE_HZ // US)
    ]
    hops = [(hop * HOP_US, hop, samples.voices) for hop in range(start_us // HOP_US + 1, end_us // HOP_US + 1)]
    frozen_until = 0
    for captured_us, number, choice in sorted(faces + hops, key=lambda sample: sample[0]):
        if rng.random() < FREEZES:
            frozen_until = captured_us + rng.randrange(US // 5, 2 * US)
        if captured_us < frozen_until:
            continue
        arrival_us = captured_us + rng.randrange(15_000, 40_000)
        if rng.random() < LATE:
            arrival_us += rng.randrange(100_000, 600_000)
        made = signal(captured_us, number, rng.choice(choice))
        for _ in range(2 if rng.random() < TWICE else 1):
            order += 1
            yield arrival_us, order, made
    yield end_us + US, order + 1, signal(end_us, 0, SessionEnded("client_closed"))


def _started(config: FusionConfig) -> SessionStarted:
    return SessionStarted(
        tenant="synthetic",
        subject=None,
        timeline="live",
        audio_consented=True,
        video_consented=True,
        store_raw_consented=False,
        speech_expected=True,
        face_expected=True,
        config=config,
    )


def _shares(rng: random.Random, count: int) -> tuple[float, ...]:
    drawn = [rng.random() ** 3 for _ in range(count)]
    return tuple(value / sum(drawn) for value in drawn)


def _face(rng: random.Random) -> FaceSignal:
    if rng.random() < 0.03:
        zero = (0.0,)
        return FaceSignal(
            face_detected=False, confidence=0.0, emotion_scores=zero * len(EMOTIONS), valence=0.0, arousal=0.0,
            dominance=0.0, au_intensities=zero * len(AUS), blendshapes=zero * len(BLENDSHAPES), yaw_deg=0.0,
            pitch_deg=0.0, roll_deg=0.0, gaze_x=0.0, gaze_y=0.0, blink_left=0.0, blink_right=0.0, box=zero * 4,
        )  # fmt: skip
    return FaceSignal(
        face_detected=True,
        confidence=rng.uniform(0.3, 1.0),
        emotion_scores=_shares(rng, len(EMOTIONS)),
        valence=rng.uniform(-1.0, 1.0),
        arousal=rng.uniform(-1.0, 1.0),
        dominance=rng.uniform(-1.0, 1.0),
        au_intensities=tuple(rng.random() for _ in AUS),
        blendshapes=tuple(rng.random() for _ in BLENDSHAPES),
        yaw_deg=rng.uniform(-40.0, 40.0),
        pitch_deg=rng.uniform(-20.0, 20.0),
        roll_deg=rng.uniform(-20.0, 20.0),
        gaze_x=rng.uniform(-1.0, 1.0),
        gaze_y=rng.uniform(-1.0, 1.0),
        blink_left=rng.random(),
        blink_right=rng.random(),
        box=(0.3, 0.2, 0.4, 0.5),
        face_count=1,
        track_id=0,
    )


def _voice(rng: random.Random) -> SpeechSignal:
    return SpeechSignal(
        speaking_probability=rng.random(),
        energy_dbfs=rng.uniform(-70.0, -10.0),
        emotion_scores=_shares(rng, len(EMOTIONS)),
        emotion_unknown=0.0,
        emotion_confidence=rng.random(),
        emotion_age_ms=rng.uniform(0.0, 500.0),
        valence=rng.uniform(-1.0, 1.0),
        arousal=rng.uniform(-1.0, 1.0),
        dominance=rng.uniform(-1.0, 1.0),
        viseme_scores=_shares(rng, len(VISEMES)),
        viseme_confidence=rng.random(),
    )
