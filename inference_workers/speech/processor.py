"""From chunks of sound to a speech signal every 40 ms, for every session of a worker. Pure of Kafka and of clocks.

A hop is published as soon as its sound is there, with the emotion of the latest window that was complete before it;
windows that the hop completes are inferred after it was sent. So the slowest part adds nothing to the latency, and
which window a hop carries depends on the sound alone.

Emotion windows are 1 s long and end every 500 ms, at an instant of each session's own, so that the windows of many
sessions do not fall due together.
"""

import logging
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.protocols import MouthMemory, SpeechEmotion, SpeechEngine, VisemeEngine
from inference_workers.processing import Outbox, Taken
from inference_workers.speech import vad, viseme
from inference_workers.speech.features import SAMPLE_RATE_HZ, energy_dbfs
from inference_workers.speech.timeline import HOP, Hop, Timeline, position_of
from runtime.guardian import Watch
from runtime.metrics import Metrics, Stopwatch
from schemas.records import AudioChunk, SpeechSignal
from schemas.vocabulary import EMOTIONS, Outcome

log = logging.getLogger(__name__)

Samples = NDArray[np.float32]

WINDOW: Final = SAMPLE_RATE_HZ
WINDOW_EVERY: Final = SAMPLE_RATE_HZ // 2
KEPT: Final = WINDOW + HOP
"""Samples of a session that are remembered: a window may end anywhere within a hop."""
SPOKEN: Final = 0.5
SPEECH_AT_LEAST: Final = 0.2
"""A window with less speech than this share of its hops is silence: it is not inferred, and confidence is 0."""
WARM_UP: Final = 2 * SAMPLE_RATE_HZ
"""Sound before the newest hop that a restarted worker reads again: a window, its repetition, the detector's memory."""
IDLE_US: Final = 60_000_000
SWEEP_US: Final = 1_000_000
CAPACITY: Final = 2_000
"""Chunks and hops that wait; with more, the worker stops taking: sound is never dropped."""
MAX_SESSIONS: Final = 4_096
"""Sessions in memory, about 75 kB each; with more, the one silent the longest is forgotten and starts cold."""
MAX_BATCH: Final = 64
MAX_CHUNK_BYTES: Final = 32_000
"""1 s. Chunks should hold 20 to 60 ms."""

_NO_SCORES: Final = (0.0,) * len(EMOTIONS)
_NOTHING: Final = SpeechEmotion(_NO_SCORES, unknown=0.0, confidence=0.0, valence=0.0, arousal=0.0, dominance=0.0)


@dataclass(frozen=True, slots=True)
class _Due:
    session: "_Session"
    item: Taken[AudioChunk]
    """The chunk that completes it."""
    end: int
    samples: Samples

    @property
    def key(self) -> str:
        """Which window it is: the same after a restart."""
        return f"{self.item.record.session_id} window {self.end}"


