"""``affectstream models …``."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cli.terminal import progress, read_settings

app = typer.Typer(help="Model files: what they are, their licences, and fetching them.", no_args_is_help=True)


@app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Which; none: the defaults.", show_default=False)] = None,
) -> None:
    """Fetch model files into the cache and check their sums."""
    from cli.models import pull

    pull(read_settings(), names or None, progress)


@app.command("quantize")
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


@app.command("export")
def models_export(
    name: Annotated[Literal["sensevoice"], typer.Argument(help="Which.")],
    source: Annotated[Path | None, typer.Option("--from", help="Directory; none: the settings'.")] = None,
) -> None:
    """Write a model as ONNX beside its weights, for the engine sensevoice-onnx."""
    from cli.models import export

    del name
    export(read_settings(), source, progress)


@app.command("serve")
def models_serve(
    port: Annotated[int, typer.Option(help="Where; the address is AFFECTSTREAM_HOST.")] = 8430,
) -> None:
    """Serve the speech engine of AFFECTSTREAM_SPEECH_ENGINE by HTTP, for workers with the engine remote."""
    from cli.models import serve

    serve(read_settings(), port, progress)


@app.command("list")
def models_list() -> None:
    """Print every model, its licence, and whether it is in the cache."""
    from cli.models import show

    show(read_settings(), Console())
