"""What was measured, for people: a table and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from rich.console import Console
from rich.table import Table

from benchmarks.fusion.bench import PeerResult, Results

TARGETS: Final = {
    "replayed": "≥ 4,000",
    "live": "≥ 2,000",
    "floor": "≤ 3",
    "flatness": "≤ ±20 %",
    "bytewax_windows": "≥ 20",
    "quixstreams": "≥ 20",
    "kafka_streams": "≥ 3",
}


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    plan = results.plan
    console.print(f"[bold]fusion[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table("what", "measured", "spread", "target")
    cost, floor = results.cost_us(plan.reference), results.over_floor
    replayed = f"{1e6 / cost.most:,.0f} to {1e6 / cost.least:,.0f}"
    table.add_row("sessions a core, replayed", f"{1e6 / cost.median:,.0f}", replayed, TARGETS["replayed"])
    table.add_row("sessions a core, live", f"{results.live.sessions_per_core:,.0f}", "", TARGETS["live"])
    spread = f"{floor.least:.2f} to {floor.most:.2f}"
    table.add_row("CPU over the floor's", f"{floor.median:.2f}", spread, TARGETS["floor"])
    table.add_row("cost a session over sizes", f"±{results.flatness:.0%}", "", TARGETS["flatness"])
    p50, p95, p99 = results.live.latency_ms
    live = results.live
    table.add_row(
        f"live latency, {live.sessions:,} sessions", f"{p50:.0f} / {p95:.0f} / {p99:.0f} ms",
        f"pacer {live.behind_ms:.0f} ms behind", "p50 / p95 / p99",
    )  # fmt: skip
    console.print(table)

    sizes = Table("at once", "in all", "signals", "frames", "CPU s (median)", "µs a session-second", "spread")
    for size, runs in results.ours.items():
        spread_us = results.cost_us(size)
        middle = sorted(runs, key=lambda run: run.cpu_s)[len(runs) // 2]
        sizes.add_row(
            f"{size:,}", f"{middle.log.everyone:,}", f"{middle.log.signals:,}", f"{middle.log.frames:,}",
            f"{middle.cpu_s:.2f}", f"{spread_us.median:.0f}", f"{spread_us.least:.0f} to {spread_us.most:.0f}",
        )  # fmt: skip
    console.print(sizes)

    if results.peers:
        log = results.peers[0].run.log
        peers = Table(
            f"{log.sessions} sessions of {log.seconds} s", "CPU s", "times our CPU", "target", "frames lost", "values"
        )
        for peer in results.peers:
            peers.add_row(
                peer.title, f"{peer.cpu_s:.1f}", f"{peer.ratio:.1f}", TARGETS.get(peer.key, ""),
                f"{peer.run.missing:,} of {log.frames:,}", agreement(peer),
            )  # fmt: skip
        console.print(peers)
    for key, why in results.unavailable.items():
        console.print(f"{key}: {why}")


def write_up(results: Results) -> str:
    """The figures as a page in Markdown."""
    cost, floor, live = results.cost_us(results.plan.reference), results.over_floor, results.live
    p50, p95, p99 = live.latency_ms
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    rows = [
        ("what", "measured", "least to most", "target"),
        ("---",) * 4,
        (
            "sessions a core, replayed", f"{1e6 / cost.median:,.0f}",
            f"{1e6 / cost.most:,.0f} to {1e6 / cost.least:,.0f}", TARGETS["replayed"],
        ),
        (f"sessions a core, live ({live.sessions:,})", f"{live.sessions_per_core:,.0f}", "", TARGETS["live"]),
        (
            "CPU over that of librdkafka alone", f"{floor.median:.2f}", f"{floor.least:.2f} to {floor.most:.2f}",
            TARGETS["floor"],
        ),
        ("a session's cost over sizes", f"±{results.flatness:.0%}", "", TARGETS["flatness"]),
        ("live, closing signal to frame: p50, p95, p99", f"{p50:.0f}, {p95:.0f}, {p99:.0f} ms", "", ""),
    ]  # fmt: skip
    sizes = [("sessions at once", "in all", "µs of CPU a session-second", "least to most"), ("---",) * 4]
    for size, runs in results.ours.items():
        each = results.cost_us(size)
        spread = f"{each.least:.0f} to {each.most:.0f}"
        sizes.append((f"{size:,}", f"{runs[0].log.everyone:,}", f"{each.median:.0f}", spread))
    lines = [
        "# Fusion: figures",
        "",
        f"Written by `affectstream bench fusion --save` on {results.at:%Y-%m-%d} ({results.machine}; {versions}).",
        "How they are taken: [performance.md](performance.md).",
        "",
        *_markdown(rows),
        "",
        "![sessions against cores](fusion-scaling.png)",
        "",
        *_markdown(sizes),
        "",
        f"Every session lasts {results.plan.seconds} s; its start and its end are in the figures.",
    ]
    if results.peers:
        log = results.peers[0].run.log
        peers = [("peer", "CPU seconds", "times ours", "target", "frames lost", "values"), ("---",) * 6]
        for peer in results.peers:
            figures = (f"{peer.cpu_s:.1f}", f"{peer.ratio:.1f}", TARGETS.get(peer.key, ""), f"{peer.run.missing:,}")
            peers.append((peer.title, *figures, agreement(peer)))
        length = f"{log.sessions} sessions of {log.seconds} s"
        lines += ["", f"The same {log.signals:,} signals ({length}) into {log.frames:,} frames:", "", *_markdown(peers)]
    lines += [f"\n{key} could not be run: {why}" for key, why in results.unavailable.items()]
    return "\n".join(lines) + "\n"


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in rows]


def agreement(peer: PeerResult) -> str:
    """Whether a peer's values are ours, in words."""
    if peer.difference is None:
        return "not comparable: frames are lost"
    if peer.difference.differing == 0:
        return "equal"
    return f"{peer.difference.differing:,} differ by {peer.difference.largest_step} step"


def draw(results: Results, path: Path) -> None:
    """The scaling curve: processor time against sessions, beside the floor and the peers, as a PNG."""
    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(figsize=(9.0, 4.5), layout="constrained")
    sizes = sorted(results.ours)
    cores = [results.cost_us(size).median * size / 1e6 for size in sizes]
    axes.plot(sizes, cores, "o-", color="#1a7f5a", label="affectstream, measured")
    span = [sizes[0], sizes[-1]]
    floor = [run.us_a_session_second for run in results.floor]
    floor_us = sorted(floor)[len(floor) // 2]
    axes.plot(span, [floor_us * size / 1e6 for size in span], "--", color="#777777", label="librdkafka alone, by rate")
    colours = iter(("#c0504d", "#8064a2", "#4f81bd", "#e08e2b"))
    for peer in results.peers:
        if peer.difference is not None:
            rate = peer.cpu_s / peer.run.log.session_seconds
            axes.plot(span, [rate * size for size in span], ":", color=next(colours), label=f"{peer.title}, by rate")
    axes.set(xscale="log", yscale="log", xlabel="sessions (30 face and 25 speech signals a second each)",
             ylabel="cores needed to keep up")  # fmt: skip
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axes.set_title(f"Fusion: {results.machine}, {results.at:%Y-%m-%d}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
