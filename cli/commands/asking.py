"""Asking ClickHouse: a session's report, SQL, files for other tools."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.formats import FileFormat, OutputFormat
from cli.terminal import DataDir, read_settings


def report(
    session: Annotated[str, typer.Argument(help="A session's id, or: latest.")] = "latest",
    out: Annotated[Path, typer.Option(help="Folder for the PNG and the HTML page.", file_okay=False)] = Path(),
    data_dir: DataDir = None,
) -> None:
    """Print what a session was like, and draw its timeline as PNG and HTML."""
    from cli.analysis import report_session

    report_session(read_settings(data_dir=data_dir), session, out, Console())


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT.")],
    shown: Annotated[OutputFormat, typer.Option("--format", help="json: one object a row.")] = OutputFormat.TABLE,
    json_lines: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Ask ClickHouse: the running analytics role, or else the database itself, or the server of CLICKHOUSE_DSN.

    It only reads. Which views there are, and questions to begin with: docs/analytics.md.
    """
    from cli.analysis import run_sql

    run_sql(read_settings(data_dir=data_dir), statement, Console(), OutputFormat.JSON if json_lines else shown)


def export(
    out: Annotated[Path, typer.Argument(help="A file ending in .parquet or .arrow; with --session, a folder.")],
    statement: Annotated[str | None, typer.Option("--sql", help="One SELECT.", show_default=False)] = None,
    session: Annotated[
        str | None, typer.Option(help="Everything of this session (an id, or: latest).", show_default=False)
    ] = None,
    files: Annotated[FileFormat, typer.Option("--format", help="Of a session's files.")] = FileFormat.PARQUET,
    data_dir: DataDir = None,
) -> None:
    """Write what analytics knows to Parquet or Arrow: the answer to a SELECT, or all of one session."""
    from cli.analysis import export_answer, export_session
    from runtime.errors import SettingsError

    settings = read_settings(data_dir=data_dir)
    if session is not None and statement is None:
        for path in export_session(settings, session, out, files.value):
            typer.echo(path)
    elif statement is not None and session is None:
        typer.echo(f"{out}: {export_answer(settings, statement, out):,} bytes")
    else:
        raise SettingsError("give either --sql or --session")
