"""Fusion at the speed of life: sessions paced in real time, what a second costs, and how soon frames come."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.fusion.contestants import fusion_role, role_is_ready
from benchmarks.fusion.frames import FrameReader, Frames
from benchmarks.fusion.kafka_log import Topics, producer, read_frames, send_all
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.fusion.signals import (
    FACE_HZ,
    FACE_VARIANTS,
    FIRST_FACE_SEQUENCE,
    HOP_US,
    SPEECH_VARIANTS,
    US,
    Int64s,
    Pattern,
    Patterns,
    Slice,
    session_ids,
)
from benchmarks.processes import Candidate, CandidateError
from runtime.settings import Settings
from schemas.fusion_config import FusionConfig
from schemas.topics import SIGNALS

STEP_S: Final = 0.004
"""How often the pacer wakes."""
FACE_DELAY_US: Final = 30_000
"""From a picture's capture to its signal."""
SPEECH_DELAY_US: Final = 20_000
"""The same for voices, at least; up to a hop more, by session, as clients' chunks begin at any time."""
WARM_S: Final = 4.0
TAIL_US: Final = US
"""Ticks of the last second may still be open when the pacer stops."""
CONFIG: Final = FusionConfig.of()


@dataclass(frozen=True)
class Live:
    """What sessions in real time cost."""

    sessions: int
    seconds: float
    cpu_share: float
    """Of one core, as a mean over the measured seconds."""
    frames: int
    """Frames of the measured seconds; none is missing."""
    latency_ms: tuple[float, float, float]
    """p50, p95, p99 from the signal that closes a tick being sent to its frame being written; to the millisecond."""
    behind_ms: float
    """How late the pacer itself was at the 99th percentile."""

    @property
    def sessions_per_core(self) -> float:
        return self.sessions / self.cpu_share


