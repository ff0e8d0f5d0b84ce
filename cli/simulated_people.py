"""People for simulated sessions: faces that move with intent, measured with noise, voices that say something. Pure.

What comes out are the very signals that workers write, so that fusion, mapping and smoothing are the product's own;
simulated is only what is before them (faces and voices) and after them (what viewers think, :mod:`cli.simulating`).
The same seed gives the same people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.fusion_config import FusionConfig
from schemas.records import (
    ExperimentAssignment,
    FaceSignal,
    SessionEnded,
    SessionStarted,
    Signal,
    SpeechSignal,
)
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

Floats = npt.NDArray[np.float64]

US: Final = 1_000_000
START_US: Final = 1_800_000_000 * US
FACE_HZ: Final = 30
HOP_US: Final = 40_000
DELAYS_US: Final = (0, 4_000, 5_000, 7_000, 15_000)
"""Hop stamps after capture: captured, received, ingested, consumed, inferred."""
GROUPS: Final = (("18 to 34", 0.36), ("35 to 54", 0.3), ("55 and older", 0.3), ("another", 0.04))
"""Words that simulated people declare, and how often."""
STERN: Final = "55 and older"
"""A group whose resting faces the simulated engine takes for angry more often, so that there is something to find."""
CONSENT: Final = 0.85
"""Share of people who consent to a comparison of groups."""

PROTOTYPES: Final = {
    "happy": {"AU06": 0.7, "AU12": 0.9, "AU25": 0.3},
    "surprise": {"AU01": 0.8, "AU02": 0.8, "AU05": 0.6, "AU26": 0.4},
    "angry": {"AU04": 0.8, "AU07": 0.6, "AU24": 0.4},
    "sad": {"AU01": 0.6, "AU04": 0.3, "AU15": 0.7},
}
"""Emotions of an episode and the Action Units that show them (EMFACS)."""
EPISODES: Final = (("happy", 0.5), ("surprise", 0.2), ("angry", 0.15), ("sad", 0.15))
BRISK: Final = ("PP", "aa", "SS", "E", "nn", "oh", "DD", "ih", "FF", "ou", "kk", "RR")


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same about a simulated person."""

    subject: str
    noise: float
    """Standard deviation of the measured Action Units."""
    liveliness: float
    """How strongly they show what they feel."""
    kindness: float
    """How high they rate, whatever they see: standard normal."""
    group: str | None
    """Declared with consent; None: neither."""
    seconds: float

    @classmethod
    def drawn(cls, number: int, seed: int) -> "Person":
        """The person with this number."""
        rng = np.random.default_rng((seed, number))
        declared = _chosen(GROUPS, rng)
        return cls(
            subject=f"p-{number:04d}",
            noise=float(rng.uniform(0.01, 0.05)),
            liveliness=float(rng.uniform(0.75, 1.1)),
            kindness=float(rng.normal()),
            group=declared if rng.random() < CONSENT else None,
            seconds=float(np.clip(rng.lognormal(np.log(18), 0.25), 10, 40)),
        )


