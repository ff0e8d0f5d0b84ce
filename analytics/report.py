"""A session's report: a summary for the terminal, and a timeline as PNG and as one self-contained HTML page."""

import base64
import html
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analytics.queries import HOPS
from analytics.source import open_source, session_named
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS

Json = dict[str, Any]
Floats = npt.NDArray[np.float64]

POINTS: Final = 900
INK, SOFT, GRID, PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
# Okabe & Ito's palette: told apart by people with any common kind of colour vision.
EMOTION_COLOURS: Final = {
    "neutral": "#c9ced6",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "angry": "#D55E00",
    "surprise": "#F0E442",
    "fear": "#CC79A7",
    "disgust": "#009E73",
}
# Light to dark along the pipeline, so that the order is legible without colour.
HOP_COLOURS: Final = dict(zip(HOPS[1:], ("#dbe9f6", "#a9cfe5", "#6baed6", "#3182bd", "#08519c"), strict=True))
HOP_LABELS: Final = {
    "age": "age at the tick",
    "transport": "capture to edge",
    "ingest": "edge to Kafka",
    "queue": "waiting for a worker",
    "inference": "inference",
    "fusion": "waiting and fusion",
    "total": "capture to fused",
}


def report(settings: Settings, session: str, folder: Path) -> tuple[Json, Path, Path]:
    """Write ``<session>.png`` and ``<session>.html`` into ``folder``; returns the summary and the two paths.

    ``session`` is an id, or ``latest``. Raises SessionUnknown, DatabaseUnavailable.
    """
    with open_source(settings) as source:
        session_id = session_named(source, session)
        summary = source.summary(session_id)
        timeline = source.timeline(session_id, points=POINTS)
    picture = png(summary, timeline)
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in session_id)
    png_path, html_path = folder / f"{stem}.png", folder / f"{stem}.html"
    png_path.write_bytes(picture)
    html_path.write_text(page(summary, picture), encoding="utf-8")
    return summary, png_path, html_path


# the picture


def png(summary: Json, timeline: Json) -> bytes:
    """The timeline as a PNG, 1800 pixels wide and 1500 high."""
    out = io.BytesIO()
    with mpl.rc_context({"font.size": 10, "font.family": ["DejaVu Sans"], "axes.edgecolor": GRID, "text.color": INK}):
        draw(summary, timeline).savefig(out, format="png", facecolor=PAPER)
    return out.getvalue()


def draw(summary: Json, timeline: Json) -> Figure:
    """Affect, emotions, speaking and latency along time, gaps across all of them."""
    figure = Figure(figsize=(12, 10), dpi=150)
    # Never pyplot: it keeps figures alive, and picks a display.
    affect, emotions, speaking, latency = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [1.0, 1.25, 0.6, 1.25], "hspace": 0.2}
    )
    figure.subplots_adjust(left=0.075, right=0.815, top=0.885, bottom=0.06)
    columns = timeline["columns"]
    at_s = seconds(columns["at_ms"])
    # A bucket is as wide as its ticks; a line must not run across ticks that are not there.
    breaks = broken(at_s, timeline["bucket_ms"] / 1_000)
    _headline(figure, summary)
    _draw_affect(affect, at_s, columns, breaks)
    _draw_emotions(emotions, at_s, columns, breaks)
    _draw_speaking(speaking, at_s, columns, breaks)
    _draw_latency(latency, at_s, columns, breaks)
    origin_ms = columns["at_ms"][0] if columns["at_ms"] else 0
    for axes in (affect, emotions, speaking, latency):
        _shade_gaps(axes, timeline["gaps"], origin_ms)
        axes.set_facecolor(PAPER)
        axes.tick_params(colors=SOFT, length=0)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.margins(x=0)
    latency.set_xlabel("time in the session", color=SOFT)
    latency.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    latency.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 1.5, 2, 3, 5, 6, 10]))
    for axes in (affect, emotions, speaking, latency):
        axes.yaxis.set_label_coords(-0.052, 0.5)
    return figure


