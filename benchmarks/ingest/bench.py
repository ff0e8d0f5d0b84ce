"""The whole measurement: the edge as it is run in production, real clients, real Kafka; and with aiortc's receivers.

Sessions are known to the bench before they send: peers write them down, the edge's ledger and records are read back.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Progress, machine, scratch
from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import Topics
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.ingest.avatars import RATE_HZ, AvatarWriter
from benchmarks.ingest.media import FPS, bits_a_second, encode, write
from benchmarks.latency.stations import Percentiles
from benchmarks.processes import Candidate, CandidateError, Program, environment, free_port
from cli import sample
from runtime.kafka import common_config
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AudioChunk, LedgerEntry, Signal, VideoFrame
from schemas.topics import LEDGER, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from schemas.vocabulary import Modality, Outcome, Stage

SESSIONS_PER_CORE: Final = 25.0
FRAME_P95_MS: Final = 20.0
STOCK_SESSIONS_PER_CORE: Final = 15.0
"""The targets, and what aiortc by itself reached before."""

WARM_S: Final = 4.0
A_PROCESS: Final = 10
"""Clients of one process."""

PACKET_BYTES: Final = 640
"""Of sound: 20 ms at 16 kHz."""

SETTLE_S: Final = 20.0
HELD_BACK: Final = {"own": {Modality.FACE: 0, Modality.SPEECH: 0}, "stock": {Modality.FACE: 1, Modality.SPEECH: 5}}
"""aiortc's buffers keep a stream's end for ever: the last picture, four packets of sound and one of its decoder."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sessions: int = 16
    stock_sessions: int = 8
    latency_sessions: int = 2
    seconds: float = 20.0
    repeats: int = 3
    codecs: tuple[str, ...] = ("VP8", "H264")
    least_kept: float = 0.95
    """A run in which fewer of the pictures that were sent become records has not kept up, and tells no cost."""

    def quick(self) -> "Plan":
        """Rough figures within two minutes."""
        return replace(self, sessions=8, stock_sessions=6, seconds=8.0, repeats=1, codecs=("VP8",))


@dataclass(frozen=True)
class Run:
    """One edge with some sessions for some seconds."""

    receivers: str
    codec: str
    sessions: int
    cpu_share: float
    """Of one core, the edge's process alone."""
    kept: float
    """Share of the pictures sent that were recorded; the ledger tells of the others."""
    outcomes: Mapping[str, int]
    messages_hz: float
    """Avatar frames a second that came to a client."""
    latency: Percentiles
    """From a picture's first packet to its JPEG being given to Kafka, ms."""
    peers_late_ms: float
    """How late the clients handed over their frames, at the 99th percentile."""

    @property
    def sessions_per_core(self) -> float:
        return self.sessions / self.cpu_share


