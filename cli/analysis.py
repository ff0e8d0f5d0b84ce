"""``affectstream report`` and ``affectstream sql``: what analytics knows, on the terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.settings import Settings


def report_session(settings: Settings, session: str, folder: Path, console: Console) -> None:
    """Print a session's summary and write its timeline; raises SessionUnknown or DatabaseUnavailable."""
    # matplotlib comes with it, which sql does not need.
    from analytics.report import renderable, report  # noqa: PLC0415

    summary, png, html = report(settings, session, folder)
    console.print(renderable(summary))
    console.print(f"\n{png}\n{html}", highlight=False, soft_wrap=True)


def run_sql(settings: Settings, statement: str, console: Console, *, json_lines: bool) -> None:
    """Print the answer to one SELECT; raises QueryRefused, saying why, or DatabaseUnavailable."""
    from analytics.source import open_source  # noqa: PLC0415

    with open_source(settings) as source:
        answer = source.sql(statement)
    names = [column["name"] for column in answer["columns"]]
    if json_lines:
        for row in answer["rows"]:
            console.out(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, column in zip(names, answer["columns"], strict=True):
        table.add_column(name, justify="right" if _is_number(column["type"]) else "left")
    for row in answer["rows"]:
        table.add_row(*(Text(str(value)) for value in row))
    console.print(table)


def _is_number(kind: str) -> bool:
    return kind.removeprefix("Nullable(").startswith(("UInt", "Int", "Float", "Decimal"))
