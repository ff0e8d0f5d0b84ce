"""``affectstream experiment``: plan one, look at one, decide.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.terminal import console, progress, read_settings
from runtime.errors import SettingsError

if TYPE_CHECKING:
    from analytics.experiments.analysis import Settings as Judging
    from schemas.experiments import Experiment

app = typer.Typer(
    help="Experiments: variants of mapping, fusion and smoothing, from the plan to the decision (docs/experiments.md).",
    no_args_is_help=True,
)

WIDTH: Final = 132

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]
File = Annotated[Path, typer.Argument(help="The experiment's YAML file.", exists=True, dir_okay=False)]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the report here, as one HTML page.", show_default=False)
]
Confidence = Annotated[float, typer.Option(help="Of intervals; 1 less it is the level of tests.", min=0.5, max=0.999)]
MinimumCell = Annotated[int, typer.Option(help="Units that a group's cell needs to be shown.", min=5)]


class CorrectionName(StrEnum):
    """How many metrics are corrected for."""

    HOLM = "holm"
    BH = "bh"
    NONE = "none"


CorrectionChoice = Annotated[
    CorrectionName, typer.Option(help="For many metrics: holm (any false finding), bh (their share), none.")
]


def _tables() -> Console:
    """Standard output, wide enough for tables where it is no terminal."""
    wide = Console(highlight=False)
    return wide if wide.is_terminal else Console(highlight=False, width=WIDTH)


def _experiment(file: Path) -> "Experiment":
    from runtime.experiments import read_experiment  # noqa: PLC0415

    return read_experiment(file)


def _judging(confidence: float, correction: CorrectionName, minimum_cell: int) -> "Judging":
    from analytics.experiments.analysis import Settings as Judging  # noqa: PLC0415

    return Judging(confidence, correction.value, minimum_cell)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A folder of experiments, or one file.", exists=True)],
) -> None:
    """Read experiments as the edge would, and say what is wrong with them; exit code 2 if anything is."""
    from runtime.experiments import read_experiments  # noqa: PLC0415

    found = [_experiment(path)] if path.is_file() else list(read_experiments(path))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("experiment", "status", "traffic", "primary", "units", "variants"):
        table.add_column(column)
    for each in found:
        shares = ", ".join(
            f"{v.name} {v.share:.0%}{' (control)' if v.name == each.control else ''}" for v in each.variants
        )
        table.add_row(each.name, each.status, f"{each.traffic:.0%}", each.primary, f"{each.units:,}", shares)
    _tables().print(table if found else "no experiments")


@app.command()
def assign(
    path: Annotated[Path, typer.Argument(help="A folder of experiments, or one file.", exists=True)],
    subjects: Annotated[list[str], typer.Argument(help="Subjects, or ids of sessions without one.")],
    as_json: AsJson = False,
) -> None:
    """Say which variant the edge gives to whom: live sessions with consent to sound and pictures."""
    from runtime.experiments import read_experiments  # noqa: PLC0415
    from schemas.experiments import Candidate, Catalogue  # noqa: PLC0415

    catalogue = Catalogue([_experiment(path)]) if path.is_file() else read_experiments(path)
    told = {}
    for subject in subjects:
        drawn = catalogue.assign(Candidate(subject, "live", audio=True, video=True))
        told[subject] = None if drawn is None else {"experiment": drawn[0].name, "variant": drawn[1].name}
        if not as_json:
            typer.echo(f"{subject}: {'in no experiment' if drawn is None else f'{drawn[0].name}, {drawn[1].name}'}")
    if as_json:
        typer.echo(json.dumps(told))


@app.command()
def plan(  # noqa: PLR0917 - options, given by name
    file: File,
    difference: Annotated[float, typer.Option(help="The smallest difference that would matter, in the metric's unit.")],
    deviation: Annotated[
        float | None, typer.Option(help="Standard deviation of a unit's value.", show_default=False)
    ] = None,
    baseline: Annotated[
        float | None, typer.Option(help="For a share (opt-outs): today's, in percent.", show_default=False)
    ] = None,
    power: Annotated[float, typer.Option(help="Probability of finding it.", min=0.5, max=0.999)] = 0.8,
    confidence: Confidence = 0.95,
    metrics: Annotated[int, typer.Option(help="Metrics that are tested, and corrected for.", min=1)] = 1,
    correlation: Annotated[
        float, typer.Option(help="Of a unit's value with its value from before (CUPED).", min=0, max=0.99)
    ] = 0.0,
    exposed: Annotated[float, typer.Option(help="Share of sessions that are seen.", min=0.01, max=1)] = 1.0,
    units_a_day: Annotated[
        float | None, typer.Option(help="Eligible units that come in a day.", min=0.01, show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many units an experiment needs, before it starts."""
    from analytics.experiments.planning import PlanError  # noqa: PLC0415
    from analytics.experiments.planning import plan as make  # noqa: PLC0415

    experiment = _experiment(file)
    shares = {variant.name: variant.share for variant in experiment.variants}
    try:
        made = make(
            shares, experiment.control, difference=difference, deviation=deviation, baseline_share=baseline,
            power=power, confidence=confidence, metrics=metrics, covariate_correlation=correlation, exposed=exposed,
            traffic=experiment.traffic, units_a_day=units_a_day,
        )  # fmt: skip
    except PlanError as error:
        raise SettingsError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(made.keys()))
        return
    rows = [
        ("difference", f"{difference:g}, {made.effect:.3f} standard deviations"),
        ("level, power", f"{made.alpha:.4g} (of {1 - confidence:.2g} over all comparisons), {power:.0%}"),
        ("units", f"{made.units:,} exposed: " + ", ".join(f"{name} {n:,}" for name, n in made.per_variant.items())),
        ("looking at any time", f"{made.units_sequential:,} at most, for the same power"),
        ("units to begin", f"{made.sessions:,}, of which {exposed:.0%} are exposed"),
    ]
    if made.days is not None:
        rows.append(("days", f"{made.days:.1f} at {units_a_day:g} units a day, {experiment.traffic:.0%} of them"))
    _print_rows(rows)
    typer.echo(f"\nWrite into {file}:  units: {made.units}")


