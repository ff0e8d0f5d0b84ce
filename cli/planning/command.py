"""How a plan is shown."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from cli.planning.figures import FILE, Figures
from cli.planning.simulation import ZONES, Report, as_mapping
from cli.planning.sizing import Plan


def show(plan: Plan, figures: Figures, console: Console) -> None:
    """Print the plan, what each number was made of, and where the figures are from."""
    demand = plan.demand
    console.print(
        f"[bold]{demand.sessions:,} sessions at once[/], {demand.media_share:.0%} of them with media to analyse, "
        f"{demand.viewers:g} viewer{'s' * (demand.viewers != 1)} each"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("", "cores used", "processes", "how"):
        table.add_column(column, justify="left" if column in {"", "how"} else "right", no_wrap=column != "how")
    for name, role in plan.roles.items():
        table.add_row(name, f"{role.cores:,.2f}", f"{role.replicas:,}", role.formula)
    kafka = plan.kafka
    how = f"{kafka.formula}: bound by {kafka.bound_by}"
    table.add_row("kafka", f"{kafka.cores:,.2f}", f"{kafka.brokers:,} brokers", how)
    console.print(table)
    console.print(
        f"\ncells        {kafka.cells}{': deployments side by side, each with its own Kafka' * (kafka.cells > 1)}\n"
        f"partitions   {kafka.partitions:,} in every topic of a cell, decided once\n"
        f"cores        {plan.cores:,.1f} used, {plan.machine_cores:,} provided\n"
        f"GPUs         {plan.gpus}: the default engines run on the CPU, and no other is measured\n"
        f"Kafka        writes {_bytes(kafka.written_bytes_a_s)}/s with all copies, {_bytes(kafka.disk_bytes)} of disk\n"
        f"ClickHouse   {_bytes(plan.clickhouse_bytes)} for {figures.limit('clickhouse_days'):g} days, one copy\n"
        f"network      {_bits(plan.in_bits_a_s)} in, {_bits(plan.out_bits_a_s)} out, at the edge",
        highlight=False,
    )
    sources = sorted({f"{kind}: {cost.source}" for kind, cost in figures.cost.items()})
    console.print(f"\n[dim]costs: {'; '.join(sources)}\nevery figure with its source: {FILE}[/]", soft_wrap=True)


def show_simulation(report: Report, console: Console) -> None:
    """Print what a time of failures did."""
    failures = sum(outcome.failures for outcome in report.outcomes)
    console.print(
        f"\n[bold]{report.days:g} day{'s' * (report.days != 1)} with failures[/]: {failures:,} of them; "
        f"p50 {report.p50_ms:.0f} ms, p99 {report.p99_ms:.0f} ms, p99.9 {report.p999_ms:,.0f} ms; "
        f"{report.late_share:.4%} of session time later than 100 ms, {report.gone_share:.4%} later than a second"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("what fails", "times", "late", "stands still"):
        table.add_column(column, justify="left" if column == "what fails" else "right")
    for outcome in report.outcomes:
        table.add_row(outcome.name, f"{outcome.failures:,}", f"{outcome.late_share:.4%}", f"{outcome.gone_share:.4%}")
    console.print(table)
    first, factor = report.first[0]
    rest = ", ".join(f"{name} at {other:.2f}" for name, other in report.first[1:])
    console.print(
        f"\nas demand grows, [bold]{first}[/] breaks first, at {factor:.2f} times the planned; then {rest}",
        soft_wrap=True,
    )
    role, share = report.without_a_zone()[0]
    verdict = "carried" if share <= 1 else "not carried: frames would be late until there are more"
    console.print(
        f"with one of {ZONES} zones lost, the fullest process of {role} needs {share:.0%} of its core: {verdict}",
        soft_wrap=True,
    )


def as_json(plan: Plan, report: Report | None) -> str:
    """One JSON object."""
    found = asdict(plan)
    if report is not None:
        found["simulation"] = as_mapping(report)
    return json.dumps(found)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1_000:
            return f"{size:,.1f} {unit}"
        size /= 1_000
    return f"{size:,.1f} PB"


def _bits(rate: float) -> str:
    return _bytes(rate).replace("B", "bit") + "/s"
