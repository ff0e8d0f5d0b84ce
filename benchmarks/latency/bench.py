"""The whole measurement: a session with the default engines, then many without models."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.bench import Progress, machine, scratch
from benchmarks.latency.broker import one_way, one_way_in_memory
from benchmarks.latency.fanout import Fanout, measure_fanout
from benchmarks.latency.session import SessionLatency, measure_session
from benchmarks.latency.stations import Percentiles
from cli import sample
from cli.profiles import EDGE, WHOLE, Profile
from cli.setup import prepare_everything
from runtime.settings import Settings
from runtime.topics import delete_topics

P50_MS: Final = 60.0
P95_MS: Final = 100.0
FANOUT_P99_MS: Final = 25.0
UNACCOUNTED_MS: Final = 2.0
EDGE_P95_MS: Final = 50.0


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    seconds: float = 60.0
    sessions: int = 100
    """Without models; 0: that part is left out."""
    fanout_seconds: float = 20.0
    profile: Profile = WHOLE
    """What runs for the one session; with ``EDGE`` also the ways through its broker are measured."""


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    session: SessionLatency
    fanout: Fanout | None
    ways: Mapping[str, Percentiles]
    """One way through a broker, by what that is."""
    target: str
    machine: str
    at: datetime

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        whole = self.session.whole
        hops = {
            f"{modality}_{hop}": {"p50": span.p50, "p95": span.p95}
            for modality, journey in self.session.journeys.items()
            for hop, span in journey.hops.items()
        }
        return {
            "p50_ms": whole.p50,
            "p95_ms": whole.p95,
            "p99_ms": whole.p99,
            "hops": hops,
            "unaccounted_ms": self.session.unaccounted.p99,
            "modalities": {name: asdict(journey.whole) for name, journey in self.session.journeys.items()},
            "frames": self.session.frames,
            "missing": self.session.missing,
            "sending_behind_ms": self.session.sending_behind_ms,
            "uses": {name: asdict(use) for name, use in self.session.uses.items()},
            "broker_ways_ms": {name: asdict(way) for name, way in self.ways.items()},
            "without_models": None if self.fanout is None else asdict(self.fanout),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, environ: Mapping[str, str], plan: Plan, progress: Progress) -> Results:
    """Measure on the Kafka that ``environ`` names, or the profile's own; AffectstreamError if a part fails.

    The edge's profile has its own broker in any case: it is a part of it.
    """
    edge = plan.profile is EDGE
    if edge:
        environ = {name: value for name, value in environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
    prepare_everything(settings, environ, progress)
    played = sample.prepare(settings, progress)
    ways: dict[str, Percentiles] = {}

    def afterwards(running: Settings) -> None:
        if edge:
            progress("one way through the broker, and through a cluster in memory")
            ways["Kafka"] = one_way(running)
            ways["librdkafka's cluster in memory"] = one_way_in_memory(running)

    with scratch(settings) as folder:
        own = settings.model_copy(update={"data_dir": folder / "edge"}) if edge else _own(settings, folder)
        try:
            session = measure_session(own, environ, plan.profile, played, plan.seconds, progress, afterwards)
        finally:
            if not edge:
                delete_topics(own)
        whole = session.whole
        progress(f"one session: p50 {whole.p50:.1f}, p95 {whole.p95:.1f}, p99 {whole.p99:.1f} ms")
        fanout = None
        if plan.sessions and not edge:
            fanout = measure_fanout(settings, plan.sessions, plan.fanout_seconds, folder, progress)
    target = f"p95 < {EDGE_P95_MS:g}" if edge else f"p50 < {P50_MS:g}, p95 < {P95_MS:g}"
    return Results(session, fanout, ways, target, machine(), datetime.now(UTC))


def _own(settings: Settings, folder: Path) -> Settings:
    """Settings with topics and a data folder of the run's own."""
    return settings.model_copy(
        update={
            "topic_prefix": f"bench-latency-{secrets.token_hex(4)}.",
            "data_dir": folder / "session",
            # Another database would get the sample's rows.
            "clickhouse_dsn": "",
        }
    )


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    session, fanout, whole = results.session, results.fanout, results.session.whole
    console.print(f"[bold]latency[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("ms", "p50", "p95", "p99", "target")
    table.add_row(
        "capture to frame at the client", f"{whole.p50:.1f}", f"{whole.p95:.1f}", f"{whole.p99:.1f}", results.target
    )
    for name, journey in session.journeys.items():
        of = journey.whole
        table.add_row(f"  {name}", f"{of.p50:.1f}", f"{of.p95:.1f}", f"{of.p99:.1f}", "")
        for hop, span in journey.hops.items():
            table.add_row(f"    {hop}", f"{span.p50:.1f}", f"{span.p95:.1f}", f"{span.p99:.1f}", "", style="dim")
    rest = session.unaccounted
    table.add_row("unaccounted for", f"{rest.p50:.2f}", f"{rest.p95:.2f}", f"{rest.p99:.2f}", f"≤ {UNACCOUNTED_MS:g}")
    for name, way in results.ways.items():
        table.add_row(f"one way through {name}", f"{way.p50:.2f}", f"{way.p95:.2f}", f"{way.p99:.2f}", "")
    told = (
        f"{session.frames:,} frames of one session, {session.missing} missing; the bench was "
        f"{session.sending_behind_ms:.1f} ms behind (p99)"
    )
    if fanout is not None:
        of = fanout.latency
        table.add_row(
            f"{fanout.sessions} sessions without models", f"{of.p50:.1f}", f"{of.p95:.1f}", f"{of.p99:.1f}",
            f"p99 < {FANOUT_P99_MS:g}",
        )  # fmt: skip
        shares = ", ".join(f"{role} took {share:.0%} of a core" for role, share in fanout.cpu_share.items())
        told += (
            f"\n{fanout.frames:,} frames of {fanout.sessions} sessions, none missing; {shares}; the bench was "
            f"{fanout.pacer_behind_ms:.1f} ms behind (p99)"
        )
    console.print(table)
    uses = Table("process", "MiB resident", "cores")
    for name, use in session.uses.items():
        uses.add_row(name, f"{use.resident_mib:.0f}", f"{use.cores:.2f}")
    of_all = session.uses.values()
    uses.add_row("in all", f"{sum(u.resident_mib for u in of_all):.0f}", f"{sum(u.cores for u in of_all):.2f}")
    console.print(uses)
    console.print(told, style="dim")