def seconds(at_ms: Sequence[float]) -> Floats:
    """Seconds from the first bucket on."""
    at = np.asarray(at_ms, np.float64)
    return (at - at[0]) / 1_000 if at.size else at


def broken(at_s: Floats, bucket_s: float) -> npt.NDArray[np.intp]:
    """Indices before which buckets are missing."""
    return np.flatnonzero(np.diff(at_s) > 1.9 * bucket_s) + 1


def _values(columns: Json, name: str) -> Floats:
    return np.asarray([np.nan if v is None else v for v in columns[name]], np.float64)


def _with_breaks(at_s: Floats, values: Floats, breaks: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    return np.insert(at_s, breaks, at_s[breaks]), np.insert(values, breaks, np.nan)


def _headline(figure: Figure, summary: Json) -> None:
    session, frames = summary["session"], summary["frames"]
    started = datetime.fromtimestamp(session["started_at_ms"] / 1_000, UTC)
    face = summary["latency_ms"]["face"]["total"]
    figure.text(0.075, 0.958, f"Session {session['session_id']}", fontsize=16, fontweight="bold", color=INK)
    parts = [
        f"{started:%Y-%m-%d %H:%M:%S} UTC",
        f"{clock(duration_s(frames))} min" if duration_s(frames) >= 60 else f"{duration_s(frames):.1f} s",
        f"{frames['count']:,} frames",
        "no tick missing" if not frames["missing"] else f"{frames['missing']:,} ticks missing",
        f"mapping {session['mapping']}",
    ]
    if face["p50"] is not None:
        parts.append(f"capture to fused p50 {face['p50']:.0f} ms, p95 {face['p95']:.0f} ms")
    figure.text(0.075, 0.928, "   ·   ".join(parts), fontsize=10.5, color=SOFT)


def duration_s(frames: Json) -> float:
    """From the first to the last tick."""
    return float(frames["last_at_ms"] - frames["first_at_ms"]) / 1_000 if frames["count"] else 0.0


def clock(value_s: float) -> str:
    """``m:ss``, with tenths under a minute if there are any."""
    tenths = round(max(0.0, value_s) * 10)
    minutes, rest = divmod(tenths, 600)
    whole, tenth = divmod(rest, 10)
    return f"{minutes}:{whole:02d}" + (f".{tenth}" if tenth else "")


def _label(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, color=INK, fontsize=10.5)


def _legend(axes: Axes, **more: Any) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.012, 1.03), frameon=False, fontsize=9.5, labelcolor=INK, **more)


def _draw_affect(axes: Axes, at_s: Floats, columns: Json, breaks: npt.NDArray[np.intp]) -> None:
    axes.axhline(0, color="#9aa5b1", linewidth=0.8)
    for name, colour, style in (("valence", BLUE, "-"), ("arousal", RED, (0, (5, 1.6)))):
        axes.plot(
            *_with_breaks(at_s, _values(columns, name), breaks), color=colour, linewidth=1.8, ls=style, label=name
        )
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    _label(axes, "affect")
    _legend(axes)


def _draw_emotions(axes: Axes, at_s: Floats, columns: Json, breaks: npt.NDArray[np.intp]) -> None:
    layers = [_with_breaks(at_s, _values(columns, f"emotion_{name}"), breaks) for name in EMOTIONS]
    axes.stackplot(
        layers[0][0],
        [values for _, values in layers],
        labels=list(EMOTIONS),
        colors=[EMOTION_COLOURS[name] for name in EMOTIONS],
        edgecolor=PAPER,
        linewidth=0.4,
    )
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    _label(axes, "emotion scores")
    # The legend in the order of the layers, uppermost first.
    _legend(axes, reverse=True)


def _draw_speaking(axes: Axes, at_s: Floats, columns: Json, breaks: npt.NDArray[np.intp]) -> None:
    at, values = _with_breaks(at_s, _values(columns, "speaking_probability"), breaks)
    axes.fill_between(at, values, color=GREEN, alpha=0.35, linewidth=0)
    axes.plot(at, values, color=GREEN, linewidth=1.4, label="probability")
    _, mouth = _with_breaks(at_s, _values(columns, "viseme_mouth"), breaks)
    axes.fill_between(
        at, -0.17, -0.07, where=np.nan_to_num(mouth) > 0.5, color=INK, linewidth=0, label="mouth by visemes"
    )
    axes.set_ylim(-0.2, 1.05)
    axes.set_yticks([0, 1])
    _label(axes, "speaking")
    _legend(axes)


