"""A day of a plan in which processes, machines and brokers fail: what viewers see, and what breaks first. Pure.

Discrete events on a heap: something fails, comes back, has caught up. Between events everything is linear. A process
that stands still for ``d`` seconds has ``d`` seconds of work waiting; it then works ``catch_up`` times as fast as the
work comes, and its sessions' frames are late by what still waits. Sessions are hashed to partitions, so that some
processes hold more than others: that is drawn, not assumed. Frames themselves are not simulated: at 30 million a second
they would tell nothing that these lines do not.
"""

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.planning.figures import Figures
from cli.planning.sizing import ROLES, Plan

DAY_S: Final = 86_400.0
BASE_MS: Final = 40.0
"""Capture to client when nothing is wrong: the median of `bench latency`."""
LATE_MS: Final = 100.0
GONE_MS: Final = 1_000.0
ZONES: Final = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of failure: what stands still, how often one unit of it fails, and for how long."""

    name: str
    units: int
    sessions_a_unit: float
    mean_days: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a kind of failure did in the time simulated."""

    name: str
    failures: int
    late_share: float
    """Of all session-seconds: frames later than 100 ms for this reason."""
    gone_share: float
    """Later than a second: the avatar visibly stands still."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole simulation."""

    days: float
    events: int
    outcomes: Sequence[Outcome]
    late_share: float
    gone_share: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    """Over session-seconds."""
    first: Sequence[tuple[str, float]]
    """Roles by the demand, over the planned one, at which their fullest process is full; the first one breaks first."""

    def without_a_zone(self) -> list[tuple[str, float]]:
        """The share of its core that each role's fullest process needs when a third of everything is gone at once."""
        return [(name, ZONES / (ZONES - 1) / factor) for name, factor in self.first]


@dataclass(slots=True)
class _Latency:
    """Session-seconds by extra latency, ms, in bins a factor of 1.1 apart."""

    bins: dict[int, float] = field(default_factory=dict)

    def line(self, from_s: float, to_s: float, weight: float, lasted_s: float) -> None:
        """Latency that goes from one value to another while ``lasted_s`` pass, for ``weight`` sessions."""
        steps = 16
        for step in range(steps):
            extra_ms = 1e3 * (from_s + (to_s - from_s) * (step + 0.5) / steps)
            at = math.floor(math.log(max(extra_ms, 0.1)) / math.log(1.1))
            self.bins[at] = self.bins.get(at, 0.0) + weight * lasted_s / steps

    def beyond(self, extra_ms: float) -> float:
        """Session-seconds with more extra latency than this."""
        return sum(weight for at, weight in self.bins.items() if 1.1**at >= extra_ms)

    def quantile(self, q: float, total: float) -> float:
        """The extra latency, ms, that a share ``q`` of ``total`` session-seconds does not exceed; 0 for undisturbed."""
        rest = (1.0 - q) * total
        for at in sorted(self.bins, reverse=True):
            rest -= self.bins[at]
            if rest < 0:
                return float(1.1**at)
        return 0.0


def failures_of(plan: Plan, figures: Figures) -> list[Failure]:
    """The kinds of failure that the plan's parts have."""
    sessions = plan.demand.sessions
    recovery = {name: figure.value for name, figure in figures.recovery.items()}
    found = []
    for name in ("ingest", "face-worker", "speech-worker", "fusion", "egress"):
        role = plan.roles[name]
        if not role.replicas:
            continue
        served = plan.demand.of("media") if "worker" in name else sessions
        # A crashed worker comes back under its own name before its group gives its partitions away.
        found.append(
            Failure(
                f"{name} crashes", role.replicas, served / role.replicas, recovery["crash_days"], recovery["restart_s"]
            )
        )
        stall_s = recovery["regroup_s"] if "worker" in name else recovery["reschedule_s"]
        if name in {"ingest", "egress"}:
            stall_s = recovery["restart_s"]  # clients connect to another replica
        nodes = max(1, math.ceil(role.replicas / recovery["node_cores"]))
        found.append(Failure(f"a machine of {name} is lost", nodes, served / nodes, recovery["node_days"], stall_s))
    found.append(
        Failure(
            "a broker is lost", plan.kafka.brokers, sessions / plan.kafka.brokers, recovery["node_days"],
            recovery["election_s"],
        )
    )  # fmt: skip
    return found


