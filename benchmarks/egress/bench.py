"""The whole measurement: egress on one core, its viewers, the log and whoever writes it on the others."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks import cores
from benchmarks.bench import Progress, machine, scratch
from benchmarks.egress.frames import FramePacer, example
from benchmarks.fusion.contestants import ROOT, fusion_role
from benchmarks.fusion.kafka_log import Topics
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.fusion.signals import FACE_HZ, US, session_ids
from benchmarks.latency.fanout import egress_role, is_healthy, token_lines
from benchmarks.latency.stations import Percentiles
from benchmarks.processes import Candidate, CandidateError, CpuShares, Program, environment, free_port
from egress.packed import pack
from egress.projection import Instants
from runtime.settings import Settings

CLIENTS: Final = 2_000
P99_MS: Final = 30.0
WARM_S: Final = 10.0
TAIL_S: Final = 1.0
BODY: Final = 24
"""Of a packed frame, where what depends on no clock begins."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    clients: int = CLIENTS
    sessions: tuple[int, ...] = (CLIENTS, 20, 1)
    """How many sessions the clients watch, one after the other; the first one gives the figure."""
    seconds: float = 15.0

    def quick(self) -> "Plan":
        """A look."""
        return replace(self, seconds=5.0, sessions=self.sessions[:2])