def _draw_latency(axes: Axes, at_s: Floats, columns: Json, breaks: npt.NDArray[np.intp]) -> None:
    hops = [_with_breaks(at_s, _values(columns, f"face_{hop}_ms"), breaks) for hop in HOPS[1:]]
    stacked = [np.clip(values, 0, None) for _, values in hops]
    axes.stackplot(
        hops[0][0],
        stacked,
        labels=[HOP_LABELS[hop] for hop in HOPS[1:]],
        colors=[HOP_COLOURS[hop] for hop in HOPS[1:]],
        linewidth=0,
    )
    at, speech = _with_breaks(at_s, _values(columns, "speech_total_ms"), breaks)
    axes.plot(at, speech, color=ORANGE, linewidth=1.6, label="speech, in total")
    totals = np.concatenate([np.sum(stacked, axis=0), speech])
    known = totals[np.isfinite(totals)]
    # A stall of seconds would flatten the rest: what is above the figure's top is cut.
    top = float(np.percentile(known, 99)) * 1.25 if known.size else 100.0
    axes.set_ylim(0, max(top, 20.0))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    _label(axes, "latency, ms")
    _legend(
        axes, reverse=True, title="face by hop; speech in total", alignment="left", title_fontproperties={"size": 9.5}
    )


def _shade_gaps(axes: Axes, gaps: Sequence[Json], origin_ms: float) -> None:
    for gap in gaps:
        start, end = (gap["from_ms"] - origin_ms) / 1_000, (gap["to_ms"] - origin_ms) / 1_000
        if gap["flagged"]:
            axes.axvspan(start, end, facecolor="#f5f7fa", edgecolor="#9aa5b1", hatch="///", linewidth=0)
        else:
            axes.axvspan(start, end, facecolor=RED, alpha=0.3, linewidth=0)
    kinds = {bool(gap["flagged"]) for gap in gaps}
    if kinds and axes.get_ylabel() == "affect":
        handles, labels = axes.get_legend_handles_labels()
        if True in kinds:
            handles.append(Patch(facecolor="#f5f7fa", edgecolor="#9aa5b1", hatch="///"))
            labels.append("silence, flagged")
        if False in kinds:
            handles.append(Patch(facecolor=RED, alpha=0.3))
            labels.append("ticks missing")
        _legend(axes, handles=handles, labels=labels)


# the words


