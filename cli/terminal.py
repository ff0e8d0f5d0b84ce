"""What commands have in common: saying what takes a while, and the settings, read once from the environment."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

if TYPE_CHECKING:
    from runtime.settings import Settings

console: Final = Console(stderr=True, highlight=False)
"""For people; results go to stdout."""

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where Kafka's log, ClickHouse and the logs lie.", show_default=False)
]


def progress(line: str) -> None:
    """Say what is done now; results go to stdout, this does not."""
    console.print(f"[dim]·[/dim] {line}", soft_wrap=True)


def read_settings(**overrides: object) -> "Settings":
    """The environment, read once, here; then what the command line says."""
    from runtime.settings import Settings  # noqa: PLC0415

    return Settings.from_env(os.environ, **overrides)


def token_key_given() -> bool:
    """Whether the environment has the deployment's key."""
    return bool(os.environ.get("AFFECTSTREAM_TOKEN_KEY"))


def require_token_key() -> None:
    """Raise SettingsError unless it has."""
    from runtime.errors import SettingsError  # noqa: PLC0415

    if not token_key_given():
        msg = "set AFFECTSTREAM_TOKEN_KEY to the key of the deployment: a token signed with another opens nothing"
        raise SettingsError(msg)