@dataclass(frozen=True, slots=True)
class Run:
    """So many clients of so many sessions."""

    clients: int
    sessions: int
    seconds: float
    frames: int
    """That came in the measured seconds; none is missing, each came once and in order."""
    added: Percentiles
    """From handing a frame to Kafka's client to its being read at the viewer's."""
    relay: Percentiles
    """Of that, until egress wrote it to its socket."""
    cpu_share: Mapping[str, float]
    """Of a core: of egress, and of the load."""
    behind_ms: float
    """How late frames were written to Kafka, at the 99th percentile; it is no part of ``added``."""

    @property
    def us_a_message(self) -> float:
        """Processor time of egress for each frame to each client."""
        return self.cpu_share["egress"] * 1e6 / (self.clients * FACE_HZ)


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    runs: Sequence[Run]
    machine: str
    at: datetime

    def keys(self) -> Mapping[str, Any]:
        """The JSON object; ``clients`` and ``p99_ms`` are those of the first run."""
        first = self.runs[0]
        return {
            "clients": first.clients,
            "p99_ms": first.added.p99,
            "sessions": first.sessions,
            "runs": [{**asdict(run), "us_a_message": round(run.us_a_message, 2)} for run in self.runs],
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Measure on the Kafka that ``settings`` names; CandidateError if a frame is lost, doubled or altered."""
    runs = []
    with scratch(settings) as folder, cores.apart() as measured:
        for sessions in plan.sessions:
            progress(f"{plan.clients:,} clients of {sessions:,} sessions, egress on one core")
            run = _run(settings, folder, plan, sessions, measured)
            progress(f"p99 {run.added.p99:.1f} ms; egress took {run.cpu_share['egress']:.0%} of its core")
            runs.append(run)
    return Results(runs, machine(), datetime.now(UTC))


def _run(settings: Settings, folder: Path, plan: Plan, sessions: int, core: int) -> Run:
    # All viewers come from one address, and of one tenant: that is what is measured here, not what it is limited to.
    unlimited = {"requests_per_s": 1e6, "tenant_requests_per_s": 1e6}
    own = topics_of_a_run(settings, folder).model_copy(update={"port": free_port(), "partitions": 1, **unlimited})
    out, tokens = own.data_dir / "viewers.npy", own.data_dir / "tokens.txt"
    ids = session_ids(sessions)
    watched = [ids[number % sessions] for number in range(plan.clients)]
    tokens.write_text(token_lines(own, watched), encoding="utf-8")
    with Topics(own), Candidate(cores.on(egress_role(own), [core]), own.data_dir / "egress.txt") as egress:
        egress.wait_for(lambda: is_healthy(own))
        with Candidate(_viewers(own, out, tokens), own.data_dir / "viewers.txt") as viewers:
            viewers.wait_for(lambda: "READY" in viewers.said())
            pacer = FramePacer(own, sessions)
            pacer.start(time.time_ns() // 1_000)
            begin_s = pacer.started_us / US + WARM_S
            pacer.run(begin_s)
            watches = CpuShares({"egress": egress, "viewers": viewers})
            pacer.run(begin_s + plan.seconds)
            shares = watches.so_far()
            pacer.run(begin_s + plan.seconds + TAIL_S)
            pacer.close()
            viewers.wait_for(lambda: True)
            for candidate in (egress, viewers):
                candidate.require_running()
    rows = np.load(out)
    told = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    check_bodies([bytes.fromhex(first) for first in told["first"]], watched)
    if told["skipped"]:
        raise CandidateError(f"{told['skipped']:,} frames were skipped for slow viewers: the machine is too busy")
    span = _span(rows, pacer, plan, begin_s)
    relay_ms = span["relayed_ms"].astype(np.float64)
    return Run(
        plan.clients,
        sessions,
        plan.seconds,
        len(span),
        Percentiles.of(((span["received_us"] - span["captured_us"]) / 1e3).tolist()),
        Percentiles.of(relay_ms.tolist()),
        shares,
        round(float(np.percentile(np.array(pacer.late_us), 99)) / 1e3, 2),
    )


def _span(rows: npt.NDArray[np.void], pacer: FramePacer, plan: Plan, begin_s: float) -> npt.NDArray[np.void]:
    """The frames of the measured seconds; CandidateError unless every viewer got each of them once, in order."""
    first = round((begin_s * US - pacer.started_us) * FACE_HZ / US) + 1
    count = round(plan.seconds * FACE_HZ) - 2
    found = rows[(rows["sequence"] >= first) & (rows["sequence"] < first + count)]
    wanted = count * plan.clients
    if len(found) != wanted:
        newest = int(rows["sequence"].max(initial=0))
        raise CandidateError(
            f"{len(found):,} frames came of {wanted:,} of the ticks {first:,} to {first + count - 1:,} "
            f"(in all {len(rows):,}, the newest of tick {newest:,}): the machine is too busy"
        )
    # Rows stand in the order of their coming.
    by_viewer = found[np.argsort(found["viewer"], kind="stable")]["sequence"].reshape(plan.clients, count)
    if not (by_viewer == np.arange(first, first + count)).all():
        raise CandidateError("a viewer got a frame twice, or out of order")
    return found


def check_bodies(first: Sequence[bytes], watched: Sequence[str]) -> None:
    """CandidateError unless each viewer's first frame holds what was written, of the session that it watches."""
    frame = example()
    for got, session_id in zip(first, watched, strict=True):
        wanted = pack(replace(frame, session_id=session_id), Instants(0, 0))
        if got[BODY:] != wanted[BODY:]:
            raise CandidateError(f"a viewer of session {session_id} got another frame than was written")


def _viewers(settings: Settings, out: Path, tokens: Path) -> Program:
    python = fusion_role(settings).command[0]
    url = f"ws://127.0.0.1:{settings.port}"
    command = [python, "-m", "benchmarks.egress.viewers", url, str(out), str(tokens)]
    return Program(command, environment(), ROOT)


def show(results: Results, console: Console) -> None:
    """Print the table."""
    console.print(f"[bold]egress[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("clients", "of sessions", "p50 ms", "p95 ms", "p99 ms", "egress, of its core", "µs a message")
    for run in results.runs:
        table.add_row(
            f"{run.clients:,}", f"{run.sessions:,}", f"{run.added.p50:.1f}", f"{run.added.p95:.1f}",
            f"{run.added.p99:.1f}", f"{run.cpu_share['egress']:.0%}", f"{run.us_a_message:.1f}",
        )  # fmt: skip
    console.print(table)
    first = results.runs[0]
    load = ", ".join(f"{name} {share:.0%}" for name, share in first.cpu_share.items() if name != "egress")
    console.print(
        f"{FACE_HZ} frames a second to each client; from Kafka's client to the viewer's (target: p99 < {P99_MS:g} ms "
        f"with {CLIENTS:,} clients). Every frame came once and in order. On the other cores, first row: {load}.",
        style="dim",
    )
