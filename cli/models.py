"""``affectstream models``: the workers' model files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inference_workers import models, sensevoice_model
from inference_workers.engines.choice import bare_speech_engine, module_of
from inference_workers.speech_contract import PATH
from inference_workers.speech_server import serve as serve_engine
from runtime.settings import Settings


def pull(settings: Settings, names: Sequence[str] | None, progress: Callable[[str], None]) -> None:
    """Fetch the named models, or the defaults; raises ModelError, PrerequisiteError."""
    ours = names if names is None else [name for name in names if name != sensevoice_model.NAME]
    if ours is None or ours:
        models.pull(settings, ours, lambda event: progress(str(event)))
    if names is not None and sensevoice_model.NAME in names:
        sensevoice_model.pull(settings, progress)


def export(settings: Settings, source: Path | None, progress: Callable[[str], None]) -> None:
    """Write SenseVoice's ``model.onnx`` beside its weights; raises ModelError, PrerequisiteError."""
    path = source or sensevoice_model.locate(settings, "torch")
    sensevoice_model.check(path, "torch")
    progress(f"{sensevoice_model.NAME}: exporting {path} by FunASR, which takes minutes …")
    made = module_of("sensevoice").SenseVoice(path).export_onnx(path)
    progress(f"{sensevoice_model.NAME}: {made}; run it with AFFECTSTREAM_SPEECH_ENGINE=sensevoice-onnx")


def serve(settings: Settings, port: int, progress: Callable[[str], None]) -> None:
    """Serve the speech engine of the settings until SIGTERM or SIGINT; raises as the worker would."""
    engine = bare_speech_engine(settings)
    engine.warm_up()
    progress(f"{engine.source} answers on http://{settings.host}:{port}{PATH}")
    serve_engine(engine, settings.host, port, settings.speech_token)


def show(settings: Settings, console: Console) -> None:
    """Every model of the manifest."""
    table = Table(box=None, pad_edge=False)
    for column in ("model", "licence", "MB", "in the cache", "what"):
        table.add_column(column, justify="right" if column == "MB" else "left", no_wrap=column != "what")
    for entry in models.listing(settings):
        asset = entry.asset
        table.add_row(asset.name, asset.licence, f"{asset.bytes / 1e6:.1f}", entry.state, asset.what)
    state = sensevoice_model.state(settings)
    size = f"{sensevoice_model.BYTES / 1e6:.1f}"
    table.add_row(sensevoice_model.NAME, sensevoice_model.LICENCE_NAME, size, state, sensevoice_model.WHAT)
    console.print(table)
