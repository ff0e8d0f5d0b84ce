"""From nothing to a running product: setting up, the demo, the box, a file as a session, what is wrong here."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.ports import PAGE_PORT
from cli.terminal import DataDir, progress, read_settings


def demo(
    no_sample: Annotated[bool, typer.Option("--no-sample", help="Do not stream the sample session.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port of the page; 0: any free one. Default: {PAGE_PORT} if it is free.", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
    headless_seconds: Annotated[
        float | None,
        typer.Option(
            min=5,
            help="No terminal view: stream the sample for so long, check what comes out, print one JSON summary. "
            "Exit code 0 only if frames and rows came out, equal in number, and every item is accounted for.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the whole product on this machine and stream a sample session through it. Ctrl-C stops everything.

    A real Apache Kafka and an embedded ClickHouse are started, unless KAFKA_BOOTSTRAP_SERVERS or CLICKHOUSE_DSN name
    others.
    """
    from cli.demo import Demo, run_headless, run_live

    settings = read_settings(data_dir=data_dir)
    chosen = Demo(settings, os.environ, port=port, with_sample=not no_sample)
    if headless_seconds is not None:
        sys.exit(run_headless(chosen, headless_seconds, progress))
    run_live(chosen, Console(), progress)


def edge(
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port of the page; the next one is for frames, if it is free. Default: {PAGE_PORT} if it is free.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="Where the log and the roles' logs lie; what a former run left is removed. May be a folder in memory. "
            "Default: the folder edge within that of the other commands.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be one small box beside a camera: edge, workers, fusion and egress, and nothing that keeps history.

    Nothing outside this machine is needed once `affectstream setup` has run. No analytics, no ClickHouse; Kafka with a
    small heap and minutes of log, which every start begins anew. Ctrl-C or SIGTERM stops everything. What is given up,
    and what it costs: docs/edge.md.
    """
    from cli.edge import own_folder, run_edge

    settings = own_folder(read_settings(data_dir=data_dir))
    run_edge(settings, os.environ, port=port, console=Console(highlight=False), progress=progress)


def play(  # noqa: PLR0917 - options, given by name
    video: Annotated[Path, typer.Argument(help="Any file that FFmpeg's libraries read.", exists=True, dir_okay=False)],
    audio: Annotated[
        Path | None, typer.Option(help="Sound from this file instead of the video's own.", exists=True, dir_okay=False)
    ] = None,
    url: Annotated[str, typer.Option(help="The ingest edge.")] = f"http://127.0.0.1:{PAGE_PORT}",
    speed: Annotated[float, typer.Option(help="1: real time; 4: four times as fast.", min=0.1)] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again, until Ctrl-C.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CREATE_TOKEN",
            help="A token with the scope create (affectstream token), unless anybody may start sessions.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Stream a file as a session through the public ingest, as any client would."""
    from cli.play import play_file

    play_file(url, video, audio, speed=speed, loop=loop, token=token, console=Console())


def setup(
    no_sample: Annotated[bool, typer.Option("--no-sample", help="All but the sample session.")] = False,
) -> None:
    """Prepare everything that can be prepared: Kafka, models, the sample session, compiled code. Safe to repeat."""
    from cli.setup import prepare_everything

    prepare_everything(read_settings(), os.environ, progress, with_sample=not no_sample)


def sample() -> None:
    """Make the sample session if it is not there, and say where it lies."""
    from cli.sample import prepare

    made = prepare(read_settings(), progress)
    typer.echo(made.video)
    typer.echo(made.audio)


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object instead of the list.")] = False,
    no_write: Annotated[
        bool, typer.Option("--no-write", help="Do not make a topic for a moment to ask the broker for its time.")
    ] = False,
) -> None:
    """Look at the deployment that the environment describes, from this machine, and say what to do.

    Brokers, topics, partitions, replicas, retention, clocks, Schema Registry, ClickHouse, keys, disks, models, engines,
    ports and addresses. Exit code 1 if something must be mended.
    """
    from cli.doctor.command import as_json, examine, show
    from cli.doctor.finding import worst
    from runtime.clock import SystemClock

    findings = examine(read_settings(), os.environ, SystemClock(), write=not no_write)
    if json_output:
        typer.echo(as_json(findings))
    else:
        show(findings, Console(highlight=False))
    sys.exit(1 if worst(findings) == "failure" else 0)
