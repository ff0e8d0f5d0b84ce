"""The ``affectstream`` command: composition only.

Each command's work is in a module of its own, imported when it runs.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from cli.bench import app as bench_app
from cli.certificates import certificates
from cli.egress import app as egress_app
from cli.evaluate import app as evaluate_app
from cli.experiment import app as experiment_app
from cli.formats import FileFormat, OutputFormat
from cli.ports import PAGE_PORT
from cli.recordings import COMMANDS as RECORDING_COMMANDS
from cli.roles import RoleName
from cli.sessions import app as sessions_app
from cli.sessions import retention
from cli.tokens import COMMANDS as TOKEN_COMMANDS
from cli.tokens import TenantOption
from cli.train import app as train_app
from cli.verify import app as verify_app
from runtime.errors import AffectstreamError

if TYPE_CHECKING:
    from runtime.settings import Settings

app = typer.Typer(
    name="affectstream",
    help="Live emotion from voice and face, fused in event time on Kafka, driving 3D avatars.",
    epilog="Every setting of a role is an environment variable, AFFECTSTREAM_<NAME>; see the README.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_app = typer.Typer(help="Kafka topics.", no_args_is_help=True)
models_app = typer.Typer(help="Model files: what they are, their licences, and fetching them.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(models_app, name="models")
app.add_typer(verify_app, name="verify")
app.add_typer(bench_app, name="bench")
app.add_typer(evaluate_app, name="eval")
app.add_typer(egress_app, name="egress")
app.add_typer(evaluate_app, name="eval")
app.add_typer(train_app, name="train")
app.add_typer(experiment_app, name="experiment")
app.add_typer(sessions_app, name="sessions")
app.command()(retention)

console = Console(stderr=True, highlight=False)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where Kafka's log, ClickHouse and the logs lie.", show_default=False)
]


def main() -> None:
    """Run the command line; errors of ours become one line and exit code 2."""
    try:
        app()
    except AffectstreamError as error:
        # Escaped: pip's affectstream[extra] is no markup.
        console.print(f"[red]affectstream:[/red] {escape(str(error))}", markup=True, soft_wrap=True)
        sys.exit(2)


def progress(line: str) -> None:
    """Say what takes a while."""
    console.print(f"[dim]·[/dim] {line}", soft_wrap=True)


def read_settings(**overrides: object) -> "Settings":
    """The environment, read once, here; then what the command line says."""
    from runtime.settings import Settings

    return Settings.from_env(os.environ, **overrides)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def run(
    role: Annotated[RoleName, typer.Argument(help="What this process shall be.")],
    instance: Annotated[str | None, typer.Option(help="Tells replicas of a role apart.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port, if the role has one.", show_default=False)] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Prometheus port.", show_default=False)] = None,
    partitions: Annotated[
        str | None,
        typer.Option(
            help="fusion: the group of partitions that this process takes, as in 0-5 or 0,2,7-9. Default: all of them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be one role of the product until SIGTERM, as in production. Settings come from the environment."""
    from cli.partitions import parse_partitions, require_partitions_for
    from cli.roles import run_role, spare_threads

    spare_threads(os.environ)
    owned = None if partitions is None else parse_partitions(partitions)
    require_partitions_for(role, owned)
    run_role(role, read_settings(instance=instance, port=port, metrics_port=metrics_port), owned)


@app.command()
def rescale(
    groups: Annotated[list[str], typer.Argument(help="The new groups, as in: 0-2 3-5")],
    data_dir: DataDir = None,
) -> None:
    """Share the partitions of fusion's recovery stores anew: one group becomes several, or several one.

    Stop the fusion processes of the old groups first, and bring their stores together in one data folder. Then start
    `affectstream run fusion --partitions GROUP` for each of the new ones.
    """
    from cli.partitions import parse_partitions
    from dataflows.rescale import rescale as share_anew

    for path in share_anew(read_settings(data_dir=data_dir), [parse_partitions(group) for group in groups]):
        typer.echo(path)


@app.command()
def report(
    session: Annotated[str, typer.Argument(help="A session's id, or: latest.")] = "latest",
    out: Annotated[Path, typer.Option(help="Folder for the PNG and the HTML page.", file_okay=False)] = Path(),
    data_dir: DataDir = None,
) -> None:
    """Print what a session was like, and draw its timeline as PNG and HTML."""
    from cli.analysis import report_session

    report_session(read_settings(data_dir=data_dir), session, out, Console())


@app.command()
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


@app.command()
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


@app.command()
def wall(
    url: Annotated[str, typer.Option(help="Where the page is.")] = f"http://127.0.0.1:{PAGE_PORT}",
    hours: Annotated[float, typer.Option(help="For how long the address works.", min=0.01, max=24 * 31)] = 24.0,
    tenant: TenantOption = "default",
) -> None:
    """Print an address of the wall: every live session's avatar. A secret, for whoever has it sees them.

    It is signed with the deployment's own AFFECTSTREAM_TOKEN_KEY, which must be in the environment.
    """
    from cli.links import wall_link
    from cli.tokens import checked_tenant
    from runtime.clock import SystemClock

    require_token_key()
    whose, ttl_s = checked_tenant(tenant), int(hours * 3_600)
    typer.echo(wall_link(read_settings(), SystemClock(), url.rstrip("/"), ttl_s=ttl_s, tenant=whose))