@dataclass(slots=True)
class _Session:
    """What is remembered of one session."""

    partition: int
    phase: int
    heard_at_us: int
    mouth: MouthMemory
    timeline: Timeline = field(default_factory=Timeline)
    voice: vad.Voice = field(default_factory=vad.Voice)
    spare_mouth: viseme.Voice = field(default_factory=viseme.Voice)
    """For the hops that the viseme engine fails on."""
    sound: Samples = field(default_factory=lambda: np.zeros(KEPT, np.float32))
    heard: int = 0
    spoken: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW // HOP))
    emotion: SpeechEmotion = _NOTHING
    emotion_end: int = -1
    hops: deque[tuple[Hop, Taken[AudioChunk]]] = field(default_factory=deque)
    marks: deque[tuple[int, int]] = field(default_factory=deque)
    """Position of the end and offset of each chunk that a restarted worker would have to read again."""

    def hear(self, hop: Hop) -> None:
        """Remember the hop's sound."""
        if hop.first:
            self.heard = 0
            self.spoken.clear()
            self.emotion = replace(self.emotion, confidence=0.0)
            self.mouth.fall_silent()
        self.heard += HOP
        self.sound[:-HOP] = self.sound[HOP:]
        self.sound[-HOP:] = hop.samples

    def last(self, count: int, *, before_end: int = 0) -> Samples:
        """The newest samples but for the last ``before_end``; zeros where nothing was heard without a break."""
        stop = KEPT - before_end
        result = self.sound[stop - count : stop].copy()
        unheard = count + before_end - self.heard
        if unheard > 0:
            result[:unheard] = 0.0
        return result

    def due(self, hop: Hop, item: Taken[AudioChunk]) -> _Due | None:
        """The emotion window that this hop completes, if one does and it holds speech; ``item`` brought the hop."""
        since = (hop.end - self.phase) % WINDOW_EVERY
        if since >= HOP or self.heard < WINDOW + since:
            return None
        if sum(self.spoken) < SPEECH_AT_LEAST * WINDOW / HOP:
            self.emotion = replace(self.emotion, confidence=0.0)
            return None
        return _Due(self, item, hop.end - since, self.last(WINDOW, before_end=since))

    def signal(
        self, hop: Hop, speaking: float, weights: tuple[float, ...], certainty: float, degraded: bool
    ) -> SpeechSignal:
        """What is known at the hop's end."""
        age = (hop.end - self.emotion_end) * 1_000.0 / SAMPLE_RATE_HZ if self.emotion_end >= 0 else 0.0
        return SpeechSignal(
            speaking_probability=speaking,
            energy_dbfs=energy_dbfs(hop.samples),
            emotion_scores=self.emotion.scores,
            emotion_unknown=self.emotion.unknown,
            emotion_confidence=self.emotion.confidence,
            emotion_age_ms=age,
            valence=self.emotion.valence,
            arousal=self.emotion.arousal,
            dominance=self.emotion.dominance,
            viseme_scores=weights,
            viseme_confidence=certainty,
            degraded=degraded or self.emotion.degraded,
        )


