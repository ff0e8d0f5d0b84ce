"""From sessions to processes, brokers, disks and network. Pure: figures in, numbers out, each with its formula."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cli.planning.figures import Figures, Kind
from schemas.topics import topic_specs

ROLES: Final = ("ingest", "face-worker", "speech-worker", "fusion", "egress", "analytics")
GROUPED: Final = ("face-worker", "speech-worker", "fusion", "egress")
"""Roles whose processes share partitions (egress: HAProxy sends it viewers by partition): no more than those."""
PARTITIONS_STEP: Final = 12
"""Many divisors: 2, 3, 4, 6 processes share alike."""
LEAST_BROKERS: Final = 3
FRAMES_A_SECOND: Final = 30
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Demand:
    """What is to be served. Numbers are of sessions at once, at the busiest hour."""

    sessions: int
    media_share: float = 0.0
    """Of sessions whose camera and microphone are analysed by the workers; the others analyse on their device."""
    viewers: float = 1.0
    """Of each session."""
    busy_share: float = 0.35
    """Mean over the day of the sessions at once, over those at the busiest hour: for what is stored."""

    def of(self, kind: Kind) -> float:
        """Sessions of a kind."""
        share = self.media_share if kind == "media" else 1.0 - self.media_share
        return self.sessions * share


@dataclass(frozen=True, slots=True)
class RolePlan:
    """One role. ``cores``: used on average; ``replicas``: processes, each with a core of its own."""

    cores: float
    replicas: int
    formula: str


@dataclass(frozen=True, slots=True)
class KafkaPlan:
    """The brokers, and what made them so many."""

    cells: int
    """Deployments side by side, each with a cluster of its own; everything else here is of all of them together."""
    partitions: int
    """Of each topic, of each cell."""
    brokers: int
    cores: float
    written_bytes_a_s: float
    """By all brokers to their disks, copies included."""
    disk_bytes: float
    """Of all brokers."""
    bound_by: str
    formula: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything. ``cores`` is the sum of what is used; ``machine_cores`` what is provided for it."""

    demand: Demand
    roles: Mapping[str, RolePlan]
    kafka: KafkaPlan
    gpus: int
    clickhouse_bytes: float
    in_bits_a_s: float
    out_bits_a_s: float
    cores: float
    machine_cores: int


def predicted_cores(figures: Figures, sessions: Mapping[Kind, float]) -> float:
    """Cores that so many sessions of each kind use, all roles and Kafka together, above what idles."""
    return sum(
        cost.used(role, sessions[kind])
        for kind, cost in figures.cost.items()
        if kind in sessions
        for role in cost.cores
    )


def make_plan(figures: Figures, demand: Demand) -> Plan:
    """Size everything for a demand."""
    used = {role: _cores(figures, demand, role) for role in ROLES}
    roles = {role: _role(figures, role, cores) for role, cores in used.items()}
    kafka = _kafka(figures, demand, max(roles[role].replicas for role in GROUPED))
    frames_a_day = demand.sessions * demand.busy_share * FRAMES_A_SECOND * DAY_S
    stored = frames_a_day * figures.limit("clickhouse_bytes_a_frame") * figures.limit("clickhouse_days")
    incoming = demand.of("media") * figures.limit("media_in_bits")
    incoming += demand.of("features") * figures.limit("features_in_bits")
    outgoing = demand.sessions * demand.viewers * FRAMES_A_SECOND * figures.limit("frame_bytes") * 8
    provided = sum(role.replicas for role in roles.values()) + kafka.brokers * round(figures.limit("broker_cores"))
    return Plan(
        demand, roles, kafka, 0, stored * figures.limit("disk_headroom"), incoming, outgoing,
        sum(used.values()) + kafka.cores, provided,
    )  # fmt: skip


def _cores(figures: Figures, demand: Demand, role: str) -> float:
    """Egress works for viewers, everything else for sessions."""
    total = sum(cost.used(role, demand.of(kind)) for kind, cost in figures.cost.items())
    return total * demand.viewers if role == "egress" else total


def _role(figures: Figures, role: str, cores: float) -> RolePlan:
    """One process uses one core; one more than needed, so that one may be lost or be replaced."""
    if cores == 0:
        return RolePlan(0.0, 0, "nothing to do")
    target, skew = figures.limit("utilisation"), figures.limit("imbalance")
    needed = math.ceil(cores * skew / target)
    # Fusion's groups and the sink are not spare for each other: they are started anew where they were.
    spare = 0 if role in {"fusion", "analytics"} else 1
    formula = f"{cores:.2f} cores x {skew:g} (imbalance) / {target:g} (utilisation)" + (" + 1 spare" if spare else "")
    return RolePlan(cores, needed + spare, formula)


def _kafka(figures: Figures, demand: Demand, processes: int) -> KafkaPlan:
    copies = figures.limit("replication")
    flow = {
        topic: sum(demand.of(kind) * volume.bytes[topic] for kind, volume in figures.volume.items())
        for topic in figures.volume["features"].bytes
    }
    written = sum(flow.values()) * copies
    # What has to be kept for days is filled by the mean, what is kept for minutes by the busiest hour.
    kept = sum(
        size * spec.retention_ms / 1_000 * (demand.busy_share if spec.retention_ms >= DAY_S * 1_000 else 1.0)
        for spec in topic_specs().values()
        if (size := flow[spec.name])
    )
    disk = kept * copies * figures.limit("disk_headroom")
    cores = sum(cost.used("kafka", demand.of(kind)) for kind, cost in figures.cost.items())
    wanted = max(PARTITIONS_STEP, processes * figures.limit("partitions_a_replica"))
    cells = math.ceil(wanted * len(topic_specs()) * copies / figures.limit("partitions_a_cluster"))
    partitions = math.ceil(wanted / cells / PARTITIONS_STEP) * PARTITIONS_STEP
    needs = {
        "copies": LEAST_BROKERS * cells,
        "processor": math.ceil(cores * copies / figures.limit("utilisation") / figures.limit("broker_cores")),
        "network and disk speed": math.ceil(written / figures.limit("broker_bytes_a_s")),
        "disk": math.ceil(disk / figures.limit("broker_disk_bytes")),
        "partitions": math.ceil(
            cells * partitions * len(topic_specs()) * copies / figures.limit("partitions_a_broker")
        ),
    }
    bound_by = max(needs, key=needs.__getitem__)
    formula = ", ".join(f"{name} {count}" for name, count in needs.items())
    return KafkaPlan(cells, partitions, needs[bound_by], cores * copies, written, disk, bound_by, formula)
