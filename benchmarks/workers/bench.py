"""The whole measurement: faces, latency of faces, speech, and peers on request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Progress, machine, scratch
from benchmarks.workers.faces import RATE_HZ, FaceLatency, FaceRate, Seen, faces_of, latency_of, rate_of
from benchmarks.workers.media import load
from benchmarks.workers.peers import PeerRate, mediapipe_rate
from benchmarks.workers.speech import SpeechCost, cost_of
from cli import sample
from inference_workers import face_engines, models
from inference_workers.engines import choice
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.engines.viseme_network import VisemeNetwork
from inference_workers.speech.processor import SpeechProcessor
from runtime.metrics import Metrics
from runtime.settings import Settings

FACES_PER_S: Final = 100.0
FACE_P95_MS: Final = 20.0
SPEECH_RTF: Final = 0.02


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    repeats: int = 5
    live_seconds: float = 30.0
    """Of one session through the real worker; 0: that part, which needs Kafka, is left out."""
    live_rate_hz: int = RATE_HZ
    speech_sessions: Sequence[int] = (1, 20)
    peers: Sequence[str] = ()

    def quick(self) -> "Plan":
        """A minute."""
        return replace(self, repeats=1, live_seconds=8.0, speech_sessions=(1, 5))


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    faces: FaceRate
    latency: FaceLatency | None
    speech: Sequence[SpeechCost]
    peers: Mapping[str, PeerRate]
    engines: Mapping[str, str]
    machine: str
    at: datetime

    def keys(self) -> Mapping[str, Any]:
        """The JSON object. ``speech_rtf`` is that of one session alone, the dearest."""
        return {
            "faces_per_s": self.faces.faces_per_s,
            "face_p95_ms": None if self.latency is None else self.latency.p95_ms,
            "speech_rtf": self.speech[0].rtf,
            "faces": asdict(self.faces),
            "face_latency": None if self.latency is None else asdict(self.latency),
            "speech": [asdict(each) for each in self.speech],
            "peers": {name: asdict(rate) for name, rate in self.peers.items()},
            "engines": self.engines,
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Measure everything; AffectstreamError if an engine's answers are not what the sample shows."""
    models.pull(settings)
    recorded = load(sample.prepare(settings, progress))
    cv2.setNumThreads(1)  # as in the worker's process
    face_engine = face_engines.face_engine(settings)
    face_engine.warm_up()
    progress(f"faces: {face_engine.source}, {plan.repeats} times through {len(recorded.pictures)} pictures")
    faces = rate_of(face_engine, recorded, plan.repeats)
    with scratch(settings) as folder:
        peers = _peers(settings, plan, faces_of(face_engine, recorded.with_faces()), folder, progress)
        latency = None
        if plan.live_seconds:
            progress(f"faces: one session live, {plan.live_seconds:g} s at {plan.live_rate_hz} a second")
            latency = latency_of(settings, recorded, plan.live_seconds, folder, plan.live_rate_hz)
    make, name = _speech(settings)
    progress(f"speech: {name}, {', '.join(map(str, plan.speech_sessions))} sessions at once")
    speech = [cost_of(make, recorded, sessions, plan.repeats) for sessions in plan.speech_sessions]
    engines = {"face": face_engine.source, "speech": name}
    return Results(faces, latency, speech, peers, engines, machine(), datetime.now(UTC))


def _peers(
    settings: Settings, plan: Plan, seen: Sequence[Seen], folder: Path, progress: Progress
) -> Mapping[str, PeerRate]:
    if "mediapipe" not in plan.peers:
        return {}
    return {"mediapipe": mediapipe_rate(settings, folder, seen, plan.repeats, progress)}


def _speech(settings: Settings) -> tuple[Callable[[], SpeechProcessor], str]:
    """What makes a processor with the default engines, and their name."""
    detector = SileroVad(models.locate(settings, "silero_vad"))
    visemes = VisemeNetwork(models.locate(settings, "viseme"))
    engine = choice.embedded(settings)
    for each in (detector, visemes, engine):
        each.warm_up()
    return lambda: SpeechProcessor(engine, detector, visemes, Metrics("speech-worker")), engine.source


def show(results: Results, console: Console) -> None:
    """Print the table."""
    console.print(f"[bold]workers[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("", "measured", "least … most", "target")
    faces = results.faces
    table.add_row(
        f"faces a second and core, JPEG to signal ({results.engines['face']})", f"{faces.faces_per_s:.0f}",
        f"{faces.spread[0]:.0f} … {faces.spread[1]:.0f}", f"≥ {FACES_PER_S:g}",
    )  # fmt: skip
    table.add_row("  a picture, ms", f"{faces.picture_ms:.1f}", "", "", style="dim")
    table.add_row("  of that, decoding the JPEG", f"{faces.decode_ms:.1f}", "", "", style="dim")
    for name, rate in results.peers.items():
        table.add_row(
            f"  {name}, the same pictures",
            f"{rate.faces_per_s:.0f}",
            f"{rate.spread[0]:.0f} … {rate.spread[1]:.0f}",
            "",
        )
    if results.latency is not None:
        of = results.latency
        table.add_row(f"face latency at {RATE_HZ} a second, p95 ms", f"{of.p95_ms:.1f}", "", f"< {FACE_P95_MS:g}")
        table.add_row(f"  p50, p99 of {of.pictures} pictures", f"{of.p50_ms:.1f}, {of.p99_ms:.1f}", "", "", style="dim")
        table.add_row("  pictures left out, the worker being held up", str(of.left_out), "", "", style="dim")
        through = ", ".join(f"{ms:.1f}" for ms in of.from_edge_ms)
        table.add_row("  p50, p95 from the edge's stamp, through Kafka", through, "", "", style="dim")
        table.add_row("  CPU of the worker's process, a picture", f"{of.cpu_ms:.1f}", "", "", style="dim")
    for cost in results.speech:
        table.add_row(
            f"speech, CPU-s a second, {cost.sessions} at once ({results.engines['speech']})", f"{cost.rtf:.4f}",
            f"{cost.spread[0]:.4f} … {cost.spread[1]:.4f}", f"< {SPEECH_RTF:g}",
        )  # fmt: skip
    console.print(table)
