"""``affectstream report`` and ``affectstream sql``: what analytics knows, on the terminal."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.formats import OutputFormat
from runtime.errors import SettingsError
from runtime.settings import Settings

if TYPE_CHECKING:
    from analytics.queries import ExportFormat

EXPORTS: "Final[Mapping[str, ExportFormat]]" = {".parquet": "parquet", ".arrow": "arrow"}
"""Endings of files that can be written."""
SESSION_VIEWS: Final = {
    "session_list": "started_at",
    "frames": "sequence",
    "signals_face": "sequence",
    "signals_speech": "sequence",
    "client_events": "captured_at",
    "ledger": "recorded_at",
    "session_minutes": "minute",
}
"""What is exported of a session, and in which order."""


def report_session(settings: Settings, session: str, folder: Path, console: Console) -> None:
    """Print a session's summary and write its timeline; raises SessionUnknown or DatabaseUnavailable."""
    # matplotlib comes with it, which sql does not need.
    from analytics.report import renderable, report  # noqa: PLC0415

    summary, png, html = report(settings, session, folder)
    console.print(renderable(summary))
    console.print(f"\n{png}\n{html}", highlight=False, soft_wrap=True)


def run_sql(settings: Settings, statement: str, console: Console, shown: OutputFormat) -> None:
    """Print the answer to one SELECT; raises QueryRefused, saying why, or DatabaseUnavailable."""
    from analytics.source import open_source  # noqa: PLC0415

    with open_source(settings) as source:
        answer = source.sql(statement)
    names = [column["name"] for column in answer["columns"]]
    if shown is OutputFormat.JSON:
        for row in answer["rows"]:
            console.out(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False), highlight=False)
        return
    if shown is OutputFormat.CSV:
        writer = csv.writer(console.file)
        writer.writerow(names)
        writer.writerows(answer["rows"])
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, column in zip(names, answer["columns"], strict=True):
        table.add_column(name, justify="right" if _is_number(column["type"]) else "left")
    for row in answer["rows"]:
        table.add_row(*(Text(str(value)) for value in row))
    console.print(table)


def export_answer(settings: Settings, statement: str, out: Path) -> int:
    """Write the answer to one SELECT to ``out``, whose ending says how; returns the file's bytes.

    Raises SettingsError for another ending, QueryRefused, DatabaseUnavailable.
    """
    from analytics.source import open_source  # noqa: PLC0415

    kind = EXPORTS.get(out.suffix)
    if kind is None:
        raise SettingsError(f"{out}: the name must end in {' or '.join(EXPORTS)}")
    with open_source(settings) as source:
        return _write(out, source.export(statement, kind))


def export_session(settings: Settings, session: str, folder: Path, kind: "ExportFormat") -> list[Path]:
    """Write everything of one session (an id, or: latest) to ``folder``, one file a view; returns the files.

    Raises SessionUnknown, DatabaseUnavailable.
    """
    from analytics.notebook import literal  # noqa: PLC0415
    from analytics.source import open_source, session_named  # noqa: PLC0415

    written = []
    with open_source(settings) as source:
        name = session_named(source, session)
        source.summary(name)  # says so if there is no such session
        for view, order in SESSION_VIEWS.items():
            statement = f"SELECT * FROM {view} WHERE session_id = {literal(name)} ORDER BY {order}"  # noqa: S608
            path = folder / f"{view}.{kind}"
            _write(path, source.export(statement, kind))
            written.append(path)
    return written


def _write(path: Path, content: bytes) -> int:
    """Put a file in place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
    return len(content)


def _is_number(kind: str) -> bool:
    return kind.removeprefix("Nullable(").startswith(("UInt", "Int", "Float", "Decimal"))
