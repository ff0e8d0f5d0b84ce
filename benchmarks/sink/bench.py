"""The whole measurement, and what it says."""

import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from analytics.database import Client, Database, connect
from benchmarks.bench import Progress, machine, scratch
from benchmarks.sink.intake import Intake, take_in
from benchmarks.sink.log import SinkLog
from benchmarks.sink.questions import Answers, Multiplier, ask, inserting
from runtime.settings import Settings

DISK_SHARE: Final = 0.5
"""Of what is free, so much may be filled with rows."""
BYTES_A_ROW: Final = 60
"""While parts are merged, a frame takes so much of the disk."""
SIZED: Final = ("avatar_frames", "face_signals", "speech_signals")
"""Tables whose rows' size is told."""


class Part(StrEnum):
    """What can be measured by itself."""

    INTAKE = "intake"
    QUERIES = "queries"


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sessions: int = 200
    seconds: int = 120
    repeats: int = 3
    question_sessions: int = 40
    question_seconds: int = 600
    """What is multiplied: sessions as long as conversations."""
    rows: int = 100_000_000
    """Frames that questions are asked of."""
    parts: frozenset[Part] = frozenset(Part)
    database: Path | None = None
    """Folder of the frames that questions are asked of: made if it is not there, and left. None: made and removed."""

    def quick(self) -> "Plan":
        """A few seconds of everything."""
        return replace(
            self, sessions=40, seconds=30, repeats=1, question_sessions=20, question_seconds=60, rows=1_000_000
        )


@dataclass(frozen=True)
class Stored:
    """How large the rows are."""

    merged: Mapping[str, float]
    """Bytes a row by table, of merged parts, on the disk, marks and indexes included."""
    columns: float
    """Of a frame: the columns' compressed data alone."""
    fresh: float
    """Of a frame, as the sink's run left it."""


@dataclass(frozen=True)
class Asked:
    """How long answers took."""

    rows: int
    """Frames that were there."""
    at_rest: Answers
    inserting: Answers
    """While rows were inserted."""


@dataclass(frozen=True)
class Results:
    """Everything measured; None: that part was left out."""

    intakes: Sequence[Intake]
    stored: Stored | None
    asked: Asked | None
    machine: str
    at: datetime

    def keys(self) -> dict[str, Any]:
        """For machines."""

        def middle(values: Sequence[float]) -> int:
            return round(statistics.median(values))

        found: dict[str, Any] = {}
        if self.intakes:
            rates = [run.rows_per_s for run in self.intakes]
            found |= {
                "rows_per_s": middle(rates),
                "rows_per_s_settled": middle([run.rows_per_s_settled for run in self.intakes]),
                "rows_per_s_wall": middle([run.rows_per_s_wall for run in self.intakes]),
                "rows_per_s_spread": [round(min(rates)), round(max(rates))],
                "records": self.intakes[0].records,
            }
        if self.stored is not None:
            found |= {
                "bytes_per_frame": round(self.stored.merged["avatar_frames"], 1),
                "bytes_per_frame_columns": round(self.stored.columns, 1),
                "bytes_per_frame_fresh": round(self.stored.fresh, 1),
                "bytes_by_table": {name: round(self.stored.merged[name], 1) for name in SIZED},
            }
        if self.asked is not None:
            found |= {
                "query_rows": self.asked.rows,
                "query_p95_ms": round(self.asked.at_rest.p95(), 1),
                "query_p95_ms_while_inserting": round(self.asked.inserting.p95(), 1),
                "queries_p50_ms": self.asked.at_rest.by_question(0.5),
                "queries_p95_ms": self.asked.at_rest.by_question(0.95),
                "queries_p95_ms_while_inserting": self.asked.inserting.by_question(0.95),
            }
        return {**found, "machine": self.machine, "at": self.at.isoformat(timespec="seconds")}