def simulate(plan: Plan, figures: Figures, *, days: float = 1.0, seed: int = 1) -> Report:
    """Run ``days`` of the plan at its full demand, from early to late, with one seed: the same report each time."""
    rng = random.Random(seed)
    catch_up = figures.recovery["catch_up"].value
    total = plan.demand.sessions * days * DAY_S
    every, outcomes, events = _Latency(), [], 0
    for failure in failures_of(plan, figures):
        own = _Latency()
        count = 0
        for from_s, to_s, weight, lasted_s in _course(failure, days * DAY_S, catch_up, rng):
            count += lasted_s >= 0 and from_s < to_s
            for latency in (own, every):
                latency.line(from_s, to_s, weight, lasted_s)
            events += 1
        late, gone = own.beyond(LATE_MS - BASE_MS) / total, own.beyond(GONE_MS - BASE_MS) / total
        outcomes.append(Outcome(failure.name, count, late, gone))
    p50_ms, p99_ms, p999_ms = (BASE_MS + every.quantile(q, total) for q in (0.5, 0.99, 0.999))
    late, gone = every.beyond(LATE_MS - BASE_MS) / total, every.beyond(GONE_MS - BASE_MS) / total
    ordered = sorted(outcomes, key=lambda outcome: -outcome.gone_share)
    return Report(days, events, ordered, late, gone, p50_ms, p99_ms, p999_ms, breaks_first(plan, rng))


def _course(
    failure: Failure, until_s: float, catch_up: float, rng: random.Random
) -> Iterator[tuple[float, float, float, float]]:
    """Stretches of (latency at its begin, at its end, sessions, seconds) of one kind's units, in the order of time.

    A unit that fails while it catches up begins its stall with what waits still.
    """
    heap: list[tuple[float, int]] = []
    behind: dict[int, tuple[float, float]] = {}
    """By unit: since when it works again, and what waited then, s."""
    mean_s = failure.mean_days * DAY_S
    for unit in range(failure.units):
        heapq.heappush(heap, (rng.expovariate(1.0 / mean_s), unit))
    while heap and heap[0][0] < until_s:
        at_s, unit = heapq.heappop(heap)
        since_s, waited_s = behind.pop(unit, (at_s, 0.0))
        # While it catches up, `catch_up` seconds of work are done in each second and one comes.
        left_s = max(0.0, waited_s - (at_s - since_s) * (catch_up - 1.0))
        if waited_s:
            drained_s = (waited_s - left_s) / (catch_up - 1.0)
            yield waited_s, left_s, failure.sessions_a_unit, drained_s
        stall_s = failure.stall_s * rng.uniform(0.5, 1.5)
        yield left_s, left_s + stall_s, failure.sessions_a_unit, stall_s
        behind[unit] = at_s + stall_s, left_s + stall_s
        heapq.heappush(heap, (at_s + stall_s + rng.expovariate(1.0 / mean_s), unit))
    for _, waited_s in behind.values():
        yield waited_s, 0.0, failure.sessions_a_unit, waited_s / (catch_up - 1.0)


def breaks_first(plan: Plan, rng: random.Random) -> list[tuple[str, float]]:
    """Each role with the demand, over the planned, at which the fullest of its processes has no core left."""
    found = []
    for name in ROLES:
        role = plan.roles[name]
        if not role.replicas:
            continue
        share = role.cores / role.replicas
        fullest = share * _fullest(plan, name, role.replicas, rng)
        found.append((name, 1.0 / fullest))
    kafka = plan.kafka
    provided = plan.machine_cores - sum(role.replicas for role in plan.roles.values())
    found.append(("kafka's processors", provided / kafka.cores if kafka.cores else math.inf))
    return sorted(found, key=lambda entry: entry[1])


def _fullest(plan: Plan, name: str, replicas: int, rng: random.Random) -> float:
    """The fullest replica's share over the mean: sessions fall into partitions at random, partitions to replicas."""
    partitions = plan.kafka.partitions * plan.kafka.cells
    if name in {"ingest", "egress"}:
        return 1.25  # a balancer by connections keeps them within so much: hash-balance-factor
    if name == "analytics":
        return 1.0
    mean = plan.demand.sessions / partitions
    # A partition's sessions are Poisson; of many, that is normal.
    loads = [max(0.0, rng.gauss(mean, math.sqrt(mean))) for _ in range(partitions)]
    shares = [sum(loads[index::replicas]) for index in range(min(replicas, partitions))]
    return max(shares) / (sum(shares) / replicas) if sum(shares) else 1.0


def as_mapping(report: Report) -> Mapping[str, object]:
    """For JSON."""
    return {
        "days": report.days,
        "late_share": report.late_share,
        "gone_share": report.gone_share,
        "p50_ms": report.p50_ms,
        "p99_ms": report.p99_ms,
        "p999_ms": report.p999_ms,
        "failures": [
            {"what": o.name, "times": o.failures, "late_share": o.late_share, "gone_share": o.gone_share}
            for o in report.outcomes
        ],
        "without_a_zone": [{"what": name, "fullest": round(share, 3)} for name, share in report.without_a_zone()],
        "breaks_first": [{"what": name, "at_demand": round(factor, 3)} for name, factor in report.first],
    }
