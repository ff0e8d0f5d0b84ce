"""The whole measurement, and what it says."""

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from analytics.database import Client, connect
from benchmarks.fusion.bench import machine, scratch
from benchmarks.sink.intake import Intake, take_in
from benchmarks.sink.log import SinkLog
from benchmarks.sink.questions import Answers, Multiplier, ask, inserting
from runtime.settings import Settings

Progress = Callable[[str], None]

DISK_SHARE: Final = 0.5
"""Of what is free, so much may be filled with rows."""
BYTES_A_ROW: Final = 60
"""While parts are merged, a frame takes so much of the disk."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sessions: int = 200
    seconds: int = 120
    repeats: int = 3
    rows: int = 100_000_000
    """Frames that questions are asked of."""

    def quick(self) -> "Plan":
        """A few seconds of everything."""
        return replace(self, sessions=40, seconds=30, repeats=1, rows=1_000_000)


@dataclass(frozen=True)
class Results:
    """Everything measured."""

    plan: Plan
    intakes: Sequence[Intake]
    bytes_per_frame: float
    """Of merged parts, on the disk, marks and indexes included."""
    bytes_per_frame_columns: float
    """The columns' compressed data alone."""
    bytes_per_frame_fresh: float
    """As the sink's run left them."""
    bytes_by_table: Mapping[str, float]
    rows: int
    answers: Answers
    answers_inserting: Answers
    machine: str
    at: datetime

    def keys(self) -> dict[str, Any]:
        """For machines."""

        def middle(values: Sequence[float]) -> int:
            return round(statistics.median(values))

        return {
            "rows_per_s": middle([run.rows_per_s for run in self.intakes]),
            "rows_per_s_settled": middle([run.rows_per_s_settled for run in self.intakes]),
            "rows_per_s_wall": middle([run.rows_per_s_wall for run in self.intakes]),
            "rows_per_s_spread": [
                round(min(run.rows_per_s for run in self.intakes)),
                round(max(run.rows_per_s for run in self.intakes)),
            ],
            "records": self.intakes[0].records,
            "bytes_per_frame": round(self.bytes_per_frame, 1),
            "bytes_per_frame_columns": round(self.bytes_per_frame_columns, 1),
            "bytes_per_frame_fresh": round(self.bytes_per_frame_fresh, 1),
            "bytes_by_table": {name: round(value, 1) for name, value in self.bytes_by_table.items()},
            "query_rows": self.rows,
            "query_p95_ms": round(self.answers.p95(), 1),
            "query_p95_ms_while_inserting": round(self.answers_inserting.p95(), 1),
            "queries_p95_ms": self.answers.by_question(),
            "queries_p95_ms_while_inserting": self.answers_inserting.by_question(),
            "machine": self.machine,
            "at": self.at.isoformat(timespec="seconds"),
        }


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Make every run. Takes minutes; raises CandidateError if a result is wrong."""
    log = SinkLog(plan.sessions, plan.seconds, settings.partitions)
    intakes: list[Intake] = []
    with scratch(settings) as directory:
        for number in range(1, plan.repeats + 1):
            progress(f"{plan.sessions} sessions of {plan.seconds} s into ClickHouse, {number} of {plan.repeats}")
            home = directory / f"run{number}"
            home.mkdir()
            intakes.append(take_in(settings, log, home))
        database = connect(settings.model_copy(update={"data_dir": home, "clickhouse_dsn": ""}))
        try:
            client = database.writer()
            fresh = _bytes_a_row(client)["avatar_frames"]
            progress("merging")
            client.command("OPTIMIZE TABLE avatar_frames FINAL")
            merged = _bytes_a_row(client)
            columns = _column_bytes(client)
            copier = Multiplier(client)
            rows = min(plan.rows, _room(directory))
            progress(f"making {rows:,} frames")
            while copier.rows < rows:
                copier.copy()
            copier.check()
            progress(f"asking, of {copier.rows:,} frames")
            asked = copier.rows
            answers = ask(database, copier)
            progress("asking while rows are inserted")
            with inserting(copier):
                answers_inserting = ask(database, copier, seed=2)
        finally:
            database.close()
    return Results(
        plan=plan,
        intakes=intakes,
        bytes_per_frame=merged["avatar_frames"],
        bytes_per_frame_columns=columns,
        bytes_per_frame_fresh=fresh,
        bytes_by_table={name: merged[name] for name in ("avatar_frames", "face_signals", "speech_signals")},
        rows=asked,
        answers=answers,
        answers_inserting=answers_inserting,
        machine=machine(),
        at=datetime.now(UTC),
    )


def _room(directory: Path) -> int:
    """Frames for which there is room on the disk."""
    return int(shutil.disk_usage(directory).free * DISK_SHARE / BYTES_A_ROW)


def _bytes_a_row(client: Client) -> dict[str, float]:
    rows = client.query(
        "SELECT table, sum(bytes_on_disk) / sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table"
    ).result_rows
    return {str(table): float(size) for table, size in rows}


def _column_bytes(client: Client) -> float:
    ((size,),) = client.query(
        "SELECT sum(data_compressed_bytes) / sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'avatar_frames'"
    ).result_rows
    return float(size)


def show(results: Results, console: Console) -> None:
    """The table for people."""
    keys = results.keys()
    table = Table(box=None, header_style="dim", title=results.machine, title_style="dim", title_justify="left")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("must reach", justify="right")
    low, high = keys["rows_per_s_spread"]
    table.add_row("records a second a core", f"{keys['rows_per_s']:,} ({low:,} to {high:,})", "150,000")
    table.add_row("  with the merges afterwards", f"{keys['rows_per_s_settled']:,}", "")
    table.add_row("  a second of the clock", f"{keys['rows_per_s_wall']:,}", "")
    table.add_row("bytes a frame, merged", f"{keys['bytes_per_frame']}", "30")
    table.add_row("  before merging", f"{keys['bytes_per_frame_fresh']}", "")
    table.add_row(f"answers of {results.rows:,} frames, p95 ms", f"{keys['query_p95_ms']}", "1000")
    table.add_row("  while rows are inserted", f"{keys['query_p95_ms_while_inserting']}", "")
    for name, value in keys["queries_p95_ms"].items():
        table.add_row(f"    {name}", f"{value} / {keys['queries_p95_ms_while_inserting'][name]}", "")
    console.print(table)
