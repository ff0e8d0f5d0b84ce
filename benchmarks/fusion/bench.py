"""The whole comparison: which runs are made, and what they say together."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Progress, machine, scratch
from benchmarks.fusion.contestants import Contestant, contestants
from benchmarks.fusion.frames import Difference, Frames, compare
from benchmarks.fusion.live import Live, run_live
from benchmarks.fusion.measure import Run, Spread, run_recorded
from benchmarks.fusion.signals import RecordedLog, session_ids
from benchmarks.processes import CandidateError
from runtime.errors import PrerequisiteError
from runtime.settings import Settings
from schemas.bulk import derive_layout
from schemas.codec import Codec
from schemas.records import AvatarFrame

REFERENCE: Final = 1_000
"""Sessions of the log by which cost and floor are compared."""
PEERS: Final = ("bytewax_windows", "quixstreams", "kafka_streams", "pyflink")
BYTEWAX_SHORT_WAIT_S: Final = 0.12
"""What fusion waits; Bytewax's event clock loses windows with it."""
TOLERANCE_STEPS: Final = 1
"""A peer's values may differ by one step of their quantisation: other mathematical libraries round otherwise."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sizes: Sequence[int] = (100, REFERENCE, 10_000)
    """Sessions of each recorded log."""
    seconds: int = 10
    """Length of every session: as long at every size, so that starts and ends weigh the same."""
    session_seconds: int = 30_000
    """That a recorded log holds at least: few sessions are followed by others until it does."""
    repeats: int = 3
    live_sessions: int = 1_000
    live_seconds: float = 20.0
    peers: Sequence[str] = PEERS
    peer_sessions: int = 200
    peer_seconds: int = 30
    bytewax_wait_s: float = 240.0
    """Longer than Bytewax takes, so that it loses nothing; its windows then close with the sessions' ends."""

    def quick(self) -> "Plan":
        """A few seconds of everything: shows that it works, and roughly how it stands."""
        return replace(
            self, sizes=(20, 100), session_seconds=2_000, repeats=1, live_sessions=50, live_seconds=4.0,
            peer_sessions=20, peer_seconds=6,
        )  # fmt: skip

    def changed(self, changes: Mapping[str, Any]) -> "Plan":
        """With some fields set otherwise."""
        return replace(self, **changes)

    @property
    def reference(self) -> int:
        """The size by which cost and floor are compared."""
        return min(self.sizes, key=lambda size: abs(size - REFERENCE))

    def log(self, sessions: int) -> RecordedLog:
        """The recorded log of this many sessions."""
        generations = max(1, math.ceil(self.session_seconds / (sessions * self.seconds)))
        return RecordedLog(sessions, self.seconds, generations=generations)


