"""``affectstream record``, ``replay``, ``diff`` and ``regress``.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
import math
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.terminal import console, progress, read_settings
from runtime.errors import SettingsError

if TYPE_CHECKING:
    from analytics.recordings.diffing import Difference


Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]
TolerancesFile = Annotated[
    Path | None,
    typer.Option(help="YAML, channels: {pattern: number}: what may differ by how much.", show_default=False),
]
SHOWN: Final = 12


class Source(StrEnum):
    """From where a replay begins."""

    SIGNALS = "signals"
    MEDIA = "media"


def record(
    sessions: Annotated[list[str], typer.Argument(help="Ids of sessions that have ended.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, by custom with the extension .afr.")],
    follow: Annotated[bool, typer.Option("--follow", help="Wait for the end of sessions that still run.")] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Not sealed: readable by everybody, and still so when a session is erased."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write sessions from Kafka's log to one self-describing file.

    Signals and frames always; sound and pictures only of sessions whose consent to store raw media stands. The file is
    sealed with the sessions' keys: it opens where those are, until one of the sessions is erased.
    """
    from cli.recorder import record as write  # noqa: PLC0415
    from runtime.clock import SystemClock  # noqa: PLC0415

    written = write(read_settings(), sessions, out, SystemClock(), progress, follow=follow, sealed=not plain)
    counts = ", ".join(f"{count:,} {topic}" for topic, count in written.counts.items())
    console.print(f"{written.path}: {written.bytes:,} bytes, {counts}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"path": str(written.path), "bytes": written.bytes, "counts": dict(written.counts)}))


def replay(  # noqa: PLR0917 - options, given by name
    file: Annotated[Path, typer.Argument(help="A recording.")],
    source: Annotated[
        Source, typer.Option("--from", help="signals: fuse them anew. media: infer anew, too.")
    ] = Source.SIGNALS,
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "max",
    roles: Annotated[
        bool, typer.Option("--roles", help="Signals at max speed, too, through a real fusion process and Kafka.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Record the replay.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Run a recording through the real pipeline again, and compare its frames with those that were recorded.

    From signals at max speed in this process; otherwise through real roles on topics of its own. From signals the exit
    code is 1 unless the frames are identical; from media, differences are reported by channel.
    """
    from analytics.recordings.reading import open_recording  # noqa: PLC0415
    from analytics.recordings.sealed import is_sealed, sealing_for  # noqa: PLC0415
    from analytics.recordings.writing import writing  # noqa: PLC0415
    from cli.laboratory import laboratory  # noqa: PLC0415
    from cli.replaying import header_of, replay_in_process, replay_through_roles  # noqa: PLC0415
    from runtime.keystore import key_store  # noqa: PLC0415
    from schemas.topics import SIGNALS  # noqa: PLC0415

    times = _speed(speed)
    keys = key_store(read_settings().data_dir)
    recording = open_recording(file, keys)
    if source is Source.SIGNALS and not times and not roles:
        replayed = replay_in_process(recording)
    else:
        with laboratory(read_settings(), os.environ, progress) as settings:
            replayed = replay_through_roles(settings, recording, source.value, times, progress)
    if out is not None:
        # What comes of a sealed recording is sealed like it.
        sessions = [session.session_id for session in recording.header.sessions]
        sealing = sealing_for(keys, sessions) if is_sealed(file) else None
        with writing(out, header_of(recording, replayed, times), sealing) as writer:
            given = list(replayed.entries)
            if source is Source.SIGNALS:
                given = [*recording.of(SIGNALS), *given]
            for entry in given:
                writer.add(entry)
    console.print(
        f"{len(replayed.frames):,} frames of {replayed.seconds:.1f} s in {replayed.took_s:.3f} s: "
        f"{replayed.speedup:,.0f}x real time; sha256 {replayed.frames.sha256}",
        soft_wrap=True,
    )
    if replayed.difference is None:
        progress("the recording holds no frames to compare with")
    else:
        _show(replayed.difference, "recorded", "replayed")
    if as_json:
        typer.echo(json.dumps(replayed.keys()))
    sys.exit(0 if replayed.ok else 1)


def diff(
    a: Annotated[Path, typer.Argument(help="A recording.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    tolerances: TolerancesFile = None,
    as_json: Json = False,
) -> None:
    """Compare two recordings' frames: exit code 0 if they are identical, or differ by no more than is tolerated."""
    from analytics.recordings.diffing import EXACT, Tolerances  # noqa: PLC0415
    from cli.regression import diff as compare  # noqa: PLC0415
    from runtime.keystore import key_store  # noqa: PLC0415

    keys = key_store(read_settings().data_dir)
    difference = compare(a, b, EXACT if tolerances is None else Tolerances.read(tolerances), keys)
    _show(difference, "A", "B")
    if as_json:
        typer.echo(json.dumps(difference.keys()))
    sys.exit(0 if difference.identical or (tolerances is not None and difference.tolerated) else 1)


def regress(
    folder: Annotated[Path, typer.Argument(help="Golden recordings, *.afr, and tolerances.yaml.", file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for index.html and junit.xml.", file_okay=False)] = Path(
        "regression"
    ),
    as_json: Json = False,
) -> None:
    """Replay golden recordings and hold the frames against those in them; exit code 1 if one diverges."""
    from cli.regression import regress as run  # noqa: PLC0415

    found = run(folder, out, progress)
    console.print(f"{found.page}\n{found.junit}", soft_wrap=True)
    if as_json:
        results = [
            {
                "name": case.name,
                "passed": case.passed,
                "error": case.error or None,
                "difference": None if case.difference is None else case.difference.keys(),
            }
            for case in found.cases
        ]
        typer.echo(json.dumps({"passed": found.ok, "cases": results}))
    sys.exit(0 if found.ok else 1)


COMMANDS: Final = (record, replay, diff, regress)


def _speed(text: str) -> float:
    """Times real time; 0: as fast as it goes."""
    if text == "max":
        return 0.0
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise SettingsError(f"--speed {text}: give a number above 0, for instance 4, or max")
    return found


def _show(difference: "Difference", a: str, b: str) -> None:
    if difference.identical:
        console.print(f"identical: {difference.compared:,} frames", soft_wrap=True)
        return
    if difference.first is not None:
        first = str(difference.first).replace("only in A", f"only {a}").replace("only in B", f"only {b}")
        console.print(f"first divergence ({a}, {b}): {first}", soft_wrap=True, markup=False)
    console.print(
        f"{difference.compared:,} frames in both, {difference.only_in_a:,} only {a}, {difference.only_in_b:,} only {b}",
        soft_wrap=True,
    )
    from analytics.recordings.frames import UNITS  # noqa: PLC0415

    channels = sorted(difference.channels.items(), key=lambda each: -each[1].frames)
    for name, error in channels[:SHOWN]:
        console.print(f"  {name:32} up to {error.largest:g} {UNITS.get(name, '')}, {error.frames:,} frames beyond")
    if len(channels) > SHOWN:
        console.print(f"  and {len(channels) - SHOWN} channels more")
