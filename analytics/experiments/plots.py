"""The report's pictures: SVG drawn by matplotlib, with colours that the page's light and dark themes decide. Pure."""

import io
import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Json = dict[str, Any]

INK, SOFT, LINE, CARD = "#1f1d27", "#5f5b6c", "#e3e0e7", "#ffffff"
ACCENT, WARN, GOOD, DANGER = "#4d4dc2", "#a86408", "#1f8a4c", "#b8283b"
VARIABLES: Final = {
    INK: "--ink", SOFT: "--soft", LINE: "--line", CARD: "--card", ACCENT: "--accent", WARN: "--warn", GOOD: "--good",
    DANGER: "--danger",
}  # fmt: skip
"""Colours as drawn, and the page's variables that take their places."""
SERIES: Final = (SOFT, ACCENT, WARN, GOOD, DANGER)
"""The control is quiet; the variants are not."""
MARKERS: Final = ("o", "s", "D", "^", "v")
STYLE: Final = {
    "font.size": 10, "font.family": ["DejaVu Sans"], "text.color": INK, "axes.edgecolor": LINE, "svg.fonttype": "none",
    "svg.hashsalt": "affectstream",
}  # fmt: skip
DAY_MS: Final = 86_400_000


def trajectories(metric: Json) -> str:
    """How the difference and its anytime-valid interval went as units came; empty if there is nothing to draw."""
    effects = [effect for effect in metric["effects"] if effect["trajectory"]]
    if not effects:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for i, effect in enumerate(effects):
            points = effect["trajectory"]
            units = [point["units"] for point in points]
            colour = SERIES[1 + i % (len(SERIES) - 1)]
            axes.fill_between(
                units, [p["low"] for p in points], [p["high"] for p in points], color=colour, alpha=0.16, linewidth=0
            )
            axes.plot(units, [p["difference"] for p in points], color=colour, linewidth=1.8, label=effect["variant"])
        axes.axhline(0, color=SOFT, linewidth=1)
        axes.set_xlabel("units exposed", color=SOFT)
        axes.set_ylabel(f"difference, {metric['unit']}", color=SOFT)
        _plain(axes, "y")
        if len(effects) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        return _svg(figure, f"{metric['title']}: difference and anytime-valid interval as units came")


def groups(fairness: Json, names: Sequence[str]) -> str:
    """Each fairness metric by group, a mark and an interval a variant; empty if no group can be shown."""
    shown = fairness["groups"]
    metrics = next((list(cell["metrics"]) for group in shown for cell in group["variants"] if cell["metrics"]), [])
    if not metrics:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.55 + 0.52 * len(shown) * min(len(names), 3) / 2 + 0.7), layout="constrained")
        panes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for k, (axes, metric) in enumerate(zip(panes, metrics, strict=True)):
            for i, group in enumerate(shown):
                for j, name in enumerate(names):
                    _group_mark(axes, group, name, k, (i + (j - (len(names) - 1) / 2) * 0.24, j))
            axes.set_title(f"{metric['title']}\n{metric['unit']}", loc="left", fontsize=9.5, color=INK)
            axes.set_ylim(len(shown) - 0.5, -0.5)
            axes.set_yticks(range(len(shown)), [group["group"] for group in shown], color=INK)
            _plain(axes, "x")
        handles, labels = panes[0].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(
            unique.values(), unique.keys(), loc="outside lower right", frameon=False, ncols=len(unique), labelcolor=INK
        )
        return _svg(figure, "Errors and confidence by declared group and variant")


def _group_mark(axes: Axes, group: Json, name: str, k: int, at: tuple[float, int]) -> None:
    cell = next(cell for cell in group["variants"] if cell["variant"] == name)
    if cell["suppressed"] or cell["metrics"][k]["mean"] is None:
        return
    row, (y, j) = cell["metrics"][k], at
    colour = SERIES[j % len(SERIES)]
    axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2, solid_capstyle="round")
    axes.plot(row["mean"], y, MARKERS[j % len(MARKERS)], color=colour, markersize=5.5, label=name, linestyle="none")


def channels(pairs: Json, variant: str, most: int = 12) -> str:
    """The blendshapes that differ most on the same sessions, with bootstrap intervals; empty without any."""
    rows = [row for row in pairs["channels"] if row["low"] is not None and row["mean_size"] > 0][:most]
    if not rows:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.8 + 0.24 * len(rows)), layout="constrained")
        axes = figure.subplots()
        at = np.arange(len(rows))
        axes.axvline(0, color=SOFT, linewidth=1)
        for y, row in zip(at, rows, strict=True):
            axes.plot([row["low"], row["high"]], [y, y], color=ACCENT, linewidth=2.4, solid_capstyle="round")
        axes.plot([row["difference"] for row in rows], at, "o", color=ACCENT, markersize=5)
        axes.set_yticks(at, [row["channel"] for row in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"mean weight under {variant} less under the control, 0 to 1", color=SOFT)
        _plain(axes, "x")
        return _svg(figure, "Blendshapes that differ most between the variants on the same sessions")


def bar(effect: Json, scale: float) -> str:
    """A row's interval about 0, as wide as ``scale`` to each side: pale anytime-valid, strong at a fixed horizon."""
    width, height = 220.0, 22.0

    def x(value: float) -> str:
        return f"{width / 2 + max(-1.0, min(1.0, value / scale)) * (width / 2 - 4):.1f}"

    middle = height / 2
    parts = [f'<line x1="{width / 2}" x2="{width / 2}" y1="1" y2="{height - 1}" class="zero"/>']
    peeked = effect.get("sequence") or {}
    if peeked.get("low") is not None:
        parts.append(
            f'<line x1="{x(peeked["low"])}" x2="{x(peeked["high"])}" y1="{middle}" y2="{middle}" class="any"/>'
        )
    if effect.get("low") is not None:
        parts.append(
            f'<line x1="{x(effect["low"])}" x2="{x(effect["high"])}" y1="{middle}" y2="{middle}" class="fix"/>'
        )
    parts.append(f'<circle cx="{x(effect["difference"])}" cy="{middle}" r="4"/>')
    return f'<svg class="bar" viewBox="0 0 {width:g} {height:g}" aria-hidden="true">{"".join(parts)}</svg>'


def reach(effects: Sequence[Json]) -> float:
    """How far from 0 the widest of these intervals goes."""
    ends = [
        abs(value)
        for effect in effects
        for part in (effect, effect.get("sequence") or {})
        for value in (part.get("low"), part.get("high"), part.get("difference"))
        if value is not None
    ]
    return float(max([*ends, 1e-9])) * 1.05


def _plain(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    axes.tick_params(colors=SOFT, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _svg(figure: Figure, described: str) -> str:
    """The figure as an inline SVG whose colours are the page's variables."""
    figure.patch.set_visible(False)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    head = rf'<svg viewBox="\1" role="img" aria-label="{described}">'
    text = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', head, text, count=1)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
