"""All checks, and how their findings are shown."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from cli.doctor import machine, stores
from cli.doctor.finding import Finding, Status, worst
from cli.doctor.kafka import check_kafka, check_registry
from runtime.clock import Clock
from runtime.settings import Settings

SIGNS: Final[Mapping[Status, str]] = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "failure": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}


def examine(settings: Settings, environ: Mapping[str, str], clock: Clock, *, write: bool = True) -> list[Finding]:
    """Every check, one after the other; takes some seconds. ``write``: as in :func:`~cli.doctor.kafka.check_kafka`."""
    checks: Sequence[Callable[[], Finding | list[Finding]]] = (
        lambda: machine.check_settings(environ),
        lambda: check_kafka(settings, clock, write=write),
        lambda: check_registry(settings),
        lambda: stores.check_redis(settings),
        lambda: stores.check_clickhouse(settings),
        lambda: stores.check_keys(settings),
        lambda: stores.check_disks(settings),
        lambda: machine.check_models(settings),
        machine.check_engines,
        machine.check_opencv,
        lambda: machine.check_ports(settings),
        lambda: machine.check_addresses(settings),
    )
    findings: list[Finding] = []
    for check in checks:
        found = check()
        findings += [found] if isinstance(found, Finding) else found
    return findings


def show(findings: Sequence[Finding], console: Console) -> None:
    """A line a finding, and below it what to do."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        line = f"{SIGNS[finding.status]} {finding.check:<{width}}  {escape(finding.found)}"
        console.print(line, style="dim" if finding.status == "skipped" else None, soft_wrap=True)
        if finding.remedy:
            console.print(f"  {'':<{width}}  → {escape(finding.remedy)}", style="bold", soft_wrap=True)
    counts = {status: sum(f.status == status for f in findings) for status in SIGNS}
    console.print(
        f"\n{counts['ok']} well, {counts['warning']} to know, {counts['failure']} to mend, "
        f"{counts['skipped']} not looked at",
        highlight=False,
    )


def as_json(findings: Sequence[Finding]) -> str:
    """One JSON object."""
    return json.dumps({"status": worst(findings), "findings": [finding.as_json() for finding in findings]})
