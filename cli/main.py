"""The ``affectstream`` command: composition only.

Each command's work is in a module of its own, imported when it runs.
"""

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from cli.bench import app as bench_app
from cli.certificates import certificates
from cli.commands import asking, operating, starting
from cli.commands.models import app as models_app
from cli.commands.topics import app as topics_app
from cli.egress import app as egress_app
from cli.evaluate import app as evaluate_app
from cli.experiment import app as experiment_app
from cli.recordings import COMMANDS as RECORDING_COMMANDS
from cli.sessions import app as sessions_app
from cli.sessions import retention
from cli.terminal import console
from cli.tokens import COMMANDS as TOKEN_COMMANDS
from cli.train import app as train_app
from cli.verify import app as verify_app
from runtime.errors import AffectstreamError

app = typer.Typer(
    name="affectstream",
    help="Live emotion from voice and face, fused in event time on Kafka, driving 3D avatars.",
    epilog="Every setting of a role is an environment variable, AFFECTSTREAM_<NAME>; see the README.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(installed("affectstream"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


def version() -> None:
    """Print the version."""
    _print_version(True)


START: Final = "Begin here"
OPERATE: Final = "Run it"
ASK: Final = "What is known of sessions"
RECORDINGS: Final = "Recordings"
MEASURE: Final = "Check and measure"

Command = Callable[..., Any]
COMMANDS: Final[Mapping[str, tuple[Command, ...]]] = {
    START: (
        starting.setup, starting.demo, starting.play, starting.sample, starting.doctor, starting.edge, version,
    ),
    OPERATE: (
        operating.run, operating.plan, operating.rescale, *TOKEN_COMMANDS, certificates, operating.wall,
        operating.analyst,
    ),
    ASK: (asking.report, asking.sql, asking.export, retention),
    RECORDINGS: RECORDING_COMMANDS,
}  # fmt: skip
"""As --help shows them."""
GROUPS: Final[Mapping[str, Mapping[str, typer.Typer]]] = {
    OPERATE: {"topics": topics_app, "models": models_app, "egress": egress_app},
    ASK: {"sessions": sessions_app, "experiment": experiment_app},
    MEASURE: {"verify": verify_app, "bench": bench_app, "eval": evaluate_app, "train": train_app},
}

for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
for _panel, _groups in GROUPS.items():
    for _name, _group in _groups.items():
        app.add_typer(_group, name=_name, rich_help_panel=_panel)


def main() -> None:
    """Run the command line; errors of ours become one line and exit code 2."""
    try:
        app()
    except AffectstreamError as error:
        # Escaped: pip's affectstream[extra] is no markup.
        console.print(f"[red]affectstream:[/red] {escape(str(error))}", markup=True, soft_wrap=True)
        sys.exit(2)
