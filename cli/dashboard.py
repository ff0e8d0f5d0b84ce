"""The demo's terminal view: what runs, how much flows, how late it is, what is dropped. Fits 80 columns.

:class:`Flow` turns readings of the roles' metrics into rates and latencies of the last seconds, and is pure; the rest
draws it.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.supervisor import Child
from cli.telemetry import Samples, quantile, since
from schemas.topics import topic_specs
from schemas.vocabulary import Modality, Outcome

WINDOW_S: Final = 5.0
"""Rates and latencies are those of so many seconds."""

WIDTH: Final = 80
STATE_STYLES: Final = {"ready": "green", "starting": "yellow", "waiting": "red", "stopped": "dim"}
STATE_WORDS: Final = {"ready": "● ready", "starting": "◌ starting", "waiting": "✕ restarting", "stopped": "○ stopped"}
SPANS: Final = (
    ("→ received", "captured_to_received"),
    ("→ in Kafka", "received_to_ingested"),
    ("→ at worker", "ingested_to_consumed"),
    ("→ inferred", "consumed_to_inferred"),
    ("→ fused", "inferred_to_fused"),
    ("in all", "captured_to_relayed"),
)
"""Spans of egress's ``hop_seconds``, each with a modality before it, and what the view calls them."""

SHORT_REASONS: Final[Mapping[str, str]] = {
    Outcome.REPLACED_BY_NEWER.value: "replaced",
    Outcome.BROKER_UNAVAILABLE.value: "no broker",
    Outcome.UNKNOWN_SESSION.value: "no session",
}
"""Reasons for which there is no room."""

Readings = Mapping[str, Samples]


@dataclass(frozen=True, slots=True)
class TopicFlow:
    """Records of one topic: written in all, and a second lately."""

    topic: str
    total: float
    per_s: float


@dataclass(frozen=True, slots=True)
class HopLatency:
    """Seconds from one stamp to another, of the last few seconds; None: nothing passed."""

    hop: str
    p50_s: float | None
    p95_s: float | None