def sections(summary: Json) -> list[tuple[str, list[tuple[str, str]]]]:
    """The summary as headed rows of name and value, for people."""
    session, frames, emotions = summary["session"], summary["frames"], summary["emotions"]
    signals, events = summary["signals"], summary["events"]
    consent = [word for word in ("audio", "video", "store_raw") if session[f"{word}_consented"]]
    head = [
        ("session", session["session_id"]),
        ("started", f"{datetime.fromtimestamp(session['started_at_ms'] / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("ended", session["end_reason"] or "not yet"),
        ("timeline, tenant", f"{session['timeline']}, {session['tenant']}"),
        ("consent", ", ".join(consent) or "none"),
        ("fusion", f"{session['mapping']}, {session['smoothing']}, parameters {session['config_version']}"),
    ]
    if session["experiment"]:
        head.append(("experiment", f"{session['experiment']}: {session['variant']}"))
    picture = [
        ("frames", f"{frames['count']:,} in {duration_s(frames):.1f} s"),
        ("missing ticks", f"{frames['missing']:,}"),
        ("discontinuities", f"{frames['discontinuities']:,} ({frames['skipped']:,} ticks skipped)"),
        ("published twice", f"{frames['repeated']:,}"),
        ("face, speech live", f"{share(frames['face_live_share'])}, {share(frames['speech_live_share'])}"),
        ("face signals", f"{signals['face']['distinct']:,}"),
        ("speech signals", f"{signals['speech']['distinct']:,}"),
    ]
    known = {name: value for name, value in emotions["mean"].items() if value is not None}
    ranked = sorted(known.items(), key=lambda item: -item[1])
    feeling = [
        ("emotions, mean", ", ".join(f"{name} {value:.2f}" for name, value in ranked[:4]) or "-"),
        ("valence, arousal", f"{figure(emotions['valence'], '+.2f')}, {figure(emotions['arousal'], '+.2f')}"),
        ("speaking", share(emotions["speaking_share"])),
    ]
    latency = []
    for modality in ("face", "speech"):
        for hop in (*HOPS, "total"):
            pair = summary["latency_ms"][modality][hop]
            if pair["p50"] is not None:
                latency.append((f"{modality}: {HOP_LABELS[hop]}", f"{pair['p50']:.1f} / {pair['p95']:.1f}"))
    for hop, pair in summary["latency_ms"]["client"].items():
        if pair["p50"] is not None:
            latency.append((f"tick to {hop}", f"{pair['p50']:.1f} / {pair['p95']:.1f}"))
    kept = [
        (f"{stage}: {modality or 'session'}", ", ".join(f"{outcome} {count:,}" for outcome, count in by.items()))
        for stage, modalities in summary["outcomes"].items()
        for modality, by in modalities.items()
    ]
    said = [(kind, f"{count:,}") for kind, count in events["by_kind"].items()]
    if events["mean_rating"] is not None:
        said.append(("mean rating", f"{events['mean_rating']:.1f} of 5"))
    named = [
        ("Session", head),
        ("Frames", picture),
        ("Emotion", feeling),
        ("Latency, ms (p50 / p95)", latency),
        ("What became of every item", kept),
        ("Clients", said),
    ]
    return [(name, rows) for name, rows in named if rows]


def share(value: float | None) -> str:
    """A share in percent; a dash for the share of nothing."""
    return "-" if value is None else f"{value:.0%}"


def figure(value: float | None, form: str) -> str:
    """A number in the given form; a dash for none."""
    return "-" if value is None else format(value, form)


def renderable(summary: Json) -> RenderableType:
    """The summary for a terminal."""
    parts: list[RenderableType] = []
    for name, rows in sections(summary):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        table.add_column(style="dim", no_wrap=True, min_width=26)
        table.add_column()
        for key, value in rows:
            table.add_row(Text(key), Text(value))
        parts += [Text(f"\n{name}", style="bold"), table]
    return Group(*parts)


STYLE: Final = f"""
body {{ font: 15px/1.5 system-ui, sans-serif; color: {INK}; background: #f5f7fa; margin: 0; }}
main {{ max-width: 1200px; margin: 0 auto; padding: 24px; }}
img {{ width: 100%; border-radius: 8px; background: {PAPER}; box-shadow: 0 1px 4px #0002; }}
section {{ background: {PAPER}; border-radius: 8px; padding: 4px 20px 14px; box-shadow: 0 1px 4px #0002; }}
.cards {{ display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); margin-top: 18px; }}
h1 {{ font-size: 21px; }} h2 {{ font-size: 15px; margin: 12px 0 4px; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13.5px; }}
th {{ text-align: left; font-weight: 400; color: {SOFT}; padding: 3px 14px 3px 0; vertical-align: top; width: 45%; }}
td {{ padding: 3px 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }}
"""


def page(summary: Json, picture: bytes) -> str:
    """One HTML page with everything inside: it asks nothing of the network."""
    cards = []
    for name, rows in sections(summary):
        body = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>" for key, value in rows)
        cards.append(f"<section><h2>{html.escape(name)}</h2><table>{body}</table></section>")
    title = f"Session {html.escape(summary['session']['session_id'])}"
    described = "Valence and arousal, emotion scores, speaking and latency by hop along the session"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><main><h1>{title}</h1><img alt="{described}" '
        f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        f'<div class="cards">{"".join(cards)}</div></main></body></html>\n'
    )
