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
from benchmarks.latency.fanout import Fanout, measure_fanout
from benchmarks.latency.session import SessionLatency, measure_session
from cli import sample
from cli.setup import prepare_everything
from runtime.settings import Settings
from runtime.topics import delete_topics

P50_MS: Final = 60.0
P95_MS: Final = 100.0
FANOUT_P99_MS: Final = 25.0
UNACCOUNTED_MS: Final = 2.0


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    seconds: float = 60.0
    sessions: int = 100
    """Without models; 0: that part is left out."""
    fanout_seconds: float = 20.0


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    session: SessionLatency
    fanout: Fanout | None
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
            "without_models": None if self.fanout is None else asdict(self.fanout),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def measure(settings: Settings, environ: Mapping[str, str], plan: Plan, progress: Progress) -> Results:
    """Measure both on the Kafka that ``settings`` names; AffectstreamError if a part fails or its frames are wrong."""
    prepare_everything(settings, environ, progress)
    played = sample.prepare(settings, progress)
    with scratch(settings) as folder:
        own = _own(settings, folder)
        try:
            session = measure_session(own, environ, played, plan.seconds, progress)
        finally:
            delete_topics(own)
        whole = session.whole
        progress(f"one session: p50 {whole.p50:.1f}, p95 {whole.p95:.1f}, p99 {whole.p99:.1f} ms")
        fanout = None
        if plan.sessions:
            fanout = measure_fanout(settings, plan.sessions, plan.fanout_seconds, folder, progress)
    return Results(session, fanout, machine(), datetime.now(UTC))


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
    target = f"p50 < {P50_MS:g}, p95 < {P95_MS:g}"
    table.add_row("capture to frame at the client", f"{whole.p50:.1f}", f"{whole.p95:.1f}", f"{whole.p99:.1f}", target)
    for name, journey in session.journeys.items():
        of = journey.whole
        table.add_row(f"  {name}", f"{of.p50:.1f}", f"{of.p95:.1f}", f"{of.p99:.1f}", "")
        for hop, span in journey.hops.items():
            table.add_row(f"    {hop}", f"{span.p50:.1f}", f"{span.p95:.1f}", f"{span.p99:.1f}", "", style="dim")
    rest = session.unaccounted
    table.add_row("unaccounted for", f"{rest.p50:.2f}", f"{rest.p95:.2f}", f"{rest.p99:.2f}", f"≤ {UNACCOUNTED_MS:g}")
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
    console.print(told, style="dim")