class SpeechProcessor:
    """A :class:`~inference_workers.processing.Processor` of sound.

    Every chunk is used, a duplicate, stale (its hops are out already) or undecodable. It is accounted when its sound
    is on the timeline; the hops that wait are protected by :meth:`needed_from`. A window that the engine fails on, and
    a hop that it hung or crashed on, are noted as engine errors besides: they are no chunks, so they have no number.
    """

    def __init__(
        self,
        engine: SpeechEngine,
        detector: vad.VoiceDetector,
        visemes: VisemeEngine,
        metrics: Metrics,
        watch: Watch | None = None,
    ) -> None:
        """``watch``: told what the engines are at.

        Windows that a predecessor ended on are left out, hops that it ended on are heard as silence.
        """
        self._watch = watch or Watch()
        self._engine = engine
        self._detector = detector
        self._visemes = visemes
        self._spare = viseme.SpectralVisemes()
        self._metrics = metrics
        self._arrived: list[Taken[AudioChunk]] = []
        self._sessions: dict[str, _Session] = {}  # the one heard last at the end
        self._waiting: dict[str, _Session] = {}  # those with hops
        self._hops = 0
        self._swept_at_us = 0

    def room(self) -> int:
        return CAPACITY - len(self._arrived) - self._hops

    def accept(self, item: Taken[AudioChunk]) -> None:
        self._arrived.append(item)

    def run(self, now_us: int, outbox: Outbox) -> int | None:
        self._lay_out(outbox)
        names = list(self._waiting)[:MAX_BATCH]
        if names:
            self._batch([self._waiting.pop(name) for name in names], names, now_us, outbox)
        if now_us - self._swept_at_us >= SWEEP_US:
            self._swept_at_us = now_us
            self._sweep(now_us)
        return now_us if self._waiting else None

    def settle(self, now_us: int, outbox: Outbox) -> None:
        while self.run(now_us, outbox) is not None:
            pass

    def forget(self, partitions: Sequence[int]) -> None:
        for name in [name for name, session in self._sessions.items() if session.partition in partitions]:
            self._free(name)
        self._arrived = [item for item in self._arrived if item.partition not in partitions]

    def erase(self, gone: Callable[[str], bool], outbox: Outbox) -> None:
        for item in self._arrived:
            if gone(item.record.session_id):
                outbox.account(item, Outcome.ERASED)
        self._arrived = [item for item in self._arrived if not gone(item.record.session_id)]
        for name in [name for name in self._sessions if gone(name)]:
            self._free(name)

    def needed_from(self, partition: int) -> int | None:
        offsets = [s.marks[0][1] for s in self._sessions.values() if s.partition == partition and s.marks]
        offsets += [item.offset for item in self._arrived if item.partition == partition]
        return min(offsets, default=None)

    def _lay_out(self, outbox: Outbox) -> None:
        """Put the sound that has come on its sessions' timelines."""
        for item in self._arrived:
            chunk = item.record
            wrong = fault_of(chunk)
            if wrong:
                outbox.account(item, Outcome.UNDECODABLE)
                if not item.accounted:
                    outbox.dead_letter(item, wrong)
                continue
            session = self._session_of(item)
            samples = np.frombuffer(chunk.pcm, "<i2").astype(np.float32) / np.float32(32_768)
            outcome, hops = session.timeline.add(chunk.captured_at_us, chunk.sequence, samples)
            outbox.account(item, outcome)
            if outcome is Outcome.USED:
                session.marks.append((position_of(chunk.captured_at_us) + len(samples), item.offset))
            if hops:
                session.hops.extend((hop, item) for hop in hops)
                self._waiting[chunk.session_id] = session
                self._hops += len(hops)
        self._arrived.clear()

    def _session_of(self, item: Taken[AudioChunk]) -> _Session:
        name = item.record.session_id
        session = self._sessions.pop(name, None)
        if session is None:
            if len(self._sessions) >= MAX_SESSIONS:
                self._free(next((n for n in self._sessions if n not in self._waiting), next(iter(self._sessions))))
            phase = zlib.crc32(name.encode()) % WINDOW_EVERY
            session = _Session(item.partition, phase, item.consumed_at_us, self._visemes.begin())
        session.heard_at_us = item.consumed_at_us
        self._sessions[name] = session
        return session

    def _batch(self, sessions: Sequence[_Session], names: Sequence[str], now_us: int, outbox: Outbox) -> None:
        """The next hop of each of these sessions, and then the windows that those hops complete."""
        taken = [session.hops.popleft() for session in sessions]
        self._hops -= len(taken)
        waited = self._metrics.observer("queue_seconds", engine=self._engine.source)
        for _, item in taken:
            waited(max(now_us - item.consumed_at_us, 0) / 1e6)
        keys = [f"{name} hop {hop.number}" for name, (hop, _) in zip(names, taken, strict=True)]
        taken = [(self._harmless(hop, key, item, outbox), item) for (hop, item), key in zip(taken, keys, strict=True)]
        hops = [hop for hop, _ in taken]
        for session, hop in zip(sessions, hops, strict=True):
            session.hear(hop)
        with self._watch.over(keys):
            speaking = vad.speaking_probabilities(self._detector, [s.voice for s in sessions], hops)
        mouths, degraded = self._mouths(sessions, speaking, keys)
        for session, (hop, item), said, (weights, certainty) in zip(sessions, taken, speaking, mouths, strict=True):
            payload = session.signal(hop, said, weights, certainty, degraded)
            outbox.signal(
                item,
                sequence=hop.number,
                captured_at_us=hop.captured_at_us,
                payload=payload,
                source=session.emotion.source,
            )
            session.spoken.append(said > SPOKEN)
            while session.marks and session.marks[0][0] < hop.end - WARM_UP:
                session.marks.popleft()
        due = [
            window
            for session, hop, (_, item) in zip(sessions, hops, taken, strict=True)
            if (window := session.due(hop, item)) and not self._given_up(window, outbox)
        ]
        for start in range(0, len(due), self._engine.max_batch):
            self._feel(due[start : start + self._engine.max_batch], outbox)
        for name, session in zip(names, sessions, strict=True):
            if session.hops:
                self._waiting[name] = session

    def _mouths(
        self, sessions: Sequence[_Session], speaking: Sequence[float], keys: Sequence[str]
    ) -> tuple[Sequence[tuple[tuple[float, ...], float]], bool]:
        """Visemes of each session's newest hop, and whether they are the spare engine's."""
        sounds = np.stack([session.last(viseme.SPAN) for session in sessions])
        watch = Stopwatch()
        try:
            with self._watch.over(keys):
                found = self._visemes.infer(sounds, [session.mouth for session in sessions], speaking)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything: the mouth moves all the same
            log.warning("%s failed on a hop: %s: %s", self._visemes.source, type(error).__name__, error)
            return self._spare.infer(sounds, [session.spare_mouth for session in sessions], speaking), True
        self._metrics.observe("inference_seconds", watch.seconds(), engine=self._visemes.source)
        return found, False

    def _harmless(self, hop: Hop, key: str, item: Taken[AudioChunk], outbox: Outbox) -> Hop:
        """The hop, or silence in its place if a predecessor hung or crashed while it was at it."""
        if not self._watch.suspected(key):
            return hop
        self._note(item, outbox)
        return replace(hop, samples=np.zeros_like(hop.samples))

    def _given_up(self, window: _Due, outbox: Outbox) -> bool:
        """Whether a predecessor hung or crashed while it was at this window."""
        if not self._watch.suspected(window.key):
            return False
        self._leave_out(window, outbox)
        return True

    def _leave_out(self, window: _Due, outbox: Outbox) -> None:
        """The hop goes out all the same: its voice activity and visemes do not need the engine."""
        window.session.emotion = replace(window.session.emotion, confidence=0.0)
        self._note(window.item, outbox)

    def _note(self, item: Taken[AudioChunk], outbox: Outbox) -> None:
        if not item.accounted:
            outbox.note(item.record.session_id, Outcome.ENGINE_ERROR)

    def _feel(self, due: Sequence[_Due], outbox: Outbox) -> None:
        """Infer emotion windows together; if that fails, one by one, so that one cannot spoil the others."""
        watch = Stopwatch()
        try:
            with self._watch.over([window.key for window in due]):
                answers = self._engine.infer([window.samples for window in due])
        except Exception as error:  # noqa: BLE001 - an engine may raise anything: the window is lost, the worker is not
            if len(due) > 1:
                for window in due:
                    self._feel([window], outbox)
            else:
                log.warning("%s failed on a window: %s: %s", self._engine.source, type(error).__name__, error)
                self._leave_out(due[0], outbox)
            return
        self._metrics.observe("inference_seconds", watch.seconds(), engine=self._engine.source)
        self._metrics.observe("batch_size", len(due), engine=self._engine.source)
        for window, answer in zip(due, answers, strict=True):
            window.session.emotion = answer
            window.session.emotion_end = window.end

    def _sweep(self, now_us: int) -> None:
        """Free the sessions that have said nothing for a minute of the worker's time."""
        idle = []
        for name, session in self._sessions.items():
            if now_us - session.heard_at_us < IDLE_US:
                break
            if not session.hops:
                idle.append(name)
        for name in idle:
            self._free(name)
        self._metrics.set("sessions_active", len(self._sessions))

    def _free(self, name: str) -> None:
        session = self._sessions.pop(name)
        self._waiting.pop(name, None)
        self._hops -= len(session.hops)


def fault_of(chunk: AudioChunk) -> str:
    """Why a chunk's sound cannot be used; empty if it can."""
    if chunk.sample_rate_hz != SAMPLE_RATE_HZ:
        return f"{chunk.sample_rate_hz} samples a second, not {SAMPLE_RATE_HZ}"
    if not chunk.pcm or len(chunk.pcm) % 2:
        return f"{len(chunk.pcm)} bytes are no 16-bit samples"
    if len(chunk.pcm) > MAX_CHUNK_BYTES:
        return f"{len(chunk.pcm)} bytes are more than {MAX_CHUNK_BYTES}"
    return ""