@dataclass(frozen=True)
class PeerResult:
    """What a peer's run says."""

    key: str
    title: str
    run: Run
    cpu_s: float
    """That counts: see Contestant.warms_up."""
    ratio: float
    """Its processor time over ours for the same log."""
    difference: Difference | None
    """None if it lost frames: later ones of the session then differ, too."""


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    plan: Plan
    machine: str
    at: datetime
    versions: Mapping[str, str]
    ours: Mapping[int, Sequence[Run]]
    """By sessions."""
    floor: Sequence[Run]
    live: Live
    peers: Sequence[PeerResult]
    unavailable: Mapping[str, str]
    """Peers that could not be run, and why."""

    def cost_us(self, sessions: int) -> Spread:
        """Processor time in µs of a second of one session."""
        return Spread.of([run.us_a_session_second for run in self.ours[sessions]])

    @property
    def over_floor(self) -> Spread:
        """Our cost over the floor's, of runs made one after the other."""
        ours = self.ours[self.plan.reference]
        return Spread.of([a.cpu_s / b.cpu_s for a, b in zip(ours, self.floor, strict=True)])

    @property
    def flatness(self) -> float:
        """Largest deviation of a session's cost from that at the reference size: 0.2 is 20 %."""
        base = self.cost_us(self.plan.reference).median
        return max(abs(self.cost_us(size).median / base - 1.0) for size in self.ours)

    def keys(self) -> dict[str, Any]:
        """For machines."""
        reference = self.ours[self.plan.reference]
        cost = self.cost_us(self.plan.reference)
        signals = reference[0].log.signals
        found: dict[str, Any] = {
            "sessions_per_core": round(1e6 / cost.median),
            "sessions_per_core_live": round(self.live.sessions_per_core),
            "over_floor": round(self.over_floor.median, 2),
            "cpu_s_per_million_signals": round(statistics.median(run.cpu_s for run in reference) / signals * 1e6, 3),
            "flatness": round(self.flatness, 3),
            "spread": {
                "sessions_per_core": [round(1e6 / cost.most), round(1e6 / cost.least)],
                "over_floor": [round(self.over_floor.least, 2), round(self.over_floor.most, 2)],
            },
            "us_a_session_second": {str(size): round(self.cost_us(size).median, 1) for size in self.ours},
            "start_s": round(statistics.median(run.start_s for run in reference), 2),
            "live": {
                "sessions": self.live.sessions,
                "cpu_share": round(self.live.cpu_share, 3),
                "p50_ms": round(self.live.latency_ms[0], 1),
                "p95_ms": round(self.live.latency_ms[1], 1),
                "p99_ms": round(self.live.latency_ms[2], 1),
                "pacer_behind_p99_ms": round(self.live.behind_ms, 1),
            },
            "peers": {},
            "unavailable": dict(self.unavailable),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="seconds"),
            "versions": dict(self.versions),
        }
        for peer in self.peers:
            found["peers"][peer.title] = {
                "cpu_s": round(peer.cpu_s, 2),
                "whole_cpu_s": round(peer.run.cpu_s, 2),
                "ratio": round(peer.ratio, 1),
                "frames": peer.run.log.frames,
                "lost": peer.run.missing,
                "largest_step": None if peer.difference is None else peer.difference.largest_step,
                "differing_frames": None if peer.difference is None else peer.difference.differing,
            }
            if peer.difference is not None:
                found[f"vs_{peer.key}"] = round(peer.ratio, 1)
        return found


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Make every run. Takes minutes; raises CandidateError if a result is wrong."""
    ours = contestants(b"", plan.bytewax_wait_s)["ours"]
    ours.prepare(settings.cache_dir, progress)
    with scratch(settings) as directory:
        recorded: dict[int, list[Run]] = {}
        floors: list[Run] = []
        for size in sorted(plan.sizes):
            log = plan.log(size)
            recorded[size] = []
            for number in range(1, plan.repeats + 1):
                progress(f"ours: {log.generations} x {size:,} sessions, flat out, {number} of {plan.repeats}")
                run = _complete(ours, settings, log, directory)
                recorded[size].append(run)
                if size == plan.reference:
                    progress(f"the floor: the same log, {number} of {plan.repeats}")
                    floor = contestants(bytes(frame_bytes()), 0.0)["floor"]
                    floors.append(run_recorded(floor, settings, log, directory)[0])
        progress(f"ours: {plan.live_sessions:,} sessions in real time for {plan.live_seconds:g} s")
        live = run_live(settings, plan.live_sessions, plan.live_seconds, directory)
        peers, unavailable = _peers(settings, plan, directory, progress)
    return Results(
        plan=plan,
        machine=machine(),
        at=datetime.now(UTC),
        versions={name: version(name) for name in ("affectstream", "bytewax", "confluent-kafka", "numba", "numpy")},
        ours=recorded,
        floor=floors,
        live=live,
        peers=peers,
        unavailable=unavailable,
    )


def frame_bytes() -> int:
    """Length of a frame's value with a sequence from 64 to 8,191."""
    body = derive_layout("AvatarFrame", Codec().prefix(AvatarFrame)).dtype.itemsize
    return body + 2 + 1 + len(session_ids(1)[0])


def _complete(contestant: Contestant, settings: Settings, log: RecordedLog, directory: Path) -> Run:
    run, _ = run_recorded(contestant, settings, log, directory)
    if run.missing:
        raise CandidateError(f"{contestant.title}: {run.missing} of {log.frames} frames are missing")
    return run


def _peers(
    settings: Settings, plan: Plan, directory: Path, progress: Progress
) -> tuple[list[PeerResult], dict[str, str]]:
    """Each wanted peer against us on one log, values compared."""
    everyone = contestants(b"", plan.bytewax_wait_s)
    log = RecordedLog(plan.peer_sessions, plan.peer_seconds)
    results: list[PeerResult] = []
    unavailable: dict[str, str] = {}
    if not plan.peers:
        return results, unavailable
    costs = []
    right: Frames | None = None
    for number in range(1, plan.repeats + 1):
        progress(f"ours on the peers' log: {log.sessions} sessions of {log.seconds} s, {number} of {plan.repeats}")
        run, frames = run_recorded(everyone["ours"], settings, log, directory)
        if run.missing:
            raise CandidateError(f"ours: {run.missing} of {log.frames} frames are missing")
        costs.append(run.cpu_s)
        right = frames
    assert right is not None
    cost = statistics.median(costs)
    for key in plan.peers:
        variants = [everyone[key]]
        if key == "bytewax_windows":
            variants.insert(0, contestants(b"", BYTEWAX_SHORT_WAIT_S)[key])
        try:
            everyone[key].prepare(settings.cache_dir, progress)
        except PrerequisiteError as error:
            unavailable[key] = str(error)
            continue
        for peer in variants:
            progress(f"{peer.title}: the same log")
            run, frames = run_recorded(peer, settings, log, directory)
            assert frames is not None
            counted = run.steady_cpu_s if peer.warms_up else run.cpu_s
            difference = None if run.missing else checked(peer.title, compare(right, frames))
            results.append(PeerResult(key, peer.title, run, counted, counted / cost, difference))
    return results, unavailable


def checked(title: str, difference: Difference) -> Difference:
    """Raise CandidateError if a peer's values are not ours."""
    if difference.unequal or difference.largest_step > TOLERANCE_STEPS:
        msg = (
            f"{title}: flags of {difference.unequal} frames differ, values by up to {difference.largest_step} steps "
            f"in {difference.differing} of {difference.compared} frames: it does not do the same work"
        )
        raise CandidateError(msg)
    return difference
