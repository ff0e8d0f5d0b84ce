"""The whole measurement: edge, fusion, egress and Kafka as they are in production, and people, and too many of them."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.bench import UNLIMITED, Progress, machine, scratch
from benchmarks.edge_mode.clients import HOP_HZ
from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import Topics
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.fusion.signals import FACE_HZ, US
from benchmarks.latency.stations import Percentiles
from benchmarks.processes import (
    Candidate,
    CandidateError,
    CpuShares,
    Program,
    environment,
    free_port,
    is_ready,
    metrics_page,
)
from benchmarks.system import accounts
from benchmarks.system.people import DEVICE_US
from cli.planning.figures import Figures, read_figures
from runtime.settings import Settings

SESSIONS: Final = 300
P95_MS: Final = 100.0
RECOVERY_S: Final = 5.0
TIMES: Final = 3
WARM_S: Final = 5.0
SETTLE_S: Final = 10.0
"""Watched after the surge."""
WINDOW_S: Final = 0.5
ROLES: Final = ("ingest", "fusion", "egress")
PLANNED: Final = (*ROLES, "kafka")


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sessions: int = SESSIONS
    seconds: float = 20.0
    surge_s: float = 10.0
    """With three times as many; 0: no surge."""
    partitions: int = 1
    """Of every topic: one fusion and one egress need no more."""


@dataclass(frozen=True)
class Surge:
    """Too many people, and what came of it."""

    wanted: int
    """Sessions that were asked for besides."""
    admitted: int
    refused: Mapping[str, int]
    """By the edge's word for why."""
    latency: Percentiles
    """Of the sessions that were there before."""
    recovery_s: float | None
    """From the end of the surge until their latency is what it should be, and stays so; None: not while watched."""
    shedding: int
    """The furthest step that was taken."""


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    sessions: int
    seconds: float
    latency: Mapping[str, Percentiles]
    """From the capture of the sample that counted to its frame at the client, by modality."""
    frames: int
    missing: int
    """Frames of the measured seconds that did not come to their client."""
    mistakes: tuple[str, ...]
    """Where the ledger does not balance; none."""
    dropped: Mapping[str, int]
    """Over the whole run, by stage, modality and reason; all in the ledger."""
    skipped: int
    """Pictures that clients did not send, as the edge asked for fewer or took nothing."""
    cpu_share: Mapping[str, float]
    """Of one core, over the measured seconds."""
    planned_cores: float
    """What `affectstream plan` expects the roles and Kafka to take together."""
    behind_ms: float
    """How late the clients sent, at the 99th percentile."""
    surge: Surge | None
    partitions: int
    machine: str
    at: datetime

    @property
    def p95_ms(self) -> float:
        """Of the slower modality."""
        return max(span.p95 for span in self.latency.values())

    @property
    def used_cores(self) -> float:
        """What the roles and Kafka took together."""
        return sum(self.cpu_share[name] for name in PLANNED)

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        surge = self.surge
        return {
            "sessions": self.sessions,
            "p95_ms": self.p95_ms,
            "lost": self.missing + len(self.mistakes),
            "shed": None if surge is None else sum(surge.refused.values()) + self.dropped.get("ingest face shed", 0),
            "recovery_s": None if surge is None else surge.recovery_s,
            "used_cores": round(self.used_cores, 3),
            **{name: value for name, value in asdict(self).items() if name not in {"sessions", "at"}},
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Measure on the Kafka that ``settings`` names; CandidateError if a part ends, or too little comes to tell."""
    with scratch(settings) as folder:
        return _run(settings, folder, plan, progress)


def _run(settings: Settings, folder: Path, plan: Plan, progress: Progress) -> Results:
    own = topics_of_a_run(settings, folder)
    ports = {role: free_port() for role in ROLES}
    server = f"http://127.0.0.1:{ports['ingest']}"
    own = own.model_copy(
        update={
            "public_ingest_url": server,
            "public_egress_url": f"http://127.0.0.1:{ports['egress']}",
            "open_sessions": True,
            "partitions": plan.partitions,
            **UNLIMITED,
        }
    )
    out = own.data_dir / "base.npy"
    surge: _Surge | None = None
    with Topics(own), ExitStack() as stack:
        running: dict[str, Candidate] = {}
        metrics: dict[str, int] = {}
        for role in ROLES:
            mine = own.model_copy(update={"port": ports[role], "metrics_port": free_port()})
            metrics[role] = mine.metrics_port
            program = Program((sys.executable, "-m", "cli", "run", role), environment(**mine.to_env()), ROOT)
            running[role] = stack.enter_context(Candidate(program, own.data_dir / f"{role}.txt"))
            running[role].wait_for(lambda role=role, port=mine.metrics_port: is_ready(role, port))  # type: ignore[misc]
        progress(f"{plan.sessions} sessions for {WARM_S + plan.seconds:g} s")
        with Candidate(_people(server, plan.sessions, out), own.data_dir / "base.txt") as people:
            people.wait_until(lambda: "READY" in people.said())
            begin_s = time.time() + WARM_S
            _sleep_until(begin_s)
            shares = CpuShares({**running, "clients": people})
            _sleep_until(begin_s + plan.seconds)
            cpu_share = shares.so_far()
            if plan.surge_s:
                surge = _Surge(server, plan, own.data_dir / "surge.npy", metrics["ingest"])
                surge.run(own.data_dir / "surge.txt", progress)
            for candidate in (*running.values(), people):
                candidate.require_running()
            people.stop()
        running["fusion"].wait_for(lambda: True)
        for candidate in running.values():
            candidate.stop()
        log = accounts.read(own)
    base = _Came.read(out)
    everybody = [base, *([] if surge is None else [_Came.read(surge.out)])]
    sent = {name: sum(came.sent(name) for came in everybody) for name in ("face", "speech")}
    mistakes = accounts.mistakes(log, sent, sum(len(came.rows) for came in everybody))
    for came in everybody:
        if came.facts["lost_connections"] or came.facts["unread"]:
            raise CandidateError(f"connections were lost: {came.facts['lost_connections']} {came.facts['unread']}")
    span, missing = base.span(begin_s, plan.seconds)
    return Results(
        sessions=plan.sessions,
        seconds=plan.seconds,
        latency={name: Percentiles.of(found.tolist()) for name, found in latencies_ms(span).items()},
        frames=len(span),
        missing=missing,
        mistakes=tuple(mistakes),
        dropped=accounts.dropped(log),
        skipped=sum(came.sent("skipped") for came in everybody),
        cpu_share=cpu_share,
        planned_cores=round(planned_cores(read_figures(), plan.sessions), 3),
        behind_ms=base.facts["behind_ms"],
        surge=None if surge is None else surge.told(base, everybody[1]),
        partitions=plan.partitions,
        machine=machine(),
        at=datetime.now(UTC),
    )


class _Surge:
    """Twice as many people besides, for a while."""

    def __init__(self, server: str, plan: Plan, out: Path, metrics_port: int) -> None:
        self._server = server
        self._plan = plan
        self._metrics_port = metrics_port
        self._steps: list[int] = []
        self.out = out
        self.began_s = self.ended_s = 0.0

    def run(self, log_path: Path, progress: Progress) -> None:
        """Let them come, stay and go; returns a while after."""
        wanted = (TIMES - 1) * self._plan.sessions
        progress(f"{wanted} more for {self._plan.surge_s:g} s")
        self.began_s = time.time()
        with Candidate(_people(self._server, wanted, self.out), log_path) as people:
            people.wait_until(lambda: "READY" in people.said(), meanwhile=self._look)
            self._watch(self._plan.surge_s)
            people.require_running()
            self.ended_s = time.time()
            people.stop()
        progress("they have gone")
        self._watch(max(0.0, self.ended_s + SETTLE_S - time.time()))

    def _watch(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._look()
            time.sleep(0.2)

    def _look(self) -> None:
        self._steps.append(shedding(self._metrics_port))

    def told(self, base: "_Came", came: "_Came") -> Surge:
        """What came of it."""
        during, _ = base.span(self.began_s, self.ended_s - self.began_s)
        wanted = (TIMES - 1) * self._plan.sessions
        slowest = np.maximum(*latencies_ms(during, np.nan).values())
        return Surge(
            wanted,
            len(came.facts["order"]),
            came.facts["refused"],
            Percentiles.of(slowest[~np.isnan(slowest)].tolist()),
            recovery_s(base.rows, self.ended_s),
            max(self._steps, default=0),
        )


@dataclass(frozen=True)
class _Came:
    """What the people of one process got."""

    rows: npt.NDArray[np.void]
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, out: Path) -> "_Came":
        return cls(np.load(out), json.loads(out.with_suffix(".json").read_text(encoding="utf-8")))

    def sent(self, name: str) -> int:
        """Items of a modality that were sent, or of pictures that were ``skipped``."""
        return sum(session[name] for session in self.facts["sessions"].values())

    def span(self, begin_s: float, seconds: float) -> tuple[npt.NDArray[np.void], int]:
        """Frames of ticks within these seconds, and how many of them are missing."""
        rows = self.rows[(self.rows["tick_us"] >= begin_s * US) & (self.rows["tick_us"] < (begin_s + seconds) * US)]
        counts = Counter(rows["person"].tolist())
        ends = [
            (rows["sequence"][rows["person"] == p].min(), rows["sequence"][rows["person"] == p].max()) for p in counts
        ]
        return rows, sum(int(last) - int(first) + 1 for first, last in ends) - len(rows)


def latencies_ms(rows: npt.NDArray[np.void], other: float | None = None) -> Mapping[str, npt.NDArray[np.float64]]:
    """From the capture of the sample that counted to the client, by modality; frames without one are left out.

    ``other``: they count as that instead, so that all series are as long.
    """
    found = {}
    for modality in ("face", "speech"):
        captured_ms = rows[f"{modality}_ms"][:, 0].astype(np.float64)
        whole = (rows["received_us"] - rows["tick_us"]) / 1e3 - captured_ms
        found[modality] = whole[~np.isnan(whole)] if other is None else np.where(np.isnan(whole), other, whole)
    return found


def recovery_s(rows: npt.NDArray[np.void], since_s: float) -> float | None:
    """Seconds from an instant until the latency's p95 over half a second is below the target, and stays there."""
    slowest = np.fmax(*latencies_ms(rows, np.nan).values())
    window = np.floor((rows["received_us"] / US - since_s) / WINDOW_S).astype(np.int64)
    last = int(window.max(initial=0)) - 4  # the last ones hold the leaving
    bad = -1
    for number in range(last):
        values = slowest[window == number]
        values = values[~np.isnan(values)]
        if not len(values) or np.percentile(values, 95) >= P95_MS:
            bad = number
    return None if bad >= last - 2 else (bad + 1) * WINDOW_S


def planned_cores(figures: Figures, sessions: int) -> float:
    """What the figures of `affectstream plan` say that roles and Kafka take with so many sessions, idling included."""
    cost = figures.cost["features"]
    return sum(cost.idle.get(role, 0.0) + cost.used(role, sessions) for role in PLANNED)


def _people(server: str, count: int, out: Path) -> Program:
    command = (sys.executable, "-m", "benchmarks.system.people", server, str(count), str(out))
    return Program(command, environment(), ROOT)


def _sleep_until(instant_s: float) -> None:
    time.sleep(max(0.0, instant_s - time.time()))


def shedding(metrics_port: int) -> int:
    """The edge's step of shedding; 0 if it does not say."""
    for line in metrics_page(metrics_port).splitlines():
        if line.startswith("affectstream_edge_shedding "):
            return int(float(line.split()[1]))
    return 0


def show(results: Results, console: Console) -> None:
    """Print the table."""
    console.print(f"[bold]system[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table(f"{results.sessions} sessions, ms", "p50", "p95", "p99", "target")
    for name, span in results.latency.items():
        table.add_row(
            f"capture to client, {name}", f"{span.p50:.1f}", f"{span.p95:.1f}", f"{span.p99:.1f}", f"p95 < {P95_MS:g}"
        )
    surge = results.surge
    if surge is not None:
        of = surge.latency
        table.add_row(f"while {surge.wanted} more came", f"{of.p50:.1f}", f"{of.p95:.1f}", f"{of.p99:.1f}", "")
    console.print(table)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in results.cpu_share.items())
    used, planned = results.used_cores, results.planned_cores
    told = [
        f"each sends {FACE_HZ} faces and {HOP_HZ} hops of speech a second; a device takes {DEVICE_US / 1e3:g} ms of it",
        f"{results.frames:,} frames came, {results.missing:,} missing; of a core: {shares}",
        f"without the clients {used:.2f} cores; planned: {planned:.2f} ({planned / used - 1:+.0%})",
        f"the clients were {results.behind_ms:.1f} ms behind (p99); partitions of each topic: {results.partitions}",
        f"ledger: {'exact at every hop' if not results.mistakes else '; '.join(results.mistakes)}",
        f"dropped: {', '.join(f'{name} {count:,}' for name, count in results.dropped.items()) or 'nothing'}",
    ]
    if surge is not None:
        refused = ", ".join(f"{count} {why}" for why, count in surge.refused.items()) or "none"
        back = f"{surge.recovery_s:.1f} s" if surge.recovery_s is not None else f"not within {SETTLE_S:g} s"
        told.append(
            f"{surge.wanted} more: {surge.admitted} admitted, refused: {refused}; furthest step {surge.shedding}; "
            f"{results.skipped:,} pictures not sent; as before after {back} (target: {RECOVERY_S:g} s)"
        )
    console.print("\n".join(told), style="dim")


def quick(plan: Plan) -> Plan:
    """A look."""
    return replace(plan, seconds=8.0, surge_s=6.0)