@app.command()
def analyst(
    url: Annotated[str, typer.Option(help="Where the page is.")] = f"http://127.0.0.1:{PAGE_PORT}",
    hours: Annotated[float, typer.Option(help="For how long the address works.", min=0.01, max=24 * 31)] = 24.0,
    tenant: TenantOption = "default",
) -> None:
    """Print an address of the analyst page, which shows what is known of every session: a secret, as the wall's is.

    It reads and changes nothing. Signed with the deployment's own AFFECTSTREAM_TOKEN_KEY, which must be in the
    environment.
    """
    from cli.links import analyst_link
    from cli.tokens import checked_tenant
    from runtime.clock import SystemClock

    require_token_key()
    whose, ttl_s = checked_tenant(tenant), int(hours * 3_600)
    typer.echo(analyst_link(read_settings(), SystemClock(), url.rstrip("/"), ttl_s=ttl_s, tenant=whose))


def token_key_given() -> bool:
    """Whether the environment has the deployment's key."""
    return bool(os.environ.get("AFFECTSTREAM_TOKEN_KEY"))


def require_token_key() -> None:
    """Raise SettingsError unless it has."""
    from runtime.errors import SettingsError

    if not token_key_given():
        msg = "set AFFECTSTREAM_TOKEN_KEY to the key of the deployment: a token signed with another opens nothing"
        raise SettingsError(msg)


@app.command()
def setup(
    no_sample: Annotated[bool, typer.Option("--no-sample", help="All but the sample session.")] = False,
) -> None:
    """Prepare everything that can be prepared: Kafka, models, the sample session, compiled code. Safe to repeat."""
    from cli.setup import prepare_everything

    prepare_everything(read_settings(), os.environ, progress, with_sample=not no_sample)


@app.command()
def sample() -> None:
    """Make the sample session if it is not there, and say where it lies."""
    from cli.sample import prepare

    made = prepare(read_settings(), progress)
    typer.echo(made.video)
    typer.echo(made.audio)


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing."""
    from cli.topics import create

    create(read_settings(), Console())


@topics_app.command("list")
def topics_list() -> None:
    """Print the table of topics: schema, retention, writers, readers."""
    from cli.topics import show

    show(read_settings(), Console())


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Which; none: the defaults.", show_default=False)] = None,
) -> None:
    """Fetch model files into the cache and check their sums."""
    from cli.models import pull

    pull(read_settings(), names or None, progress)


@models_app.command("quantize")
def models_quantize(
    name: Annotated[str, typer.Argument(help="face_emotion or speech_emotion.")],
    to: Annotated[Literal["fp16", "int8"], typer.Option(help="fp16: for GPUs. int8: calibrated with --data.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled data as `eval` takes it; half calibrates, half judges. Without: fp16 only, not judged.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. Default: NAME.FORM.onnx here.", show_default=False)
    ] = None,
) -> None:
    """Write a network in a smaller form by onnxruntime's tools; prints what that costs in accuracy, bytes and time."""
    from cli.quantising import quantize

    quantize(read_settings(), name, to, data, out, Console(highlight=False), progress)


@models_app.command("export")
def models_export(
    name: Annotated[Literal["sensevoice"], typer.Argument(help="Which.")],
    source: Annotated[Path | None, typer.Option("--from", help="Directory; none: the settings'.")] = None,
) -> None:
    """Write a model as ONNX beside its weights, for the engine sensevoice-onnx."""
    from cli.models import export

    del name
    export(read_settings(), source, progress)


@models_app.command("serve")
def models_serve(
    port: Annotated[int, typer.Option(help="Where; the address is AFFECTSTREAM_HOST.")] = 8430,
) -> None:
    """Serve the speech engine of AFFECTSTREAM_SPEECH_ENGINE by HTTP, for workers with the engine remote."""
    from cli.models import serve

    serve(read_settings(), port, progress)


@models_app.command("list")
def models_list() -> None:
    """Print every model, its licence, and whether it is in the cache."""
    from cli.models import show

    show(read_settings(), Console())


@app.command()
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


@app.command()
def plan(  # noqa: PLR0917 - options, given by name
    sessions: Annotated[int, typer.Option(help="At once, at the busiest hour.", min=1)],
    media: Annotated[
        float, typer.Option(help="Share of sessions whose camera and microphone the workers analyse.", min=0, max=1)
    ] = 0.0,
    viewers: Annotated[float, typer.Option(help="Of each session.", min=0)] = 1.0,
    busy: Annotated[float, typer.Option(help="Mean of the day over its busiest hour.", min=0, max=1)] = 0.35,
    figures: Annotated[
        Path | None, typer.Option(help="Another file of figures.", show_default=False, dir_okay=False)
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Let parts of it fail for some days.")] = False,
    days: Annotated[float, typer.Option(help="Of the simulation.", min=0.01, max=3_650)] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How many partitions, brokers, processes, disks and how much network so many sessions take.

    From the measured cost of a session, with the formulas and the sources of every figure. No prices.
    """
    from cli.planning import command, simulation
    from cli.planning.figures import FILE, read_figures
    from cli.planning.sizing import Demand, make_plan

    known = read_figures(figures or FILE)
    made = make_plan(known, Demand(sessions, media, viewers, busy))
    report = simulation.simulate(made, known, days=days, seed=seed) if simulate else None
    if as_json:
        typer.echo(command.as_json(made, report))
        return
    console = Console(highlight=False)
    command.show(made, known, console)
    if report is not None:
        command.show_simulation(report, console)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("affectstream"))


for _command in (*RECORDING_COMMANDS, *TOKEN_COMMANDS, certificates):
    app.command()(_command)
