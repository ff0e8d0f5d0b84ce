"""``affectstream train …``: the shipped models made anew, or models of your own on your data.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.terminal import progress, read_settings
from runtime.errors import PrerequisiteError, SettingsError

app = typer.Typer(help="Train models: ours anew, or your own on your data.", no_args_is_help=True)


Seed = Annotated[int, typer.Option(help="The same data, seed, machine and versions give the same model.", min=0)]


@app.callback()
def train() -> None:
    """Train models: ours anew, or your own on your data. Needs the extra `train`: pip install 'affectstream[train]'."""


@app.command()
def face(  # noqa: PLR0917 - options, given by name
    data: Annotated[
        Path,
        typer.Option(
            help="FER2013 (fer2013.csv, or train/ and validation/ with a folder for each emotion), AffectNet, or "
            "RAF-DB, as their authors publish them.",
            exists=True,
            file_okay=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for face_emotion.onnx, its card, and checkpoints.", file_okay=False)
    ],
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1, show_default=False)] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last whole epoch that OUT holds.")] = False,
    processes: Annotated[
        int,
        typer.Option(help="Share the work among so many; 1: a thread for each core.", min=1, max=64),
    ] = 1,
) -> None:
    """The network for emotions of faces: fitted, calibrated on pictures kept apart, judged, written with its card.

    Use it by AFFECTSTREAM_FACE_EMOTION_WEIGHTS, or judge it by `affectstream eval face --weights`.
    """
    try:
        from inference_workers.training.face.fitting import Recipe  # noqa: PLC0415
        from inference_workers.training.face.pipeline import train as train_face  # noqa: PLC0415
    except ImportError as error:
        raise PrerequisiteError(f"training needs the extra: pip install 'affectstream[train]' ({error})") from error

    if not resume and (out / "checkpoints").exists() and "LOCAL_RANK" not in os.environ:
        raise PrerequisiteError(f"{out} holds a training already: go on with --resume, or give another folder")
    recipe = Recipe(seed=seed) if epochs is None else Recipe(seed=seed).of(epochs)
    arguments = shlex.join(sys.argv[1:])
    result = train_face(
        data,
        out,
        recipe,
        resume=resume,
        processes=processes,
        command=f"affectstream {arguments}",
        progress=progress,
    )
    if result is not None:
        scores = result.validation.scores
        Console(highlight=False).print(
            f"accuracy {scores.accuracy:.3f}, macro-F1 {scores.macro_f1:.3f}, calibration error "
            f"{result.validation.ece:.3f} on {scores.n} pictures\n{result.weights}\n{result.card}",
            soft_wrap=True,
        )


@app.command()
def speech(
    data: Annotated[
        Path,
        typer.Option(
            help="EMO-DB, CREMA-D, IEMOCAP or RAVDESS as their authors publish them, or a folder with manifest.csv "
            "(path,label,speaker).",
            exists=True,
            file_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.", dir_okay=False)],
    evaluate: Annotated[
        list[Path] | None,
        typer.Option(help="Another corpus: answered only. May be repeated.", exists=True, show_default=False),
    ] = None,
    seed: Seed = 0,
    variations: Annotated[int, typer.Option(help="Random variations of each clip.", min=0)] = 5,
) -> None:
    """The network for emotions of speech: each speaker is left out once, then all are trained on.

    Models that are shipped are not trained on RAVDESS or IEMOCAP, whose terms forbid it; models of your own may be.
    """
    from inference_workers.training import speech_emotion  # noqa: PLC0415

    others = [argument for folder in evaluate or [] for argument in ("--evaluate", str(folder))]
    speech_emotion.main(
        ["--data", str(data), "--out", str(out), "--seed", str(seed), "--variations", str(variations), *others]
    )


@app.command()
def viseme(  # noqa: PLR0917 - options, given by name
    out: Annotated[Path, typer.Option(help="Folder for viseme.onnx, its card and checkpoints.", file_okay=False)],
    utterances: Annotated[int, typer.Option(help="So many are synthesised.", min=10)] = 1_800,
    variations: Annotated[int, typer.Option(help="Of each utterance.", min=1)] = 1,
    epochs: Annotated[int, typer.Option(min=1)] = 12,
    look_ahead_ms: Annotated[
        int, typer.Option(help="How long before the end of the sound the answer is for: 0, 10, 20, 30, 40 or 60.")
    ] = 20,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted run left in OUT.")] = False,
) -> None:
    """The network for visemes, on speech that espeak-ng speaks: no data of yours is needed. Minutes on one core."""
    try:
        from inference_workers.training import viseme_pipeline as making  # noqa: PLC0415
    except ImportError as error:
        raise PrerequisiteError(f"training needs the extra: pip install 'affectstream[train]' ({error})") from error
    from cli.sample import MANIFEST  # noqa: PLC0415
    from runtime.assets import fetch, load_manifest, log_progress  # noqa: PLC0415

    if look_ahead_ms not in making.LOOK_AHEADS_MS:
        raise SettingsError(f"--look-ahead-ms {look_ahead_ms}: one of {', '.join(map(str, making.LOOK_AHEADS_MS))}")
    if not resume and (out / "examples.npz").exists():
        raise PrerequisiteError(f"{out} holds a training already: go on with --resume, or give another folder")
    tools = read_settings().cache_dir / "tools"
    synthesiser = fetch(load_manifest(MANIFEST)["espeak_ng"], tools, log_progress)
    recipe = making.Recipe(utterances, variations, epochs, seed, look_ahead_ms)
    made = making.make(synthesiser, out, recipe, f"affectstream {shlex.join(sys.argv[1:])}", progress)
    typer.echo(f"{made.path}: {made.bytes} bytes, sha256 {made.sha256}")