@app.command()
def show() -> None:
    """List the experiments that analytics knows: how many were assigned and exposed, and whether the ratio holds."""
    from analytics.experiments.source import open_experiments  # noqa: PLC0415

    with open_experiments(read_settings()) as source:
        found = source.experiments()["experiments"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("experiment", "status", "assigned", "exposed", "ratio"):
        table.add_column(column)
    for each in found:
        counts = [
            ", ".join(f"{v['name']} {v[key]:,}" for v in each["variants"])
            for key in ("assigned_sessions", "exposed_sessions")
        ]
        table.add_row(each["name"], each["status"], *counts, each["srm"]["verdict"])
    _tables().print(table if found else "no experiments")


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="The experiment.")],
    out: Out = None,
    confidence: Confidence = 0.95,
    correction: CorrectionChoice = CorrectionName.HOLM,
    as_json: AsJson = False,
) -> None:
    """Say what came of an experiment, from the rows in ClickHouse."""
    from analytics.experiments.page import page  # noqa: PLC0415
    from analytics.experiments.source import open_experiments  # noqa: PLC0415

    with open_experiments(read_settings()) as source:
        found = source.experiment(name, confidence=confidence, correction=correction.value)
    _tell(found, {}, page(found) if out else "", out, as_json=as_json)


@app.command()
def ab(
    file: File,
    recordings: Annotated[list[Path], typer.Argument(help="Recordings (.afr), or folders of them.", exists=True)],
    out: Out = None,
    confidence: Confidence = 0.95,
    as_json: AsJson = False,
) -> None:
    """Fuse recorded sessions again under every variant, and compare them tick by tick with the control."""
    from analytics.experiments.page import pairs_page  # noqa: PLC0415
    from cli.refusing import recordings_in, tracks_under  # noqa: PLC0415
    from cli.simulating import paired  # noqa: PLC0415
    from runtime.keystore import key_store  # noqa: PLC0415

    experiment = _experiment(file)
    paths = recordings_in(recordings)
    tracks = tracks_under(experiment, paths, progress, key_store(read_settings().data_dir))
    pairs = paired(experiment, tracks, confidence)
    note = f"{len(paths)} recordings: {', '.join(path.name for path in paths[:8])}{' …' if len(paths) > 8 else ''}"
    _write(out, pairs_page(experiment.name, pairs, note=note) if out else "")
    _print_pairs(pairs)
    if as_json:
        typer.echo(json.dumps({"experiment": experiment.name, "same_session": pairs}))


