"""``affectstream verify …``: the promises of exactness, tried on real processes and a real Kafka.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from cli.terminal import console, progress, read_settings
from runtime.errors import SettingsError

app = typer.Typer(help="Try the promises of exactness on real processes.", no_args_is_help=True)


Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]
Seed = Annotated[int, typer.Option(help="The same seed: the same log, and kills and stalls drawn alike.")]


@app.callback()
def verify() -> None:
    """Try the promises of exactness on real processes. Kafka is our own unless KAFKA_BOOTSTRAP_SERVERS names one."""


@app.command()
def crash(
    kills: Annotated[int, typer.Option(min=0, help="How often the fusion process is killed (SIGKILL).")] = 20,
    sessions: Annotated[int, typer.Option(min=1, help="People at a time in the log that is written meanwhile.")] = 20,
    seconds: Annotated[
        float | None,
        typer.Option(min=1.0, help="Length of the log; default: as long as the kills take.", show_default=False),
    ] = None,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Kill the fusion process at random moments under load; compare frames and rows with an uncrashed run's.

    Exit code 0 only if the deduplicated frames are identical, and none is lost or doubled in ClickHouse.
    """
    from cli.crash import Plan, verify_crash  # noqa: PLC0415
    from cli.laboratory import laboratory  # noqa: PLC0415

    # Rows are counted in a ClickHouse of the verification's own.
    given = read_settings().model_copy(update={"clickhouse_dsn": ""})
    with laboratory(given, os.environ, progress) as settings:
        result = verify_crash(settings, Plan(kills, sessions, seed, seconds), progress)
    figures = result.keys()
    for name, value in figures.items():
        console.print(f"{name:>12}  {value}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(figures))
    sys.exit(0 if result.ok else 1)


@app.command()
def replay(  # noqa: PLR0917 - options, given by name
    speeds: Annotated[str, typer.Option(help="Times real time, with commas; 0: flat out.")] = "1,50,0",
    processes: Annotated[str, typer.Option(help="Numbers of fusion processes, with commas.")] = "1,2,4",
    sessions: Annotated[int, typer.Option(min=1, help="People at a time in the log.")] = 12,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the log.")] = 15.0,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Fuse one log at several speeds by several numbers of processes, with stalls: one SHA-256 or exit code 1."""
    from cli.laboratory import laboratory  # noqa: PLC0415
    from cli.replay_check import verify_replay  # noqa: PLC0415

    at, by = _numbers("--speeds", speeds), [int(number) for number in _numbers("--processes", processes)]
    with laboratory(read_settings(), os.environ, progress) as settings:
        replays = verify_replay(
            settings, speeds=at, processes=by, seconds=seconds, sessions=sessions, seed=seed, progress=progress
        )
    for run in replays.runs:
        console.print(f"{run.sha256}  {run.title}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(replays.keys()))
    sys.exit(0 if replays.identical else 1)


@app.command()
def faults(
    only: Annotated[str, typer.Option(help="Keys of faults, with commas; empty: all.", show_default=False)] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Seconds where others last a minute.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/reliability.md.")] = False,
    as_json: Json = False,
) -> None:
    """Cut, slow, freeze and kill every part of a real deployment, one after the other, while somebody streams.

    After each, frames must come again, and nothing may be lost or doubled: the ledger, Kafka and ClickHouse are
    compared. Exit code 0 only if so. About ten minutes.
    """
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from cli.faults import suite, table  # noqa: PLC0415
    from cli.faults.stage import Stage  # noqa: PLC0415

    keys = [key.strip() for key in only.split(",") if key.strip()]
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        given = read_settings(data_dir=Path(folder))
        settings = given.model_copy(update={"clickhouse_dsn": "", "partitions": min(given.partitions, 6)})
        with Stage(settings, os.environ, progress) as stage:
            found = suite.try_all(stage, progress, only=keys, longer=not quick)
    Console().print(table.table(found), soft_wrap=True, markup=False, highlight=False)
    if write:
        table.write(found, Path(__file__).resolve().parent.parent / "docs" / "reliability.md")
    if as_json:
        typer.echo(json.dumps(found.keys()))
    sys.exit(0 if found.ok else 1)


def _numbers(option: str, text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"{option} {text}: give numbers with commas between them") from error
    if min(found) < 0:
        raise SettingsError(f"{option} {text}: none may be negative")
    return found
