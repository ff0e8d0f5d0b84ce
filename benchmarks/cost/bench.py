"""The whole measurement: every role as in production, idle, then with loads of growing size."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.bench import UNLIMITED, Progress, machine, scratch
from benchmarks.fusion.contestants import ROOT
from benchmarks.processes import Candidate, CandidateError, Program, environment
from benchmarks.resources import cpu_s, processes_of, resident_bytes
from cli import sample
from cli.deployment import Deployment
from cli.planning.figures import Figures
from cli.planning.sizing import predicted_cores
from inference_workers import models
from runtime.settings import Settings
from schemas.topics import topic_specs

Kind = Literal["features", "media"]

SETTLE_S: Final = 3.0
WARM_S: Final = 3.0
"""Of each load, before it is measured."""
SPARE_S: Final = 1.0
"""That media are sent for longer."""
LEAVE_S: Final = 30.0
LEAST_FRAMES: Final = 0.9
"""With fewer of the frames that were due, a load was not carried, and its cost says nothing."""
LEAST_CORES: Final = 0.01
"""A role that takes less than this above its idling has nothing to do with a load."""
FRAMES_A_SECOND: Final = 30


@dataclass(frozen=True)
class Plan:
    """What is measured: sizes of the loads of each kind, seconds of each."""

    features: tuple[int, ...] = (20, 50, 100, 200, 300)
    media: tuple[int, ...] = (1, 2)
    seconds: float = 12.0


@dataclass(frozen=True)
class Load:
    """One load, and what it took while it lasted."""

    kind: Kind
    sessions: int
    seconds: float
    cores: Mapping[str, float]
    """By role and ``kafka``: CPU-seconds a second."""
    topic_bytes: Mapping[str, float]
    """Bytes a second that the topic grew by."""
    frames: float
    """That came, over those that were due."""
    resident_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    idle_cores: Mapping[str, float]
    loads: Sequence[Load]
    predicted: Sequence[float]
    """For each load: all cores, as the figures in use predict them."""
    machine: str
    at: datetime

    def cost(self, kind: Kind) -> Mapping[str, float]:
        """CPU-seconds of one session and second by role, of the largest load.

        The more there is to do the more is done at once, so that a session costs less among many; plans are for many.
        """
        load = self._largest(kind)
        more = self.above_idle(load)
        return {role: cores / load.sessions if cores >= LEAST_CORES else 0.0 for role, cores in more.items()}

    def above_idle(self, load: Load) -> Mapping[str, float]:
        """What a load took, by role, besides what is taken without one."""
        return {role: max(0.0, load.cores[role] - idle) for role, idle in self.idle_cores.items()}

    def of(self, kind: Kind) -> list[Load]:
        """The loads of a kind, the smallest first."""
        return sorted((load for load in self.loads if load.kind == kind), key=lambda load: load.sessions)

    def bytes_of(self, kind: Kind) -> Mapping[str, float]:
        """Bytes of one session and second by topic, of the largest load."""
        load = self._largest(kind)
        return {topic: size / load.sessions for topic, size in load.topic_bytes.items()}

    def _largest(self, kind: Kind) -> Load:
        return self.of(kind)[-1]

    def errors(self) -> list[float]:
        """How far the prediction of each load is off, relative to what was measured."""
        return [p / sum(load.cores.values()) - 1 for p, load in zip(self.predicted, self.loads, strict=True)]

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        kinds: list[Kind] = [kind for kind in ("features", "media") if self.of(kind)]
        return {
            "idle_cores": dict(self.idle_cores),
            "cpu_s_a_session_second": {kind: dict(self.cost(kind)) for kind in kinds},
            "above_idle": {
                kind: [{"sessions": load.sessions, "cores": dict(self.above_idle(load))} for load in self.of(kind)]
                for kind in kinds
            },
            "bytes_a_session_second": {kind: dict(self.bytes_of(kind)) for kind in kinds},
            "loads": [asdict(load) for load in self.loads],
            "predicted_cores": list(self.predicted),
            "prediction_errors": self.errors(),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(
    settings: Settings, environ: Mapping[str, str], figures: Figures, plan: Plan, progress: Progress
) -> Results:
    """Measure, and predict each load with ``figures``. CandidateError if a load is not carried."""
    models.pull(settings)
    played = sample.prepare(settings, progress)
    with scratch(settings) as folder:
        # In a large service partitions are full, and each process reads several: few sessions in many partitions cost
        # more than they will there.
        own = settings.model_copy(update={"data_dir": folder, "partitions": 1, **UNLIMITED})
        deployment = Deployment(own, environ, port=0)
        deployment.start(progress)
        try:
            time.sleep(SETTLE_S)
            before = _cpu(deployment)
            time.sleep(SETTLE_S)
            after = _cpu(deployment)
            idle = {role: (after[role] - before[role]) / SETTLE_S for role in after}
            wanted: list[tuple[Kind, int]] = [("features", n) for n in plan.features]
            wanted += [("media", n) for n in plan.media]
            loads = []
            for kind, count in wanted:
                progress(f"{count} session{'s' * (count != 1)} of {kind}, {plan.seconds:g} s")
                loads.append(_load(deployment, folder, kind, count, plan.seconds, played))
        finally:
            deployment.stop()
    predicted = [sum(idle.values()) + predicted_cores(figures, {load.kind: load.sessions}) for load in loads]
    return Results(idle, loads, predicted, machine(), datetime.now(UTC))


def _load(  # noqa: PLR0917 - all of what a load is
    deployment: Deployment, folder: Path, kind: Kind, count: int, seconds: float, played: sample.Sample
) -> Load:
    server, lasting_s = deployment.addresses.ingest, WARM_S + seconds + SPARE_S
    loaded = (
        _people(server, folder, count) if kind == "features" else _senders(server, folder, count, lasting_s, played)
    )
    with loaded as came:
        time.sleep(WARM_S)
        cpu, size = _cpu(deployment), _log_bytes(folder)
        began_s, began_us = time.monotonic(), time.time_ns() // 1_000
        time.sleep(seconds)
        lasted_s, ended_us = time.monotonic() - began_s, time.time_ns() // 1_000
        cpu_then, size_then = _cpu(deployment), _log_bytes(folder)
        resident = {name: resident_bytes(process) for name, process in processes_of(deployment).items()}
    frames = came(began_us, ended_us) / (count * lasted_s * FRAMES_A_SECOND)
    if frames < LEAST_FRAMES:
        raise CandidateError(f"{count} sessions of {kind}: only {frames:.0%} of the frames came; measure less")
    return Load(
        kind, count, seconds,
        {role: (cpu_then[role] - cpu[role]) / lasted_s for role in cpu},
        {topic: (size_then[topic] - size[topic]) / lasted_s for topic in size}, frames, resident,
    )  # fmt: skip


Came = Callable[[int, int], int]
"""How many frames came between two instants, µs; to be asked when the clients have gone."""


@contextmanager
def _people(server: str, folder: Path, count: int) -> Iterator[Came]:
    """On-device clients, as `bench system` has them: one light process."""
    out = folder / f"people-{count}.npy"
    command = (sys.executable, "-m", "benchmarks.system.people", server, str(count), str(out))
    with Candidate(Program(command, environment(), ROOT), folder / "people.txt") as people:
        people.wait_until(lambda: "READY" in people.said())
        yield lambda begin, end: _between(np.load(out)["received_us"], begin, end)
        people.require_running()
        people.stop()
    facts = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    if len(facts["order"]) < count:
        raise CandidateError(f"of {count} sessions {count - len(facts['order'])} were refused: {facts['refused']}")


def _between(instants_us: npt.NDArray[np.int64], begin_us: int, end_us: int) -> int:
    return int(np.count_nonzero((instants_us >= begin_us) & (instants_us < end_us)))


@contextmanager
def _senders(server: str, folder: Path, count: int, lasting_s: float, played: sample.Sample) -> Iterator[Came]:
    """Clients that send the sample's pictures and sound."""
    out = folder / f"senders-{count}.npy"
    arguments = (server, str(count), str(lasting_s), str(played.video), str(played.audio), str(out))
    command = (sys.executable, "-m", "benchmarks.cost.clients", *arguments)
    with Candidate(Program(command, environment(), ROOT), folder / "senders.txt") as senders:
        senders.wait_until(lambda: "READY" in senders.said())
        yield lambda begin, end: _between(np.load(out), begin, end)
        senders.wait(lasting_s + LEAVE_S)


