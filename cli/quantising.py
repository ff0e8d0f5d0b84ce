"""``affectstream models quantize``: a smaller form of a network, and what it costs."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inference_workers import models
from runtime.errors import PrerequisiteError
from runtime.settings import Settings


def quantize(  # noqa: PLR0917 - one call, by position
    settings: Settings,
    name: str,
    form: str,
    data: Path | None,
    out: Path | None,
    console: Console,
    progress: Callable[[str], None],
) -> None:
    """Write the named model in another form, and print accuracy, size and time of both.

    Raises PrerequisiteError without the extra, SettingsError for a model or a form that does not go.
    """
    try:
        from inference_workers.quantisation import Form, items_of, quantise  # noqa: PLC0415
    except ImportError as error:
        raise PrerequisiteError(
            f"converting networks needs the extra: pip install 'affectstream[quantize]' ({error})"
        ) from error

    items = items_of(name, data)
    source = models.locate(settings, name)
    target = out or Path(f"{name}.{form}.onnx")
    progress(f"{name}: to {form}, {len(items.inputs)} {'labelled ' if data else 'random '}items")
    table = Table(name, box=None, pad_edge=False)
    for column in ("bytes", "accuracy", "agrees with now", "ms an item"):
        table.add_column(column, justify="right")
    for title, found in quantise(source, target, Form(form), items):
        accuracy = "unknown" if found.accuracy is None else f"{found.accuracy:.4f}"
        table.add_row(title, f"{found.bytes:,}", accuracy, f"{found.agreement:.4f}", f"{found.ms:.2f}")
    console.print(table)
    console.print(f"CPU time of one thread; written to {target}", soft_wrap=True)
