"""``affectstream bench …``: measurements against the design's figures, from the source tree.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from cli.terminal import console, progress, read_settings
from runtime.errors import PrerequisiteError, SettingsError

if TYPE_CHECKING:
    from runtime.settings import Settings

app = typer.Typer(help="Measure the product, and others beside it.", no_args_is_help=True)


@contextmanager
def kafka(settings: "Settings") -> "Iterator[Settings]":
    """Settings with a Kafka that runs: the one that KAFKA_BOOTSTRAP_SERVERS names, or one of our own for the time."""
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield settings
        return
    from benchmarks.bench import scratch  # noqa: PLC0415
    from cli.broker import EmbeddedKafka, prepare  # noqa: PLC0415

    distribution = prepare(settings.cache_dir, progress)
    with scratch(settings) as directory:
        broker = EmbeddedKafka(distribution, directory / "kafka")
        broker.start()
        try:
            yield settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
        finally:
            broker.stop()


def require_benchmarks() -> None:
    """PrerequisiteError if this is an installation without its sources: benchmarks are not part of the package."""
    try:
        import benchmarks  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise PrerequisiteError("`affectstream bench` runs from a clone of the repository only") from error


@app.callback()
def bench() -> None:
    """Measure the product, and others beside it."""


@app.command()
def fusion(  # noqa: PLR0917 - options, given by name
    quick: Annotated[bool, typer.Option("--quick", help="A minute instead of half an hour; rough figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
    sessions: Annotated[
        str | None, typer.Option(help="Sizes of the recorded logs, as in 100,1000,10000.", show_default=False)
    ] = None,
    seconds: Annotated[
        int | None, typer.Option(help="Length of every recorded session.", min=1, show_default=False)
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="Of each run.", min=1, show_default=False)] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            help="bytewax_windows,quixstreams,kafka_streams,pyflink or some of them; none: no peers.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for the scaling curve and the figures.", show_default=False)
    ] = None,
) -> None:
    """What fusing a session costs, replayed and live, beside librdkafka alone and beside other stream processors.

    Every program reads the same log from a real Kafka and writes its frames to it; frames are counted and compared.
    """
    require_benchmarks()
    from benchmarks.fusion import bench as comparison  # noqa: PLC0415
    from benchmarks.fusion.report import draw, show, write_up  # noqa: PLC0415

    plan = comparison.Plan()
    if quick:
        plan = plan.quick()
    changes: dict[str, object] = {"seconds": seconds, "repeats": repeats}
    if sessions is not None:
        changes["sizes"] = _numbers(sessions)
    if peers is not None:
        changes["peers"] = _known(peers, comparison.PEERS)
    plan = plan.changed({name: value for name, value in changes.items() if value is not None})
    with kafka(read_settings()) as settings:
        results = comparison.measure(settings, plan, progress)
    show(results, Console())
    if save is not None:
        draw(results, save / "fusion-scaling.png")
        (save / "fusion-figures.md").write_text(write_up(results), encoding="utf-8")
        (save / "fusion-figures.json").write_text(json.dumps(results.keys(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def latency(
    seconds: Annotated[float, typer.Option(help="Of the live session, after 5 s of warming up.", min=5)] = 60.0,
    sessions: Annotated[int, typer.Option(help="How many without models; 0: none.", min=0)] = 100,
    fanout_seconds: Annotated[float, typer.Option(help="Of those.", min=2)] = 20.0,
    profile: Annotated[
        Literal["whole", "edge"], typer.Option(help="edge: what `affectstream edge` runs, one session only.")
    ] = "whole",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """Capture to frame at the client, hop by hop, of one live session; and of many without models.

    Every role is a process of its own, as in production, and Kafka is real. What each process takes is told, too.
    """
    require_benchmarks()
    from benchmarks.latency import bench as latencies  # noqa: PLC0415
    from cli.profiles import EDGE  # noqa: PLC0415

    read = read_settings()
    if profile == "edge":
        results = latencies.measure(read, os.environ, latencies.Plan(seconds, 0, profile=EDGE), progress)
    else:
        with kafka(read) as settings:
            environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers}
            plan = latencies.Plan(seconds, sessions, round(fanout_seconds))
            results = latencies.measure(settings, environ, plan, progress)
    latencies.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def ingest(  # noqa: PLR0917 - options, given by name
    quick: Annotated[bool, typer.Option("--quick", help="Two minutes instead of ten; rough figures.")] = False,
    sessions: Annotated[int | None, typer.Option(help="WebRTC sessions at once.", min=1, show_default=False)] = None,
    seconds: Annotated[float | None, typer.Option(help="Of each run.", min=3, show_default=False)] = None,
    repeats: Annotated[int | None, typer.Option(help="Of each run.", min=1, show_default=False)] = None,
    stock: Annotated[bool, typer.Option(help="Also with aiortc's own receivers.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """What a WebRTC session costs the edge, and how soon its pictures are there; beside aiortc's own receivers.

    Clients in processes of their own send encoded video and sound to the edge as it is in production, with a real
    Kafka behind it. Every frame that was sent must be a record, or in the ledger with the reason why not.
    """
    require_benchmarks()
    from dataclasses import replace  # noqa: PLC0415

    from benchmarks.ingest import bench as reception  # noqa: PLC0415

    plan = reception.Plan()
    if quick:
        plan = plan.quick()
    plan = replace(
        plan,
        sessions=sessions or plan.sessions,
        seconds=seconds or plan.seconds,
        repeats=repeats or plan.repeats,
        stock_sessions=min(plan.stock_sessions, sessions or plan.stock_sessions) if stock else 0,
    )
    with kafka(read_settings()) as settings:
        results = reception.measure(settings, plan, progress)
    reception.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def egress(
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute instead of two; rough figures.")] = False,
    clients: Annotated[int, typer.Option(help="WebSocket clients at once.", min=1)] = 2_000,
    sessions: Annotated[
        str | None, typer.Option(help="Sessions that they watch, as in 2000,20,1.", show_default=False)
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Of each run.", min=2, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """Frames from Kafka to thousands of WebSocket clients, egress on one core: how much later they are there.

    Every client watches a session of its own, and then many the same. Frames come 30 times a second, packed as the page
    has them, and each must reach each client once and in order. Needs a second core for the load.
    """
    require_benchmarks()
    from dataclasses import replace  # noqa: PLC0415

    from benchmarks.egress import bench as relaying  # noqa: PLC0415

    plan = relaying.Plan(clients, (clients, 20, 1))
    if quick:
        plan = plan.quick()
    chosen = plan.sessions if sessions is None else tuple(reversed(_numbers(sessions)))
    plan = replace(plan, sessions=tuple(min(count, clients) for count in chosen), seconds=seconds or plan.seconds)
    with kafka(read_settings()) as settings:
        results = relaying.measure(settings, plan, progress)
    relaying.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def system(  # noqa: PLR0917 - options, given by name
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute instead of one; rough figures.")] = False,
    sessions: Annotated[int, typer.Option(help="At once; three times as many come later.", min=1)] = 300,
    seconds: Annotated[float | None, typer.Option(help="Before those.", min=2, show_default=False)] = None,
    surge_seconds: Annotated[
        float | None, typer.Option(help="That those stay; 0: they do not come.", min=0, show_default=False)
    ] = None,
    partitions: Annotated[
        int,
        typer.Option(help="Of each topic: one fusion and one egress need no more, and each costs the broker.", min=1),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """Live sessions through edge, fusion and egress, and then three times as many: latency, ledger, shedding, recovery.

    Clients analyse face and voice themselves, send features over WebSocket and watch their frames. Everything runs on
    this machine, the clients too; what share of it they took is told.
    """
    require_benchmarks()
    from dataclasses import replace  # noqa: PLC0415

    from benchmarks.system import bench as service  # noqa: PLC0415

    plan = service.Plan(sessions, partitions=partitions)
    if quick:
        plan = service.quick(plan)
    plan = replace(
        plan,
        seconds=seconds or plan.seconds,
        surge_s=plan.surge_s if surge_seconds is None else surge_seconds,
    )
    with kafka(read_settings()) as settings:
        results = service.measure(settings, plan, progress)
    service.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))
    if results.mistakes:
        console.print("[red]the ledger does not balance[/red]")
        raise typer.Exit(1)


@app.command()
def sink(  # noqa: PLR0917 - options, given by name
    quick: Annotated[bool, typer.Option("--quick", help="A minute instead of a quarter of an hour.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
    rows: Annotated[
        int | None, typer.Option(help="Frames that questions are asked of.", min=10_000, show_default=False)
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="Of the intake.", min=1, show_default=False)] = None,
    only: Annotated[
        str, typer.Option(help="One part: intake (speed and size of rows) or queries.", show_default=False)
    ] = "",
    database: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the frames of the queries for another run.", show_default=False),
    ] = None,
) -> None:
    """How fast records become rows, how small the rows are, and how fast analysts' questions are answered.

    The analytics role takes signals, and the frames that fusion makes of them, from a real Kafka into its ClickHouse;
    then the engine multiplies the frames, and everything that the analyst page and the cookbook ask is asked.
    """
    require_benchmarks()
    from dataclasses import replace  # noqa: PLC0415

    from benchmarks.sink.bench import Part, Plan, measure, show  # noqa: PLC0415

    if only and only not in set(Part):
        raise SettingsError(f"--only {only}: give {' or '.join(Part)}")
    plan = Plan().quick() if quick else Plan()
    plan = replace(plan, rows=rows or plan.rows, repeats=repeats or plan.repeats, database=database)
    if only:
        plan = replace(plan, parts=frozenset({Part(only)}))
    with kafka(read_settings()) as settings:
        results = measure(settings, plan, progress)
    show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def workers(
    quick: Annotated[bool, typer.Option("--quick", help="A minute instead of five; rough figures.")] = False,
    repeats: Annotated[int | None, typer.Option(help="Of each run.", min=1, show_default=False)] = None,
    live_seconds: Annotated[
        float | None,
        typer.Option(
            help="Of pictures through the real face worker; 0: none, and no Kafka.", min=0, show_default=False
        ),
    ] = None,
    peers: Annotated[
        str,
        typer.Option(
            help="mediapipe: its own package, in an environment of its own. It reports usage to its maker where the "
            "network lets it, so it runs only if it is asked for."
        ),
    ] = "none",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """What a face costs, JPEG to signal, and how soon it is there; and what a second of speech costs.

    The sample session's pictures and sound through the workers' own code and real engines; what they answer is checked
    against what the sample shows.
    """
    require_benchmarks()
    from dataclasses import replace  # noqa: PLC0415

    from benchmarks.workers import bench as working  # noqa: PLC0415
    from benchmarks.workers.peers import PEERS  # noqa: PLC0415

    plan = working.Plan().quick() if quick else working.Plan()
    plan = replace(
        plan,
        repeats=repeats or plan.repeats,
        live_seconds=plan.live_seconds if live_seconds is None else live_seconds,
        peers=_known(peers, PEERS),
    )
    settings = read_settings()
    if plan.live_seconds:
        with kafka(settings) as own:
            results = working.measure(own, plan, progress)
    else:
        results = working.measure(settings, plan, progress)
    working.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command(name="edge-mode")
def edge_mode(
    sessions: Annotated[int, typer.Option(help="On-device sessions at once.", min=1)] = 20,
    media_sessions: Annotated[int, typer.Option(help="Sessions at once that send media.", min=1)] = 1,
    seconds: Annotated[float, typer.Option(help="Of each run.", min=5)] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """What a session costs the service when its client analyses face and voice itself, and when it sends media.

    CPU time of the edge and, for media, of the workers, each a process of its own, with a real Kafka. What is common
    to both, from fusion on, is left out.
    """
    require_benchmarks()
    from benchmarks.edge_mode import bench as modes  # noqa: PLC0415

    plan = modes.Plan(media_sessions, sessions, seconds)
    with kafka(read_settings()) as settings:
        results = modes.measure(settings, plan, progress)
    modes.show(results, Console())
    if as_json:
        typer.echo(json.dumps(results.keys()))


@app.command()
def sealing(as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False) -> None:
    """What it costs to seal and to open a chunk of sound or a picture: microseconds of one core an item."""
    from cli.sealing import cost_us  # noqa: PLC0415

    found = cost_us()
    for name, (seal_us, open_us) in found.items():
        Console().print(f"{name}: sealed in {seal_us} µs, opened in {open_us} µs")
    if as_json:
        typer.echo(json.dumps({name: {"seal_us": pair[0], "open_us": pair[1]} for name, pair in found.items()}))


@app.command()
def erasure(
    quick: Annotated[bool, typer.Option("--quick", help="Ten thousand rows instead of a million.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """Erase one session among a million rows, and search every store for it. Exit code 1 unless within 60 s.

    Real Kafka, a real fusion process and a real analytics role with its ClickHouse.
    """
    require_benchmarks()
    from benchmarks.erasure.bench import Plan, failed, measure  # noqa: PLC0415
    from cli.laboratory import laboratory  # noqa: PLC0415

    with laboratory(read_settings(), os.environ, progress) as settings:
        result = measure(settings, Plan().quick() if quick else Plan(), progress)
    Console().print(
        f"one session of {result.session_rows:,} rows among {result.rows:,}: request taken after "
        f"{result.taken_s * 1e3:.0f} ms, erased after {result.erased_s:.1f} s, every store searched in "
        f"{result.verified_s:.1f} s, nothing left: {'yes' if result.ok else 'NO'}"
    )
    if as_json:
        typer.echo(json.dumps(result.keys()))
    if problem := failed(result):
        console.print(f"[red]{problem}[/red]")
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise SettingsError(f"--sessions {text}: give whole numbers with commas between them") from error
    if not found or found[0] < 1:
        raise SettingsError(f"--sessions {text}: at least one session is needed")
    return found


def _known(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if text == "none":
        return ()
    chosen = tuple(text.split(","))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise SettingsError(f"--peers {text}: unknown {', '.join(unknown)}; known: {', '.join(known)}, none")
    return chosen


@app.command()
def cost(
    features: Annotated[str, typer.Option(help="Sizes of the loads of on-device sessions.")] = "20,50,100,200,300",
    media: Annotated[str, typer.Option(help="Sizes of the loads of sessions with camera and microphone.")] = "1,2",
    seconds: Annotated[float, typer.Option(help="Of each load.", min=3)] = 12.0,
    save: Annotated[
        Path | None, typer.Option(help="File of figures to renew, as `affectstream plan` reads.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """What one session costs each role, Kafka and its log, and how well `affectstream plan` predicts it.

    Every role runs as in production, with a Kafka of its own; each session is fed and watched by a client.
    """
    require_benchmarks()
    from benchmarks.cost import bench as costs  # noqa: PLC0415
    from cli.planning.figures import FILE, read_figures, renewed, write_figures  # noqa: PLC0415

    plan = costs.Plan(tuple(_numbers(features)), tuple(_numbers(media)) if media else (), seconds)
    figures = read_figures(save or FILE)
    results = costs.measure(read_settings(), os.environ, figures, plan, progress)
    costs.show(results, Console())
    if save is not None:
        write_figures(renewed(figures, results.keys()), save)
    if as_json:
        typer.echo(json.dumps(results.keys()))
