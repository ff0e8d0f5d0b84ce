"""``affectstream topics …``."""

import typer
from rich.console import Console

from cli.terminal import read_settings

app = typer.Typer(help="Kafka topics.", no_args_is_help=True)


@app.command("create")
def topics_create() -> None:
    """Create the topics that are missing."""
    from cli.topics import create

    create(read_settings(), Console())


@app.command("list")
def topics_list() -> None:
    """Print the table of topics: schema, retention, writers, readers."""
    from cli.topics import show

    show(read_settings(), Console())