class Flow:
    """The last seconds of every role's metrics."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, Readings]] = deque()

    def add(self, now_s: float, readings: Readings) -> None:
        """Add readings taken at ``now_s``; forgets what lies further back than the window."""
        self._history.append((now_s, readings))
        while len(self._history) > 2 and self._history[1][0] <= now_s - WINDOW_S:
            self._history.popleft()

    def topics(self) -> Sequence[TopicFlow]:
        """Every session topic, in the order of ``topics.yaml``."""
        if not self._history:
            return []
        (then_s, before), (now_s, now) = self._history[0], self._history[-1]
        flows = []
        for topic in topic_specs():
            written = {role: samples.total("records_out_total", topic=topic) for role, samples in now.items()}
            # A role that restarted begins anew: what it has counted since is what it wrote.
            recent = sum(
                count - earlier if count >= (earlier := before[role].total("records_out_total", topic=topic)) else count
                for role, count in written.items()
            )
            flows.append(TopicFlow(topic, sum(written.values()), recent / (now_s - then_s) if now_s > then_s else 0.0))
        return flows

    def latencies(self) -> Sequence[HopLatency]:
        """Every hop that a role reports, alphabetically."""
        if not self._history:
            return []
        before, now = self._history[0][1], self._history[-1][1]
        hops = sorted({labels["hop"] for samples in now.values() for labels, _ in samples.series("hop_seconds_count")})
        result = []
        for hop in hops:
            merged: dict[float, float] = {}
            for role, samples in now.items():
                recent = since(samples.buckets("hop_seconds", hop=hop), before[role].buckets("hop_seconds", hop=hop))
                for bound, count in recent.items():
                    merged[bound] = merged.get(bound, 0.0) + count
            merged = dict(sorted(merged.items()))
            result.append(HopLatency(hop, quantile(merged, 0.5), quantile(merged, 0.95)))
        return result

    def drops(self) -> Mapping[tuple[str, str], float]:
        """Items dropped so far by modality and reason."""
        found: dict[tuple[str, str], float] = {}
        for samples in (self._history[-1][1] if self._history else {}).values():
            for labels, value in samples.series("dropped_total"):
                key = labels["modality"], labels["outcome"]
                found[key] = found.get(key, 0.0) + value
        return found

    def sessions(self) -> int:
        """Sessions that the edge holds now."""
        return int(self._history[-1][1]["ingest"].total("sessions_active")) if self._history else 0

    def clients(self) -> int:
        """Clients that receive frames now."""
        return int(self._history[-1][1]["egress"].total("clients_connected")) if self._history else 0


def render(page_url: str, up_s: float, children: Mapping[str, Child], flow: Flow) -> RenderableType:
    """The whole view."""
    title = Text.assemble(("affectstream ", "bold"), (page_url, "cyan underline"))
    status = Text.assemble(
        ("up ", "dim"), f"{int(up_s) // 60:02d}:{int(up_s) % 60:02d}",
        ("   sessions ", "dim"), str(flow.sessions()),
        ("   clients ", "dim"), str(flow.clients()),
    )  # fmt: skip
    body = Group(
        status,
        Text(),
        Columns([_roles(children), _topics(flow)], padding=(0, 3)),
        Text(),
        Columns([_latencies(flow), _drops(flow)], padding=(0, 3)),
    )
    return Panel(body, title=title, subtitle=Text("Ctrl-C stops everything", "dim"), width=WIDTH, padding=(0, 1))


def terminal_fits(console: Console) -> bool:
    """Whether the view can be redrawn in place."""
    return console.is_terminal and console.width >= WIDTH


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _roles(children: Mapping[str, Child]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("role", no_wrap=True)
    table.add_column("health", no_wrap=True, min_width=12)
    table.add_column("restarts", justify="right")
    for name, child in children.items():
        restarts = Text(str(child.restarts), "yellow" if child.restarts else "dim")
        table.add_row(name, Text(STATE_WORDS[child.state], STATE_STYLES[child.state]), restarts)
    return table


def _topics(flow: Flow) -> Table:
    table = _table("topic", "records/s", "all")
    for topic in flow.topics():
        style = "" if topic.per_s > 0 else "dim"
        table.add_row(topic.topic, f"{topic.per_s:.1f}", f"{topic.total:.0f}", style=style)
    return table


def _latencies(flow: Flow) -> Table:
    """One row a station on the way of a sample, each the time since the station before; the whole way below."""
    found = {hop.hop: hop for hop in flow.latencies()}
    table = _table("latency, ms", "face p50", "p95", "voice p50", "p95")
    for label, span in SPANS:
        cells = []
        for modality in ("face", "speech"):
            hop = found.get(f"{modality}_{span}")
            cells += ["-", "-"] if hop is None else [_ms(hop.p50_s), _ms(hop.p95_s)]
        table.add_row(label, *cells, style="bold" if label == "in all" else "")
    return table


def _drops(flow: Flow) -> Table:
    table = _table("dropped", "items")
    for (modality, reason), count in sorted(flow.drops().items(), key=lambda item: -item[1])[:6]:
        table.add_row(_drop_words(modality, reason), f"{count:.0f}")
    if not table.row_count:
        table.add_row(Text("nothing", "green"), "")
    return table


def _drop_words(modality: str, reason: str) -> str:
    """At most 18 characters, so that both lower tables stand side by side in 80 columns."""
    words = SHORT_REASONS.get(reason, reason.replace("_", " "))
    return f"{'voice' if modality == Modality.SPEECH.value else modality} {words}".strip()


def _ms(seconds: float | None) -> str:
    """At most five characters below 100 s."""
    if seconds is None:
        return "-"
    return f"{seconds * 1_000:.1f}" if seconds < 0.9995 else f"{seconds * 1_000:.0f}"