def measure(settings: Settings, plan: Plan, progress: Progress) -> Results:
    """Make every run. Takes minutes; raises CandidateError if a result is wrong."""
    log = SinkLog(plan.sessions, plan.seconds, settings.partitions)
    intakes: list[Intake] = []
    stored: Stored | None = None
    asked: Asked | None = None
    with scratch(settings) as directory:
        if Part.INTAKE in plan.parts:
            for number in range(1, plan.repeats + 1):
                progress(f"{plan.sessions} sessions of {plan.seconds} s into ClickHouse, {number} of {plan.repeats}")
                home = directory / f"run{number}"
                intakes.append(_take_in(settings, log, home))
            progress("merging")
            with _opened(settings, home) as database:
                stored = _stored(database.writer())
        if Part.QUERIES in plan.parts:
            home = plan.database or directory / "questions"
            if not home.exists():
                base = SinkLog(plan.question_sessions, plan.question_seconds, settings.partitions)
                progress(f"{base.sessions} sessions of {base.seconds} s into ClickHouse, to be multiplied")
                _take_in(settings, base, home)
            with _opened(settings, home) as database:
                asked = _ask(database, plan.rows, home, progress)
    return Results(intakes, stored, asked, machine(), datetime.now(UTC))


def _take_in(settings: Settings, log: SinkLog, home: Path) -> Intake:
    home.mkdir(parents=True)
    return take_in(settings, log, home)


@contextmanager
def _opened(settings: Settings, home: Path) -> Iterator[Database]:
    database = connect(settings.model_copy(update={"data_dir": home, "clickhouse_dsn": ""}))
    try:
        yield database
    finally:
        database.close()


def _stored(client: Client) -> Stored:
    fresh = _bytes_a_row(client)["avatar_frames"]
    for table in SIZED:
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    return Stored(_bytes_a_row(client), _column_bytes(client), fresh)


def _ask(database: Database, wanted: int, home: Path, progress: Progress) -> Asked:
    client = database.writer()
    copier = Multiplier(client)
    rows = min(wanted, copier.rows + _room(home))
    progress(f"making {rows:,} frames, {copier.rows:,} of which are there")
    # Merging them would take longer than making them; and many parts are no easier to search than few.
    client.command("SYSTEM STOP MERGES avatar_frames")
    while copier.rows < rows:
        copier.copy()
    copier.check()
    progress(f"asking, of {copier.rows:,} frames")
    asked = copier.rows
    at_rest = ask(database, copier)
    progress("asking while rows are inserted")
    with inserting(copier):
        return Asked(asked, at_rest, ask(database, copier, seed=2))


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
    """The tables for people."""
    keys = results.keys()
    console.print(f"[bold]sink[/bold] on {results.machine}, {results.at:%Y-%m-%d %H:%M} UTC")
    table = Table(box=None, header_style="dim")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("must reach", justify="right")
    if results.intakes:
        low, high = keys["rows_per_s_spread"]
        table.add_row("records a second a core", f"{keys['rows_per_s']:,} ({low:,} to {high:,})", "150,000")
        table.add_row("  with the merges afterwards", f"{keys['rows_per_s_settled']:,}", "")
        table.add_row("  a second of the clock", f"{keys['rows_per_s_wall']:,}", "")
    if results.stored is not None:
        table.add_row("bytes a frame, merged", f"{keys['bytes_per_frame']}", "30")
        table.add_row("  before merging", f"{keys['bytes_per_frame_fresh']}", "")
    if table.row_count:
        console.print(table)
    if results.asked is None:
        return
    answers = Table(box=None, header_style="dim")
    answers.add_column(f"ms to answer, of {results.asked.rows:,} frames")
    for name in ("p50", "p95", "p95, inserting", "must reach"):
        answers.add_column(name, justify="right", no_wrap=True)
    slowest = f"{keys['query_p95_ms']:,}", f"{keys['query_p95_ms_while_inserting']:,}"
    answers.add_row("slowest question", "", *slowest, "1,000")
    for name, value in keys["queries_p95_ms"].items():
        inserting_ms = keys["queries_p95_ms_while_inserting"][name]
        answers.add_row(f"  {name}", f"{keys['queries_p50_ms'][name]:,}", f"{value:,}", f"{inserting_ms:,}", "")
    console.print(answers)