def signals(person: Person, begin: SessionStarted, *, session_id: str, started_us: int, seed: int) -> Iterator[Signal]:
    """A session of that person in the order of arrival; ``begin`` as the edge would write it."""
    rng = np.random.default_rng((seed, int(person.subject.split("-")[1]), 1))

    def signal(
        captured_us: int, sequence: int, payload: FaceSignal | SpeechSignal | SessionStarted | SessionEnded
    ) -> Signal:
        stamps = [captured_us + delay for delay in DELAYS_US]
        return Signal(
            stamps[0], stamps[1], stamps[2], stamps[3], stamps[4], payload, sequence, session_id, "simulated@1"
        )

    yield signal(started_us, 0, begin)
    faces = _faces(person, rng)
    voices = _voices(person, rng)
    first_hop = started_us // HOP_US + 1
    items: list[tuple[int, int, FaceSignal | SpeechSignal]] = [
        (started_us + 3_000 + n * US // FACE_HZ, n, face) for n, face in enumerate(faces)
    ]
    items += [((first_hop + n) * HOP_US, first_hop + n, voice) for n, voice in enumerate(voices)]
    items.sort(key=lambda item: item[0])
    for captured_us, number, payload in items:
        yield signal(captured_us, number, payload)
    yield signal(items[-1][0] + 1, 0, SessionEnded("client_closed"))


def _chosen(shares: Sequence[tuple[str, float]], rng: np.random.Generator) -> str:
    """One of the words, each by its share."""
    return str(rng.choice([word for word, _ in shares], p=[share for _, share in shares]))


def start_of(person: Person, config: FusionConfig, experiment: ExperimentAssignment | None) -> SessionStarted:
    """What the edge writes when that person starts a session."""
    return SessionStarted(
        tenant="simulated",
        subject=person.subject,
        timeline="live",
        audio_consented=True,
        video_consented=True,
        store_raw_consented=False,
        speech_expected=True,
        face_expected=True,
        config=config,
        experiment=experiment,
        fairness_consented=person.group is not None,
        declared_group=person.group,
    )


def intended(person: Person, rng: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(n, 20) Action Units as they really are, and which emotion is meant at each picture (an index of EMOTIONS)."""
    ticks = round(person.seconds * FACE_HZ)
    aus = np.zeros((ticks, len(AUS)))
    meant = np.zeros(ticks, np.int64)
    at = 4.0 + rng.uniform(0, 1)  # the first seconds are at rest: the neutral face is learned from them
    while at < person.seconds - 1:
        emotion = _chosen(EPISODES, rng)
        onset, hold, offset = rng.uniform(0.15, 0.5), rng.uniform(0.5, 2.0), rng.uniform(0.3, 0.8)
        time_s = np.arange(ticks) / FACE_HZ - at
        rise = np.clip(time_s / onset, 0, 1) * np.clip((onset + hold + offset - time_s) / offset, 0, 1)
        envelope = 0.5 - 0.5 * np.cos(np.pi * rise)
        for au, intensity in PROTOTYPES[emotion].items():
            column = aus[:, AUS.index(au)]
            np.maximum(column, intensity * person.liveliness * envelope * rng.uniform(0.8, 1.1), out=column)
        meant[envelope > 0.4] = EMOTIONS.index(emotion)
        at += onset + hold + offset + rng.uniform(1.2, 3.5)
    blinks = np.cumsum(rng.exponential(3.5, 30))
    for blink in blinks[blinks < person.seconds]:
        time_s = np.abs(np.arange(ticks) / FACE_HZ - blink)
        np.maximum(aus[:, AUS.index("AU45")], np.clip(1 - time_s / 0.12, 0, 1), out=aus[:, AUS.index("AU45")])
    return np.clip(aus, 0, 1), meant


def _faces(person: Person, rng: np.random.Generator) -> list[FaceSignal]:
    true, meant = intended(person, rng)
    ticks = len(true)
    neutral = np.zeros(len(AUS))
    neutral[AUS.index("AU04")] = 0.08 if person.group == STERN else 0.03
    measured = np.clip(true + neutral + rng.normal(0, person.noise, true.shape), 0, 1)
    sure = (0.72 if person.group == STERN else 0.8) + rng.normal(0, 0.05)
    confidence = np.clip(sure + rng.normal(0, 0.03, ticks), 0, 1)
    emotions = _emotions(person, meant, rng)
    valence = emotions @ np.array([0.0, 0.9, -0.7, -0.6, 0.1, -0.6, -0.6])
    arousal = emotions @ np.array([0.0, 0.4, -0.4, 0.6, 0.7, 0.6, 0.2])
    sway = np.cumsum(rng.normal(0, 0.15, (ticks, 3)), axis=0)
    sway -= np.linspace(0, 1, ticks)[:, None] * sway[-1]
    shapes = np.zeros(len(BLENDSHAPES))
    shapes_of = tuple(shapes.tolist())
    blink = measured[:, AUS.index("AU45")]
    return [
        FaceSignal(
            face_detected=True, confidence=float(confidence[n]), emotion_scores=tuple(emotions[n].tolist()),
            valence=float(valence[n]), arousal=float(arousal[n]), dominance=0.0,
            au_intensities=tuple(measured[n].tolist()), blendshapes=shapes_of, yaw_deg=float(sway[n, 0]),
            pitch_deg=float(sway[n, 1]), roll_deg=float(sway[n, 2]), gaze_x=0.0, gaze_y=0.0,
            blink_left=float(blink[n]), blink_right=float(blink[n]), box=(0.3, 0.2, 0.4, 0.5), face_count=1, track_id=0,
        )
        for n in range(ticks)
    ]  # fmt: skip


def _emotions(person: Person, meant: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """(n, 7) scores of the simulated engine: mostly what is meant, with moods of its own for seconds at a time."""
    ticks = len(meant)
    logits = np.zeros((ticks, len(EMOTIONS)))
    logits[np.arange(ticks), meant] += 2.2
    blocks = -(-ticks // 45)
    moods = rng.normal(0, 0.75, (blocks, len(EMOTIONS)))
    if person.group == STERN:
        moods[:, EMOTIONS.index("angry")] += 0.6
    logits += np.repeat(moods, 45, axis=0)[:ticks]
    logits += rng.normal(0, 0.15, logits.shape)
    weights = np.exp(logits)
    scores: Floats = weights / weights.sum(axis=1, keepdims=True)
    return scores


def _voices(person: Person, rng: np.random.Generator) -> list[SpeechSignal]:
    hops = int(person.seconds * US) // HOP_US - 1
    speaking = np.zeros(hops)
    at = 4.5 + rng.uniform(0, 1)
    while at < person.seconds:
        length = rng.uniform(1.5, 4)
        speaking[int(at * 25) : int((at + length) * 25)] = 1.0
        at += length + rng.uniform(1, 3)
    probability = np.clip(np.convolve(speaking, np.ones(3) / 3, "same") * 0.94 + 0.03 + rng.normal(0, 0.01, hops), 0, 1)
    weights = np.zeros((hops, len(VISEMES)))
    n = 0
    while n < hops:
        length = int(rng.integers(2, 5))
        name = str(rng.choice(BRISK)) if speaking[n] else "sil"
        weights[n : n + length, VISEMES.index(name)] = 1.0
        n += length
    kernel = np.array([0.25, 0.5, 0.25])
    weights = np.stack([np.convolve(column, kernel, "same") for column in weights.T], axis=1) + 1e-3
    weights /= weights.sum(axis=1, keepdims=True)
    voice = rng.dirichlet(np.array([6.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.5]))
    scores = tuple(voice.tolist())
    return [
        SpeechSignal(
            speaking_probability=float(probability[n]), energy_dbfs=-20.0 if speaking[n] else -60.0,
            emotion_scores=scores, emotion_unknown=0.0, emotion_confidence=0.6 if speaking[n] else 0.1,
            emotion_age_ms=200.0, valence=0.1, arousal=0.1, dominance=0.0, viseme_scores=tuple(weights[n].tolist()),
            viseme_confidence=0.8 if speaking[n] else 0.0,
        )
        for n in range(hops)
    ]  # fmt: skip