@app.command()
def simulate(  # noqa: PLR0917 - options, given by name
    file: File,
    sessions: Annotated[int, typer.Option(help="People, a session each.", min=1, max=100_000)] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people and the same report.", min=0)] = 7,
    out: Out = None,
    confidence: Confidence = 0.95,
    correction: CorrectionChoice = CorrectionName.HOLM,
    minimum_cell: MinimumCell = 20,
    as_json: AsJson = False,
) -> None:
    """Try an experiment on simulated people: real assignment, fusion and statistics, made-up faces and opinions."""
    from analytics.experiments.page import page  # noqa: PLC0415
    from cli.simulating import simulate as run  # noqa: PLC0415

    made = run(_experiment(file), sessions, seed, progress, _judging(confidence, correction, minimum_cell))
    _tell(made.report, made.pairs, page(made.report, made.pairs, note=made.note) if out else "", out, as_json=as_json)


def _tell(report: Mapping[str, Any], pairs: Mapping[str, Any], page: str, out: Path | None, *, as_json: bool) -> None:
    from analytics.experiments.statistics import FEWEST  # noqa: PLC0415

    _write(out, page)
    tables = _tables()
    if not as_json:
        population = report["population"]
        ratio = report["srm"]["exposed"]
        p_value = "" if ratio["p_value"] is None else f", p = {ratio['p_value']:.3g}"
        _print_rows(
            [
                ("experiment", f"{report['experiment']['name']} ({report['experiment']['status']})"),
                ("population", f"{population['exposed_units']:,} units"),
                ("sample ratio", f"{ratio['verdict']}{p_value}"),
            ]
        )  # fmt: skip
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("metric", "variant", "difference", "interval", "anytime-valid", "adjusted p"):
            table.add_column(column, justify="left" if column in {"metric", "variant"} else "right")
        for metric in report["metrics"]:
            for effect in metric["effects"]:
                table.add_row(*_cells(metric, effect))
        tables.print(table if table.rows else f"no metric has {FEWEST} units in each variant yet")
        if pairs:
            _print_pairs(pairs)
        tables.print(Text(f"\n{report['decision']['verdict']}: {report['decision']['text']}", style="bold"))
    else:
        typer.echo(json.dumps({**report, "same_session": pairs}))


def _cells(metric: Mapping[str, Any], effect: Mapping[str, Any]) -> list[str]:
    digits = metric["digits"]
    peeked = effect["sequence"]
    anytime = "-" if peeked["low"] is None else f"{peeked['low']:+.{digits}f} to {peeked['high']:+.{digits}f}"
    mark = " *" if effect["significant"] else ""
    return [
        f"{metric['title']}, {metric['unit']}", effect["variant"], f"{effect['difference']:+.{digits}f}",
        f"{effect['low']:+.{digits}f} to {effect['high']:+.{digits}f}", anytime,
        _p(effect["adjusted_p_value"]) + mark,
    ]  # fmt: skip


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _print_pairs(pairs: Mapping[str, Any]) -> None:
    tables = _tables()
    for variant, found in pairs.items():
        tables.print(
            f"\n{variant} less the control on the same sessions ({found['sessions']:,} of them): "
            f"{found['paired_ticks']:,} ticks in both, {found['unpaired_ticks']:,} in one only"
        )
        if not found["metrics"]:
            tables.print("too few sessions tell: at least 3 are needed")
            continue
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("metric", "control", "variant", "difference", "interval", "adjusted p"):
            table.add_column(column, justify="left" if column == "metric" else "right")
        for row in found["metrics"]:
            digits = row["digits"]
            interval = "-" if row["low"] is None else f"{row['low']:+.{digits}f} to {row['high']:+.{digits}f}"
            table.add_row(
                f"{row['title']}, {row['unit']}", f"{row['control']:.{digits}f}", f"{row['treated']:.{digits}f}",
                f"{row['difference']:+.{digits}f}", interval,
                _p(row["adjusted_p_value"]) + (" *" if row["significant"] else ""),
            )  # fmt: skip
        tables.print(table)


def _print_rows(rows: Sequence[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    _tables().print(table)


def _write(out: Path | None, page: str) -> None:
    if out is None:
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror}") from error
    console.print(str(out), soft_wrap=True)