@dataclass(frozen=True)
class Results:
    """Everything measured: runs by codec and receivers, in the order of their repetition."""

    runs: tuple[Run, ...]
    light: Run
    """With few sessions: for the latency of one that has the machine for itself."""
    machine: str
    at: datetime

    def median(self, receivers: str, codec: str) -> Run | None:
        """The run of median cost."""
        found = [run for run in self.runs if (run.receivers, run.codec) == (receivers, codec)]
        return sorted(found, key=lambda run: run.sessions_per_core)[len(found) // 2] if found else None

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        codec = self.runs[0].codec
        own, stock = self.median("own", codec), self.median("stock", codec)
        assert own is not None
        return {
            "sessions_per_core": round(own.sessions_per_core, 1),
            "frame_p95_ms": self.light.latency.p95,
            "vs_stock_aiortc": None if stock is None else round(own.sessions_per_core / stock.sessions_per_core, 2),
            "codec": codec,
            "runs": [{**asdict(run), "sessions_per_core": round(run.sessions_per_core, 1)} for run in self.runs],
            "light": asdict(self.light),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


@dataclass(frozen=True)
class _Setting:
    """One run to make."""

    codec: str
    media: Path
    receivers: str
    sessions: int
    seconds: float
    least_kept: float


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Measure on the Kafka that ``settings`` names; AffectstreamError if a part fails or its counts do not add up."""
    played = sample.prepare(settings, progress)
    runs: list[Run] = []
    with scratch(settings) as folder:
        files: dict[str, Path] = {}
        for codec in plan.codecs:
            media = encode(played.video, codec)
            progress(f"{codec}: {bits_a_second(media) / 1e3:.0f} kbit/s of video")
            files[codec] = folder / f"{codec}.bin"
            write(media, files[codec])

        def run(codec: str, receivers: str, sessions: int) -> Run:
            setting = _Setting(codec, files[codec], receivers, sessions, plan.seconds, plan.least_kept)
            return _run(settings, folder, setting, progress)

        for _ in range(plan.repeats):
            for codec in plan.codecs:
                runs.append(run(codec, "own", plan.sessions))
                if plan.stock_sessions:
                    runs.append(run(codec, "stock", plan.stock_sessions))
        light = run(plan.codecs[0], "own", plan.latency_sessions)
    return Results(tuple(runs), light, machine(), datetime.now(UTC))


def _run(settings: Settings, folder: Path, setting: _Setting, progress: Progress) -> Run:
    receivers, sessions, seconds = setting.receivers, setting.sessions, setting.seconds
    whose = "aiortc's" if receivers == "stock" else "our"
    progress(f"{sessions} sessions, {setting.codec}, {whose} receivers, {seconds:g} s")
    own = topics_of_a_run(settings, folder).model_copy(
        update={
            "port": free_port(),
            "ice_addresses": "127.0.0.1",
            "open_sessions": True,
            "offers_per_minute": 100_000,
            "max_peers": sessions,
            "webrtc_receivers": receivers,
        }
    )
    outs = [own.data_dir / f"sent-{number}.json" for number in range(-(-sessions // A_PROCESS))]
    with Topics(own), Candidate(_edge(own), own.data_dir / "edge.txt") as edge, AvatarWriter(own) as avatars:
        edge.wait_for(lambda: _healthy(own))
        peers = [
            Candidate(_peers(own, setting, out, number), out.with_suffix(".txt")) for number, out in enumerate(outs)
        ]
        for group in peers:
            group.__enter__()
        try:
            for group in peers:
                _until(lambda group=group: "READY" in group.said(), group)  # type: ignore[misc]
            avatars.follow(_sessions(own))
            time.sleep(WARM_S)
            begin, cpu_before = time.time(), edge.cpu_s()
            time.sleep(seconds - 1.0)
            end, cpu_after = time.time(), edge.cpu_s()
            for group, out in zip(peers, outs, strict=True):
                _until(out.exists, group)
        finally:
            for group in peers:
                group.__exit__(None, None, None)
        edge.require_running()
        sent = [entry for out in outs for entry in json.loads(out.read_text(encoding="utf-8"))]
        try:
            delays, outcomes = _check(own, sent, receivers, (begin, end))
        except CandidateError as error:
            raise edge.failure(str(error)) from error
    video = sum(entry["video"] for entry in sent)
    kept = outcomes[Outcome.USED] / video
    if kept < setting.least_kept:
        raise CandidateError(f"only {kept:.0%} of the pictures became records: the machine is too busy ({outcomes})")
    messages_hz = sum(entry["messages"] for entry in sent) / sessions / (WARM_S + seconds)
    if messages_hz < setting.least_kept * RATE_HZ:
        raise CandidateError(f"only {messages_hz:.1f} avatar frames a second came back to a client")
    return Run(
        receivers, setting.codec, sessions, (cpu_after - cpu_before) / (end - begin), round(kept, 4), dict(outcomes),
        round(messages_hz, 1), Percentiles.of(delays),
        round(float(np.percentile([late for entry in sent for late in entry["late_ms"]], 99)), 2),
    )  # fmt: skip


def _check(
    settings: Settings, sent: list[dict[str, Any]], receivers: str, span_s: tuple[float, float]
) -> tuple[list[float], Counter[str]]:
    """Delays of the pictures received within ``span_s``, ms, and outcomes of pictures.

    CandidateError unless every item that was sent is either recorded, or in the ledger with the reason why not, or is
    one whose packets did not reach the edge, as its receiver reports tell the clients.
    """
    codec = Codec()
    until = time.monotonic() + SETTLE_S
    while True:
        told: dict[tuple[str, str], Counter[str]] = {}
        for value in _all(settings, LEDGER):
            entry = codec.decode(LedgerEntry, value)
            if entry.stage == Stage.INGEST:
                told.setdefault((entry.session_id, entry.modality), Counter())[entry.outcome] += entry.count
        recorded: Counter[tuple[str, str]] = Counter()
        packets: Counter[tuple[str, str]] = Counter()
        delays: list[float] = []
        for value in _all(settings, MEDIA_VIDEO):
            frame = codec.decode(VideoFrame, value)
            recorded[frame.session_id, Modality.FACE] += 1
            packets[frame.session_id, Modality.FACE] += 1
            if span_s[0] * 1e6 <= frame.received_at_us < span_s[1] * 1e6:
                delays.append((frame.ingested_at_us - frame.received_at_us) / 1e3)
        for value in _all(settings, MEDIA_AUDIO):
            chunk = codec.decode(AudioChunk, value)
            recorded[chunk.session_id, Modality.SPEECH] += 1
            packets[chunk.session_id, Modality.SPEECH] += len(chunk.pcm) // PACKET_BYTES
        wrong = _wrong(sent, receivers, told, recorded, packets)
        if not wrong:
            outcomes: Counter[str] = Counter()
            for (_, modality), counts in told.items():
                if modality == Modality.FACE:
                    outcomes.update(counts)
            return delays, outcomes
        if time.monotonic() > until:
            raise CandidateError(f"counts do not add up: {'; '.join(wrong[:4])}")
        time.sleep(0.5)


def _wrong(
    sent: list[dict[str, Any]],
    receivers: str,
    told: Mapping[tuple[str, str], Counter[str]],
    recorded: Mapping[tuple[str, str], int],
    packets: Mapping[tuple[str, str], int],
) -> list[str]:
    """What does not add up. A record of sound may hold two packets; whatever else the ledger tells of is one."""
    found = []
    for entry in sent:
        for modality, kind in ((Modality.FACE, "video"), (Modality.SPEECH, "audio")):
            key, count = (entry["session_id"], modality.value), entry[kind]
            unseen = HELD_BACK[receivers][modality] + entry["lost"].get(kind, 0)
            counts = told.get(key, Counter())
            if counts[Outcome.USED] != recorded[key]:
                found.append(f"{modality}: {recorded[key]} records, {counts[Outcome.USED]} of them in the ledger")
            known = packets[key] + counts.total() - counts[Outcome.USED]
            if not 0 <= count - known <= unseen:
                found.append(f"{modality}: {count} sent, {known} accounted for, {unseen} may be missing")
    return found


def _all(settings: Settings, topic: Any) -> list[bytes]:
    """Every value of a topic."""
    name = settings.topic(topic)
    reader = Consumer({**common_config(settings), "group.id": f"{settings.topic_prefix}check"})
    try:
        parts = [TopicPartition(name, number, 0) for number in range(settings.partitions)]
        left = sum(reader.get_watermark_offsets(part, timeout=10, cached=False)[1] for part in parts)
        reader.assign(parts)
        values: list[bytes] = []
        until = time.monotonic() + SETTLE_S
        while len(values) < left and time.monotonic() < until:
            values += [m.value() or b"" for m in reader.consume(10_000, 0.5) if m.error() is None]
        return values
    finally:
        reader.close()


def _sessions(settings: Settings) -> list[str]:
    codec = Codec()
    return sorted({codec.decode(Signal, value).session_id for value in _all(settings, SIGNALS)})


def _edge(settings: Settings) -> Program:
    return Program([sys.executable, "-m", "cli", "run", "ingest"], environment(**settings.to_env()), ROOT)


def _peers(settings: Settings, setting: _Setting, out: Path, number: int) -> Program:
    first = number * A_PROCESS
    count = min(A_PROCESS, setting.sessions - first)
    url, seconds = f"http://127.0.0.1:{settings.port}", WARM_S + setting.seconds
    arguments = (url, setting.media, out, count, first, setting.sessions, setting.codec, seconds)
    command = [sys.executable, "-m", "benchmarks.ingest.peers", *map(str, arguments)]
    return Program(command, environment(), ROOT)


def _until(ready: Callable[[], bool], candidate: Candidate, deadline_s: float = 180.0) -> None:
    until = time.monotonic() + deadline_s
    while not ready():
        if not candidate.running and not ready():
            raise candidate.failure("ended early")
        if time.monotonic() > until:
            raise candidate.failure("did not come so far in time")
        time.sleep(0.05)


def _healthy(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/healthz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    console.print(f"[bold]ingest[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("receivers", "codec", "sessions", "a core", "kept", "p50 ms", "p95 ms", "p99 ms", "avatar Hz")
    for run in (*results.runs, results.light):
        of = run.latency
        table.add_row(
            run.receivers, run.codec, str(run.sessions), f"{run.sessions_per_core:.1f}", f"{run.kept:.1%}",
            f"{of.p50:.1f}", f"{of.p95:.1f}", f"{of.p99:.1f}", f"{run.messages_hz:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"targets: {SESSIONS_PER_CORE:g} sessions of {FPS} pictures and {RATE_HZ} avatar frames a second on a core, "
        f"p95 < {FRAME_P95_MS:g} ms; clients were up to "
        f"{max(run.peers_late_ms for run in results.runs):.1f} ms late (p99)",
        style="dim",
    )