def _cpu(deployment: Deployment) -> dict[str, float]:
    """User and system time of every child so far, s."""
    return {name: cpu_s(process) for name, process in processes_of(deployment).items()}


def _log_bytes(folder: Path) -> dict[str, int]:
    """What each topic takes on the broker's disk, indexes left out."""
    sizes = dict.fromkeys(map(str, topic_specs()), 0)
    for place in (folder / "kafka" / "log").iterdir():
        topic, _, number = place.name.rpartition("-")
        if number.isdecimal() and topic in sizes:
            with suppress(FileNotFoundError):  # retention may be quicker
                sizes[topic] += sum(path.stat().st_size for path in place.glob("*.log"))
    return sizes


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    console.print(f"[bold]cost of a session[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table(
        "CPU ms a session and second", *(f"{load.sessions} {load.kind}" for load in results.loads), "idle, cores"
    )
    for role, idle in results.idle_cores.items():
        costs = [f"{(load.cores[role] - idle) / load.sessions * 1e3:.2f}" for load in results.loads]
        table.add_row(role, *costs, f"{idle:.3f}")
    table.add_section()
    table.add_row("cores in all", *(f"{sum(load.cores.values()):.2f}" for load in results.loads), "")
    table.add_row(
        "predicted", *(f"{p:.2f} ({e:+.0%})" for p, e in zip(results.predicted, results.errors(), strict=True)), ""
    )
    table.add_row("frames", *(f"{load.frames:.1%}" for load in results.loads), "")
    console.print(table)
