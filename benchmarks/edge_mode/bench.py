"""The whole measurement: the same service, once with media clients and its workers, once with on-device clients."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.bench import Progress, machine, scratch
from benchmarks.edge_mode.clients import HOP_HZ, Media, load, send_features, send_media, sessions_of
from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import Topics
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.fusion.signals import FACE_HZ
from benchmarks.processes import Candidate, CandidateError, Program, environment, free_port, is_ready
from cli import sample
from inference_workers import models
from runtime.kafka import TopicPartition, consumer
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import FaceSignal, Signal, SpeechSignal
from schemas.topics import SIGNALS

TIMES_LESS: Final = 10.0
"""The target: what a media session costs over what an on-device session costs."""
LEAST_ANSWERED: Final = 0.5
"""With fewer of its items answered, a run says nothing about their cost."""
WARM_S: Final = 3.0
SETTLE_S: Final = 3.0


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    media_sessions: int = 1
    on_device_sessions: int = 20
    seconds: float = 20.0


@dataclass(frozen=True)
class Mode:
    """What sessions of one kind cost."""

    sessions: int
    seconds: float
    cpu_s: Mapping[str, float]
    """By role: CPU-seconds a session and second, each at the full rate of 30 pictures and 25 hops."""
    answered: Mapping[str, float]
    """Signals by modality over what was sent."""

    @property
    def total(self) -> float:
        """CPU-seconds a session and second of all roles."""
        return sum(self.cpu_s.values())


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    media: Mode
    on_device: Mode
    machine: str
    at: datetime

    @property
    def times_less(self) -> float:
        """How many on-device sessions cost what one media session does."""
        return self.media.total / self.on_device.total

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        return {
            "media_cpu_s": self.media.total,
            "on_device_cpu_s": self.on_device.total,
            "times_less": self.times_less,
            "on_device_sessions_per_core": 1.0 / self.on_device.total,
            "media": asdict(self.media),
            "on_device": asdict(self.on_device),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Measure both on the Kafka that ``settings`` names; AffectstreamError if a part fails or answers too little."""
    models.pull(settings)
    played = sample.prepare(settings, progress)
    media = load(played.video, played.audio)
    with scratch(settings) as folder:
        progress(f"media clients: {plan.media_sessions}, with the workers")
        sending = _run(settings, folder, plan.media_sessions, plan.seconds, media)
        progress(f"on-device clients: {plan.on_device_sessions}")
        reading = _run(settings, folder, plan.on_device_sessions, plan.seconds, None)
    return Results(sending, reading, machine(), datetime.now(UTC))


def _run(settings: Settings, folder: Path, sessions: int, seconds: float, media: Media | None) -> Mode:
    own = topics_of_a_run(settings, folder).model_copy(update={"port": free_port(), "open_sessions": True})
    roles = ("ingest",) if media is None else ("ingest", "face-worker", "speech-worker")
    with Topics(own), ExitStack() as stack:
        running: dict[str, Candidate] = {}
        for role in roles:
            mine = own.model_copy(update={"metrics_port": free_port()})
            program = Program((sys.executable, "-m", "cli", "run", role), environment(**mine.to_env()), ROOT)
            running[role] = stack.enter_context(Candidate(program, own.data_dir / f"{role}.txt"))
            running[role].wait_for(lambda role=role, mine=mine: is_ready(role, mine.metrics_port))  # type: ignore[misc]
        costs = asyncio.run(_drive(f"http://127.0.0.1:{own.port}", sessions, seconds, media, running))
        counted = _signals(own)
    sent = {"face": (seconds + WARM_S) * FACE_HZ * sessions, "speech": (seconds + WARM_S) * HOP_HZ * sessions}
    answered = {name: counted[name] / sent[name] for name in sent}
    if min(answered.values()) < LEAST_ANSWERED:
        raise CandidateError(f"only {answered} of what was sent was answered: leave the machine alone, or measure less")
    # A worker that did not keep up dropped pictures, and would seem to cost less.
    scale = {"face-worker": min(1.0, answered["face"]), "speech-worker": min(1.0, answered["speech"])}
    return Mode(
        sessions,
        seconds,
        {role: cost / seconds / sessions / scale.get(role, 1.0) for role, cost in costs.items()},
        answered,
    )


async def _drive(
    server: str, count: int, seconds: float, media: Media | None, running: Mapping[str, Candidate]
) -> Mapping[str, float]:
    """CPU-seconds of each role while the clients send, without what it costs when nobody does."""

    async def send(duration: float) -> None:
        if media is None:
            await send_features(sessions, duration)
        else:
            await send_media(sessions, media, duration)

    idle = await _spent(running, asyncio.sleep(WARM_S))
    sessions = await sessions_of(server, count, on_device=media is None)
    await send(WARM_S)
    busy = await _spent(running, send(seconds))
    for session in sessions:
        await session.end()
    await asyncio.sleep(SETTLE_S)
    return {role: busy[role] - idle[role] * seconds / WARM_S for role in running}


async def _spent(running: Mapping[str, Candidate], work: Any) -> Mapping[str, float]:
    before = {role: candidate.cpu_s() for role, candidate in running.items()}
    await work
    return {role: candidate.cpu_s() - before[role] for role, candidate in running.items()}


def _signals(settings: Settings) -> Counter[str]:
    """Signals in the log by modality."""
    reader, codec, counted = consumer(settings, "bench-edge-mode"), Codec(), Counter[str]()
    try:
        reader.assign([TopicPartition(settings.topic(SIGNALS), p, 0) for p in range(settings.partitions)])
        empty = 0
        while empty < 3:
            message = reader.poll(1.0)
            empty = empty + 1 if message is None else 0
            if message is not None and message.error() is None:
                payload = codec.decode(Signal, message.value()).payload
                counted["face"] += isinstance(payload, FaceSignal)
                counted["speech"] += isinstance(payload, SpeechSignal)
    finally:
        reader.close()
    return counted


def show(results: Results, console: Console) -> None:
    """Print the table."""
    console.print(f"[bold]edge mode[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("CPU ms a second of one session", "media", "on device")
    for role in results.media.cpu_s:
        on_device = results.on_device.cpu_s.get(role)
        table.add_row(
            role, f"{results.media.cpu_s[role] * 1e3:.1f}", "-" if on_device is None else f"{on_device * 1e3:.2f}"
        )
    table.add_row("together", f"{results.media.total * 1e3:.1f}", f"{results.on_device.total * 1e3:.2f}")
    console.print(table)
    console.print(f"an on-device session costs {results.times_less:.1f} times less (target: {TIMES_LESS:g} or more)")
