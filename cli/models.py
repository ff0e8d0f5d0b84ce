"""``affectstream models``: the workers' model files."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from inference_workers import models
from runtime.settings import Settings


def pull(settings: Settings, names: Sequence[str] | None, progress: Callable[[str], None]) -> None:
    """Fetch the named models, or the defaults; raises ModelError."""
    models.pull(settings, names, lambda event: progress(str(event)))


def show(settings: Settings, console: Console) -> None:
    """Every model of the manifest."""
    table = Table(box=None, pad_edge=False)
    for column in ("model", "licence", "MB", "in the cache", "what"):
        table.add_column(column, justify="right" if column == "MB" else "left", no_wrap=column != "what")
    for entry in models.listing(settings):
        asset = entry.asset
        table.add_row(asset.name, asset.licence, f"{asset.bytes / 1e6:.1f}", entry.state, asset.what)
    console.print(table)