class Stream:
    """One modality's records of all sessions in the order of their being due: the n-th is session n mod N's."""

    def __init__(self, pattern: Pattern, first: int, period: int, offsets: Int64s, delay: Int64s) -> None:
        """``period``: of a session's samples, in units of µs / 30 so that thirtieths of a second are whole."""
        self.pattern = pattern
        self._first = first
        self._period = period
        order = np.argsort(offsets + delay, kind="stable")
        self.session = order
        self._offset = offsets[order]
        self._delay = delay[order]
        # Due times rise within a period only if all lie within one.
        self._lead = self._offset + self._delay
        assert (self._lead.max() - self._lead.min()) * FACE_HZ <= period
        self.sent = 0
        self.steps: list[tuple[int, int]] = []
        """(records sent by the end of a step, when) in µs."""

    def captured(self, numbers: Int64s) -> Int64s:
        """Capture instants of the records with these numbers."""
        n = len(self.session)
        return self._first + self._offset[numbers % n] + numbers // n * self._period // FACE_HZ

    def due(self, now_us: int) -> Int64s:
        """Numbers of the records that are due and not sent."""
        n = len(self.session)
        since = now_us - self._first
        number = self.sent
        # Whole periods first, then those of the last one.
        periods = max(0, (since - int(self._lead.max())) * FACE_HZ // self._period)
        number = max(number, periods * n)
        tail = np.arange(number, number + 2 * n, dtype=np.int64)
        ready = self.captured(tail) + self._delay[tail % n] <= now_us
        stop = number + int(np.argmin(ready)) if not ready.all() else number + 2 * n
        return np.arange(self.sent, stop, dtype=np.int64)

    def sent_at(self, numbers: Int64s) -> Int64s:
        """When the records with these numbers were sent, µs."""
        counts = np.array([count for count, _ in self.steps], np.int64)
        times = np.array([at for _, at in self.steps], np.int64)
        return times[np.searchsorted(counts, numbers, side="right")]

    def delay(self, numbers: Int64s) -> Int64s:
        """From capture to being due."""
        return self._delay[numbers % len(self.session)]


class Pacer:
    """Sends the signals of ``sessions`` sessions as they fall due."""

    def __init__(self, settings: Settings, sessions: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._topic = settings.topic(SIGNALS)
        self._producer = producer(settings, **{"linger.ms": 1, "enable.idempotence": True, "acks": "all"})
        self._patterns = Patterns(CONFIG, seed, "live")
        ids = session_ids(sessions)
        self._keys = np.array([key.encode() for key in ids], dtype=object)
        self._ids = np.frombuffer("".join(ids).encode(), np.uint8).reshape(sessions, -1)
        self._variant = rng.integers(0, FACE_VARIANTS, sessions)
        self._voice = rng.integers(0, SPEECH_VARIANTS, sessions)
        self.sessions = sessions
        self.started_us = 0
        self._face_offset = rng.integers(0, US // FACE_HZ, sessions)
        self._speech_delay = SPEECH_DELAY_US + rng.integers(0, HOP_US, sessions)
        self.late_us: list[int] = []

    def start(self, now_us: int) -> None:
        """Start every session, at the next whole second."""
        self.started_us = (now_us // US + 1) * US
        zeros = np.zeros(self.sessions, np.int64)
        stamps = np.full((self.sessions, 5), self.started_us, np.int64)
        self._send(self._patterns.start.records(zeros, stamps, zeros, self._ids), np.arange(self.sessions))
        self._producer.flush(60)
        delay = np.full(self.sessions, FACE_DELAY_US, np.int64)
        self.face = Stream(self._patterns.face, self.started_us, US, self._face_offset, delay)
        self.speech = Stream(
            self._patterns.speech, self.started_us, HOP_US * FACE_HZ, np.zeros_like(self._voice), self._speech_delay
        )

    def _send(self, values: list[bytes], sessions: npt.NDArray[np.int64]) -> None:
        send_all(self._producer, self._topic, Slice(self._keys[sessions].tolist(), values))

    def step(self, now_us: int) -> None:
        """Send what is due."""
        for stream in (self.face, self.speech):
            numbers = stream.due(now_us)
            if not len(numbers):
                continue
            n = self.sessions
            sessions = stream.session[numbers % n]
            captured = stream.captured(numbers)
            if stream is self.face:
                variants = (self._variant[sessions] + numbers // n) % FACE_VARIANTS
                sequence = FIRST_FACE_SEQUENCE + numbers // n
            else:
                variants = self._voice[sessions]
                sequence = captured // HOP_US
            stamps = captured[:, None] + np.array([0, 1_000, 2_000, 3_000, 4_000], np.int64)
            self._send(stream.pattern.records(variants, stamps, sequence, sessions=self._ids[sessions]), sessions)
            stream.sent = int(numbers[-1]) + 1
            at_us = time.time_ns() // 1_000
            stream.steps.append((stream.sent, at_us))
            self.late_us.append(at_us - int(captured[0] + stream.delay(numbers[:1])[0]))

    def close(self) -> None:
        """Return when everything sent is acknowledged."""
        self._producer.flush(60)


def run_live(settings: Settings, sessions: int, seconds: float, directory: Path, seed: int = 7) -> Live:
    """Pace sessions in real time against the fusion role; CandidateError if it does not keep up."""
    own = topics_of_a_run(settings, directory)
    with Topics(own), Candidate(fusion_role(own), own.data_dir / "output.txt") as candidate:
        candidate.wait_for(lambda: role_is_ready(own))
        pacer = Pacer(own, sessions, seed)
        pacer.start(time.time_ns() // 1_000)
        marks: list[tuple[float, float]] = []
        begin = pacer.started_us / US + WARM_S
        for edge in (begin, begin + seconds):
            _pace(pacer, edge)
            marks.append((time.monotonic(), candidate.cpu_s()))
        pacer.close()
        _settle(candidate)
        candidate.require_running()
        reader = FrameReader()
        read_frames(own, reader.take)
    (began, cpu_before), (ended, cpu_after) = marks
    from_us, until_us = round(begin * US), round((begin + seconds) * US) - TAIL_US
    latencies = latencies_ms(pacer, reader.frames(), from_us, until_us)
    p50, p95, p99 = (float(value) for value in np.percentile(latencies, (50, 95, 99)))
    return Live(
        sessions,
        ended - began,
        (cpu_after - cpu_before) / (ended - began),
        len(latencies),
        (p50, p95, p99),
        float(np.percentile(np.array(pacer.late_us), 99)) / 1e3,
    )


def _pace(pacer: Pacer, until_s: float) -> None:
    while (now := time.time()) < until_s:
        pacer.step(int(now * US))
        time.sleep(STEP_S)


def _settle(candidate: Candidate) -> None:
    """Let the last frames be written."""
    candidate.wait_for(lambda: True)


def latencies_ms(pacer: Pacer, frames: Frames, from_us: int, until_us: int) -> npt.NDArray[np.float64]:
    """Time from sending the signal that closes a tick to Kafka's timestamp of its frame, of the ticks in a span.

    Raises CandidateError if a frame of the span is missing.
    """
    instants = frames.instants_us
    span = (instants >= from_us) & (instants < until_us)
    first = -((pacer.started_us - from_us) * FACE_HZ // US)
    last = -((pacer.started_us - until_us) * FACE_HZ // US)
    wanted = (last - first) * pacer.sessions
    if int(span.sum()) != wanted:
        raise CandidateError(f"{wanted - int(span.sum())} of {wanted} live frames are missing: fusion fell behind")
    written = frames.written_ms[span].astype(np.float64)
    # Kafka's timestamps are cut to the millisecond: on average the frame was written half of one later.
    return written + 0.5 - closing_us(pacer, frames.session[span], instants[span]) / 1e3


def closing_us(pacer: Pacer, session: Int64s, tick_us: Int64s) -> Int64s:
    """When the signal that closes each of these ticks was sent, µs.

    A tick closes with the first sample of each modality that is no more than its slack before it.
    """
    closing = np.zeros(len(session), np.int64)
    for stream, name, period in (
        (pacer.face, "face_slack_ms", US),
        (pacer.speech, "speech_slack_ms", HOP_US * FACE_HZ),
    ):
        rank = np.empty(pacer.sessions, np.int64)
        rank[stream.session] = np.arange(pacer.sessions)
        least = tick_us - round(CONFIG.parameters[name] * 1_000)
        first_captured = stream.captured(rank)[session]
        # The first sample captured at or after `least`; rounding of the capture may make it the one before.
        k = np.maximum(0, -(-(least - first_captured) * FACE_HZ // period))
        numbers = k * pacer.sessions + rank[session]
        earlier = numbers - pacer.sessions
        numbers = np.where((k > 0) & (stream.captured(np.maximum(earlier, 0)) >= least), earlier, numbers)
        closing = np.maximum(closing, stream.sent_at(numbers))
    return closing
