"""What a regression run found: JUnit XML for CI, an HTML page with plots for people. Pure."""

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from analytics.recordings.container import Header
from analytics.recordings.diffing import Difference, Tolerances
from analytics.recordings.frames import CHANNELS, UNITS, FrameDecoder, Frames, plain

PLOTS: Final = 6
"""Channels that are drawn of a recording, those that differ most first."""
INK, GRID, RECORDED, REPLAYED = "#1f2933", "#e4e7eb", "#0072B2", "#D55E00"
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #c9ced6}
.bad{color:#b3261e}.good{color:#0b6e4f}
img{width:100%;border:1px solid #e4e7eb}small{color:#616e7c}
"""
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One golden recording, replayed."""

    name: str
    seconds: float
    """That the replay took, by the processor's clock."""
    error: str = ""
    """Why it could not be replayed; empty: it was."""
    header: Header | None = None
    difference: Difference | None = None
    recorded: Frames | None = None
    replayed: Frames | None = None

    @property
    def passed(self) -> bool:
        """Whether it was replayed, and every difference is tolerated."""
        return not self.error and self.difference is not None and self.difference.tolerated

    @property
    def verdict(self) -> str:
        """In words."""
        if self.error or self.difference is None:
            return self.error
        difference = self.difference
        if difference.identical:
            return f"identical: {difference.compared} frames"
        if difference.tolerated:
            return f"within tolerance: {difference.compared} frames, {len(difference.channels)} channels differ"
        return f"first divergence: {difference.first}"


def junit(cases: Sequence[Case]) -> bytes:
    """JUnit XML, as CI servers read it: a case each recording."""
    failures = sum(not case.passed and not case.error for case in cases)
    errors = sum(bool(case.error) for case in cases)
    attributes = {"name": "affectstream regress", "tests": str(len(cases)), "failures": str(failures)}
    suite = ET.Element("testsuite", {**attributes, "errors": str(errors)})
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", {"classname": "recordings", "name": _xml(case.name), "time": f"{case.seconds:.3f}"}
        )
        if not case.passed:
            kind = "error" if case.error else "failure"
            problem = ET.SubElement(element, kind, {"message": _xml(case.verdict)})
            problem.text = _xml("\n".join(_lines(case)))
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def page(cases: Sequence[Case], tolerances: Tolerances) -> str:
    """One self-contained HTML page."""
    passed = sum(case.passed for case in cases)
    rules = ", ".join(f"{html.escape(pattern)}: {most:g}" for pattern, most in tolerances.rules) or "none: exact"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Regression of recordings</title>",
        f"<style>{STYLE}</style>",
        f"<h1>{passed} of {len(cases)} recordings replay as recorded</h1><p>Tolerances: {rules}.</p>",
        "<table><tr><th>recording<th>result</tr>",
    ]
    for case in cases:
        kind, word = ("good", "✓") if case.passed else ("bad", "✗")
        name, verdict = html.escape(case.name), html.escape(case.verdict)
        parts.append(f"<tr><td><a href='#{name}'>{name}</a><td class={kind}>{word} {verdict}</tr>")
    parts.append("</table>")
    parts += [_section(case) for case in cases]
    return "\n".join([*parts, "</html>\n"])


def _section(case: Case) -> str:
    name = html.escape(case.name)
    parts = [f"<h2 id='{name}'>{name}</h2>"]
    if case.header is not None:
        sessions = ", ".join(
            f"{html.escape(session.session_id)} ({html.escape(str(session.config.get('mapping')))})"
            for session in case.header.sessions[:10]
        )
        engines = html.escape(", ".join(case.header.engines))
        parts.append(
            f"<p><small>Sessions {sessions}. Engines {engines}. Recorded by {html.escape(case.header.product)}."
        )
        parts.append("</small></p>")
    parts += [f"<p>{html.escape(line)}</p>" for line in _lines(case)[:1]]
    difference = case.difference
    if difference is None or not difference.channels:
        return "\n".join(parts)
    parts.append("<table><tr><th>channel<th>largest difference<th>frames beyond<th>at</tr>")
    for channel in _worst(difference):
        error = difference.channels[channel]
        unit = UNITS.get(channel, "")
        where = f"{html.escape(error.at[0])}, frame {error.at[1]}"
        parts.append(f"<tr><td>{channel}<td>{plain(error.largest)} {unit}<td>{error.frames}<td>{where}</tr>")
    parts.append("</table>")
    if case.recorded is not None and case.replayed is not None:
        picture = base64.b64encode(plot(case.recorded, case.replayed, difference)).decode()
        parts.append(f"<img alt='recorded and replayed channels of {name}' src='data:image/png;base64,{picture}'>")
    return "\n".join(parts)


def _worst(difference: Difference) -> list[str]:
    channels = difference.channels
    return sorted(channels, key=lambda name: (-channels[name].frames, -channels[name].largest, name))


def plot(recorded: Frames, replayed: Frames, difference: Difference) -> bytes:
    """PNG: the channels that differ most, recorded and replayed, of the session in which they do so first."""
    chosen = _worst(difference)[:PLOTS]
    session = difference.first.session if difference.first is not None else difference.channels[chosen[0]].at[0]
    decoder = FrameDecoder()
    lines = []
    for frames in (recorded, replayed):
        keys = sorted(key for key in frames.values if key[0] == session)
        table = decoder.channels([frames.values[key] for key in keys])
        lines.append((np.array([key[1] for key in keys]) / 30.0, table))
    with mpl.rc_context({"font.size": 9, "text.color": INK, "axes.edgecolor": GRID}):
        figure = Figure(figsize=(10, 1.7 * len(chosen) + 0.6), dpi=120, layout="constrained")
        axes = figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
        for axis, channel in zip(axes, chosen, strict=True):
            column = CHANNELS.index(channel)
            for (at_s, table), colour, width, label in zip(
                lines, (RECORDED, REPLAYED), (2.2, 1.1), ("recorded", "replayed"), strict=True
            ):
                axis.plot(at_s, table[:, column], color=colour, linewidth=width, label=label)
            if difference.first is not None:
                axis.axvline(difference.first.sequence / 30.0, color=INK, linewidth=0.8, linestyle=":")
            axis.set_title(f"{channel} {UNITS.get(channel, '')}", loc="left", fontsize=9)
            axis.grid(color=GRID)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", frameon=False, ncols=2)
        axes[-1].set_xlabel(f"seconds of session {session}")
        out = io.BytesIO()
        figure.savefig(out, format="png")
    return out.getvalue()


def _lines(case: Case) -> list[str]:
    lines = [case.verdict]
    difference = case.difference
    if difference is not None and not difference.identical:
        lines.append(
            f"{difference.compared} frames in both, {difference.only_in_a} only recorded, "
            f"{difference.only_in_b} only replayed"
        )
        for channel in _worst(difference):
            error = difference.channels[channel]
            unit = f" {UNITS[channel]}" if UNITS.get(channel) else ""
            lines.append(f"{channel}: up to {plain(error.largest)}{unit}, {error.frames} frames beyond tolerance")
    return lines


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
