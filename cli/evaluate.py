"""``affectstream eval …``: how well the engines answer, on labelled data of yours.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from cli.terminal import progress, read_settings

app = typer.Typer(help="How well the engines answer, on labelled data.", no_args_is_help=True)


PUBLIC_TEST: Final = Path("../shared/data/fer2013/PublicTest.tar.gz")
EMODB: Final = Path("../shared/data/emodb")
"""Where a development machine has labelled data."""

Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]


class FaceEmotionName(StrEnum):
    """What tells emotions of faces."""

    NETWORK = "network"
    RULE = "rule"


class VisemeEngineName(StrEnum):
    """Engines that read visemes."""

    NETWORK = "network"
    SPECTRAL = "spectral"


@app.callback()
def evaluate() -> None:
    """How well the engines answer, on labelled data. Nothing is trained or chosen by what these commands read."""


@app.command()
def speech(
    data: Annotated[
        list[Path],
        typer.Option(
            help="Folder with manifest.csv (path,label,speaker), or files named as in EMO-DB or RAVDESS. Repeatable.",
            exists=True,
            file_okay=False,
        ),
    ],
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="Also train anew without each of the speakers that the model knows, and ask about that one (minutes).",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Emotion of clips of speech: macro-F1, UAR, classes, apart for speakers that the model was trained on.

    A clip's answer is the mean of those for its windows of 1 s. Boredom, which is none of our emotions, is left out.
    """
    from cli.speech_evaluation import evaluate_emotion  # noqa: PLC0415

    found = evaluate_emotion(read_settings(), data, leave_one_out, Console(), progress)
    if as_json:
        typer.echo(json.dumps(found))


@app.command()
def viseme(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of recordings with NAME.TextGrid, NAME.csv or one labels.csv of timed phones or visemes; "
            "files named as in RAVDESS are aligned with the sentence they hold.",
            exists=True,
            file_okay=False,
        ),
    ],
    align: Annotated[
        str | None,
        typer.Option(help="The English sentence in every recording that has no labels.", show_default=False),
    ] = None,
    engine: Annotated[
        list[VisemeEngineName] | None, typer.Option(help="Default: all of them.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="So many of the recordings, spread evenly.", min=1, show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Visemes of recordings, hop by hop as the worker publishes them: share that is right, and how late they are.

    A hop is right if its best viseme is the one in the middle of its 40 ms. The offset is how long before the hop's
    end, for which fusion takes it, the speech lies that it fits best. JSON has the figures of the first engine, and
    each engine's under "engines".
    """
    from cli.speech_evaluation import evaluate_visemes  # noqa: PLC0415

    chosen = [each.value for each in engine or list(VisemeEngineName)]
    found = evaluate_visemes(read_settings(), data, chosen, align, limit, Console(), progress)
    if as_json:
        typer.echo(json.dumps(found))


@app.command()
def face(  # noqa: PLR0917 - options, given by name
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with a folder of pictures for each emotion, named neutral, happy, sad, angry, surprise, fear, "
            "disgust (or anger, happiness, …).",
            exists=True,
            file_okay=False,
        ),
    ],
    crops: Annotated[
        bool | None,
        typer.Option(
            "--crops/--pictures",
            help="Each picture is a face, as in FER2013; or the face is found in it first. Default: by its size, up to "
            "128 pixels is a crop.",
            show_default=False,
        ),
    ] = None,
    emotion: Annotated[
        FaceEmotionName, typer.Option(help="Our network, or the rule over Action Units, which needs a face found.")
    ] = FaceEmotionName.NETWORK,
    weights: Annotated[
        Path | None,
        typer.Option(help="Another network in place of ours, of the same form.", exists=True, dir_okay=False),
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also fer, DeepFace and hsemotion-onnx on the crops, from the source tree.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Emotion of faces: accuracy, macro-F1, classes, confusion, and whether confidences mean what they say.

    A whole picture in which no face is found counts as answered wrongly.

    The engine is that of AFFECTSTREAM_FACE_ENGINE.
    """
    if peers:
        from cli.bench import require_benchmarks  # noqa: PLC0415

        require_benchmarks()
    from cli.face_evaluation import evaluate_faces  # noqa: PLC0415
    from inference_workers.evaluation.face import Given  # noqa: PLC0415

    found = evaluate_faces(
        read_settings(),
        data,
        Given.AUTO if crops is None else Given.CROPS if crops else Given.PICTURES,
        network=emotion is FaceEmotionName.NETWORK,
        weights=weights,
        peers=peers,
        console=Console(),
        progress=progress,
    )
    if as_json:
        typer.echo(json.dumps(found))


@app.command()
def fusion(
    faces: Annotated[
        Path, typer.Option(help="Pictures in folders named as emotions, or a tar file of such folders.")
    ] = PUBLIC_TEST,
    speech: Annotated[Path, typer.Option(help="Clips as for `eval speech`.", file_okay=False)] = EMODB,
    limit: Annotated[
        int | None, typer.Option(help="So many of the utterances, spread evenly.", min=6, show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether fusing pays: UAR of face, of speech and of both, as either gets worse. Minutes.

    Faces and utterances of the same emotion are paired across people: nobody's face and voice belong together. Speakers
    that the speech model knows are answered by models trained here without them.
    """
    from cli.fusion_evaluation import evaluate_fusion  # noqa: PLC0415
    from runtime.errors import PrerequisiteError  # noqa: PLC0415

    for option, path in (("--faces", faces), ("--speech", speech)):
        if not path.exists():
            raise PrerequisiteError(f"{path} is not there: say with {option} where labelled data lies")
    found = evaluate_fusion(read_settings(), faces, speech, limit, Console(), progress)
    if as_json:
        typer.echo(json.dumps(found))


@app.command()
def loop(  # noqa: PLR0917 - options, given by name
    head: Annotated[
        Path | None,
        typer.Option(
            help="GLB of a head whose morph targets carry ARKit's names; without: our own avatar, a drawn one.",
            exists=True, dir_okay=False, show_default=False,
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(help="Of the act.", min=60)] = 1_200,
    seed: Annotated[int, typer.Option(help="Another one is another act.")] = 1,
    raw: Annotated[bool, typer.Option("--raw", help="Scores as the network gives them, without gain curves.")] = False,
    fit: Annotated[
        Path | None,
        typer.Option(help="Instead: fit gain curves on sweeps of this head and write them here.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Known blendshapes and poses rendered on a head, filmed, and read by the face engine: correlation and error.

    What the head does is known exactly, so what is lost is the engine's. A head without textures gets brows and lips.
    """
    import cli.loop as closed  # noqa: PLC0415
    from cli.heads import Head  # noqa: PLC0415
    from inference_workers import face_engines  # noqa: PLC0415
    from inference_workers.engines.gains import NONE  # noqa: PLC0415

    settings = read_settings()
    engine = face_engines.landmarker(settings, gains=NONE if raw or fit is not None else None)
    subject = Head(head or closed.default_head(Path(__file__).resolve().parents[1]))
    closed.make_up(subject, engine)
    if fit is not None:
        gains = closed.fit(engine, [subject], progress)
        gains.save(
            fit, {"head": subject.name, "command": f"affectstream eval loop --head {subject.name}.glb --fit {fit.name}"}
        )
        progress(f"{len(gains.curves)} curves in {fit}")
        return
    found = closed.evaluate(engine, subject, pictures, seed, progress)
    closed.show(found, Console())
    if as_json:
        typer.echo(json.dumps(found.keys()))
