"""An experiment's report: one HTML page with everything inside, light and dark. It asks nothing of the network."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from analytics.experiments import plots

Json = dict[str, Any]

LIGHT: Final = (
    "--bg:#f5f4f1;--card:#ffffff;--ink:#1f1d27;--soft:#5f5b6c;--line:#e3e0e7;--track:#ebe9f0;--accent:#4d4dc2;"
    "--accent-soft:#eeeefa;--good:#1f8a4c;--warn:#a86408;--danger:#b8283b"
)
DARK: Final = (
    "--bg:#131218;--card:#1c1b24;--ink:#f1eff6;--soft:#aaa6b9;--line:#302e3b;--track:#2b2936;--accent:#9494f7;"
    "--accent-soft:#26253b;--good:#55c987;--warn:#f0b352;--danger:#ff7a84"
)
STYLE: Final = f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--bg); margin: 0; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; display: grid; gap: 18px; }}
main > * {{ min-width: 0; }}
h1 {{ font-size: 24px; margin: 0; }} h2 {{ font-size: 17px; margin: 0 0 4px; }}
h3 {{ font-size: 14px; margin: 18px 0 2px; }}
p {{ margin: 4px 0; }} .soft {{ color: var(--soft); }} small {{ font-size: 13px; color: var(--soft); }}
section {{ background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 18px 20px; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 500; color: var(--soft); font-size: 13px; padding: 4px 14px 4px 0;
  white-space: nowrap; }}
td {{ padding: 6px 14px 6px 0; border-top: 1px solid var(--line); vertical-align: middle; }}
td.n {{ white-space: nowrap; }}
.pill {{ display: inline-block; border-radius: 99px; padding: 2px 12px; font-size: 13px; font-weight: 600;
  border: 1px solid currentColor; white-space: nowrap; }}
.good {{ color: var(--good); }} .bad {{ color: var(--danger); }} .warn {{ color: var(--warn); }}
.verdict {{ font-size: 18px; margin: 8px 0 0; }}
.cards {{ display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }}
svg {{ width: 100%; height: auto; display: block; }}
.plot {{ overflow-x: auto; }} .plot svg {{ min-width: 600px; }}
svg.bar {{ width: 220px; min-width: 160px; }}
.bar .zero {{ stroke: var(--soft); stroke-width: 1; }}
.bar .any {{ stroke: var(--accent); stroke-opacity: .3; stroke-width: 9; }}
.bar .fix {{ stroke: var(--accent); stroke-width: 3; }} .bar circle {{ fill: var(--accent); }}
.good .bar .any, .good .bar .fix {{ stroke: var(--good); }} .good .bar circle {{ fill: var(--good); }}
.bad .bar .any, .bad .bar .fix {{ stroke: var(--danger); }} .bad .bar circle {{ fill: var(--danger); }}
tr.good, tr.bad {{ color: inherit; }} tr.good td.d {{ color: var(--good); }} tr.bad td.d {{ color: var(--danger); }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 8px 0 0; font-size: 14px; }}
dt {{ color: var(--soft); }} dd {{ margin: 0; }}
@media (max-width: 640px) {{ dl {{ grid-template-columns: 1fr; gap: 0; }} dd {{ margin-bottom: 10px; }} }}
code {{ font-size: 13px; background: var(--track); border-radius: 5px; padding: 1px 5px; overflow-wrap: anywhere; }}
"""
VERDICTS: Final = {
    "better": ("good", "better"),
    "worse": ("bad", "worse"),
    "undecided": ("warn", "undecided"),
    "invalid": ("bad", "not to be trusted"),
}
RATIOS: Final = {
    "ok": ("good", "as drawn"),
    "mismatch": ("bad", "mismatch"),
    "too_few": ("warn", "too few to tell"),
    "unknown": ("warn", "shares unknown"),
}


def page(report: Json, pairs: Mapping[str, Json] | None = None, *, note: str = "") -> str:
    """The report of :func:`analytics.experiments.analysis.analyse`.

    ``pairs``: by variant, :func:`analytics.experiments.pairing.compare_pairs` with the control. ``note``: where the
    sessions come from, if that needs saying.
    """
    experiment = report["experiment"]
    names = [variant["name"] for variant in experiment["variants"]]
    parts = [
        _head(report, note),
        _ratios(report),
        _variants(experiment),
        _metrics(report["metrics"]),
        _primary(report["metrics"][0]),
        *(_pairs(variant, found) for variant, found in (pairs or {}).items()),
        _fairness(report["fairness"], names),
        _definitions(report["metrics"]),
    ]
    return document(f"Experiment {experiment['name']}", parts)


def pairs_page(name: str, pairs: Mapping[str, Json], *, note: str = "") -> str:
    """The page of a comparison on the same sessions alone."""
    title = f"Experiment {name} on the same sessions"
    head = f"<header><h1>{html.escape(title)}</h1><p class=soft>{html.escape(note)}</p></header>"
    rows = next(iter(pairs.values()))["metrics"] if pairs else []
    return document(title, [head, *(_pairs(variant, found) for variant, found in pairs.items()), _definitions(rows)])


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main>{''.join(part for part in parts if part)}</main></body></html>\n"
    )


def _head(report: Json, note: str) -> str:
    experiment, population = report["experiment"], report["population"]
    kind, word = VERDICTS[report["decision"]["verdict"]]
    facts = [
        f"{population['exposed_units']:,} units",
        f"{population['exposed_sessions']:,} exposed sessions of {population['assigned_sessions']:,} assigned",
        _span(experiment),
        f"intervals at {report['confidence']:.0%}, {report['correction']} for many metrics",
        experiment["status"],
    ]
    hypothesis = f"<p>{html.escape(experiment['hypothesis'])}</p>" if experiment["hypothesis"] else ""
    shown = f"<p class=warn>{html.escape(note)}</p>" if note else ""
    return (
        f"<header><h1>{html.escape(experiment['name'])} <span class='pill {kind}'>{word}</span></h1>{hypothesis}{shown}"
        f"<p class=verdict>{html.escape(report['decision']['text'])}</p>"
        f"<p class=soft>{html.escape(' · '.join(fact for fact in facts if fact))}</p></header>"
    )


def _span(experiment: Json) -> str:
    if experiment["first_assigned_at_ms"] is None:
        return ""
    ends = [
        f"{datetime.fromtimestamp(experiment[key] / 1_000, UTC):%Y-%m-%d}"
        for key in ("first_assigned_at_ms", "last_assigned_at_ms")
    ]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _ratios(report: Json) -> str:
    cards = []
    for key, title in (("assigned", "Sample ratio, assigned"), ("exposed", "Sample ratio, exposed")):
        ratio = report["srm"][key]
        kind, word = RATIOS[ratio["verdict"]]
        expected = ratio["expected"] or {}
        rows = "".join(
            f"<tr><td>{html.escape(name)}<td class=n>{count:,}<td class='n soft'>{_maybe(expected.get(name), 1)}</tr>"
            for name, count in ratio["counts"].items()
        )
        p_value = "" if ratio["p_value"] is None else f"p = {ratio['p_value']:.3g}, "
        cards.append(
            f"<section><h2>{title} <span class='pill {kind}'>{word}</span></h2>"
            f"<small>{p_value}mismatch under {ratio['threshold']:g} (chi-square)</small>"
            f"<table><tr><th>variant<th>units<th>expected</tr>{rows}</table></section>"
        )
    return f"<div class=cards>{''.join(cards)}</div>"


def _variants(experiment: Json) -> str:
    rows = []
    for variant in experiment["variants"]:
        parameters = " ".join(f"<code>{html.escape(k)} {v:g}</code>" for k, v in sorted(variant["parameters"].items()))
        control = " <small>control</small>" if variant["name"] == experiment["control"] else ""
        share = "" if variant["weight"] is None else f"{variant['weight']:.0%}"
        rows.append(
            f"<tr><td>{html.escape(variant['name'])}{control}<td class=n>{share}<td>{variant['mapping'] or ''}"
            f"<td>{variant['smoothing'] or ''}<td>{parameters or '<small>defaults</small>'}"
            f"<td class=n>{variant['assigned_sessions']:,}<td class=n>{variant['exposed_sessions']:,}</tr>"
        )
    return (
        "<section class=wide><h2>Variants</h2><table><tr><th>variant<th>share<th>mapping<th>smoothing<th>parameters"
        f"<th>sessions<th>exposed</tr>{''.join(rows)}</table></section>"
    )


def _metrics(metrics: Sequence[Json]) -> str:
    rows: list[str] = []
    for metric in metrics:
        scale = plots.reach(metric["effects"])
        means = {arm["variant"]: arm["mean"] for arm in metric["variants"]}
        rows += [_effect_row(metric, effect, means, scale) for effect in metric["effects"]]
        if not metric["effects"]:
            rows.append(
                f"<tr><td>{html.escape(metric['title'])}<br><small>{html.escape(metric['unit'])}</small>"
                "<td colspan=6><small>too few units tell</small></tr>"
            )
    return (
        "<section class=wide><h2>Metrics</h2><small>Difference to the control. Strong: interval at a fixed horizon. "
        "Pale: anytime-valid, may be looked at any time; green and red by it, after correction: the primary metric for "
        "its variants, the others for all of them.</small>"
        "<table><tr><th>metric<th>variant<th>control → variant<th>difference<th><th>anytime-valid<th>adjusted p</tr>"
        f"{''.join(rows)}</table></section>"
    )


def _effect_row(metric: Json, effect: Json, means: Mapping[str, float | None], scale: float) -> str:
    digits = metric["digits"]
    peeked = effect["sequence"]
    kind = _kind(metric["better"], effect)
    title = html.escape(metric["title"]) + (" <small>primary</small>" if metric["primary"] else "")
    anytime = "—" if peeked["low"] is None else f"{peeked['low']:+.{digits}f} … {peeked['high']:+.{digits}f}"
    return (
        f"<tr class='{kind}'><td>{title}<br><small>{html.escape(metric['unit'])}</small>"
        f"<td>{html.escape(effect['variant'])}"
        f"<td class=n>{_maybe(means[effect['against']], digits)} → {_maybe(means[effect['variant']], digits)}"
        f"<td class='n d'>{effect['difference']:+.{digits}f}<br><small>{effect['low']:+.{digits}f} … "
        f"{effect['high']:+.{digits}f}</small><td>{plots.bar(effect, scale)}<td class=n>{anytime}"
        f"<td class=n>{_p(effect['adjusted_p_value'])}<br><small>any time {_p(peeked['adjusted_p_value'])}</small></tr>"
    )


def _kind(better: str, effect: Json) -> str:
    if not effect["significant"] or better == "neither":
        return ""
    return "good" if (effect["difference"] > 0) == (better == "higher") else "bad"


def _primary(metric: Json) -> str:
    picture = plots.trajectories(metric)
    if not picture:
        return ""
    told = []
    for effect in metric["effects"]:
        adjusted = effect["cuped"]
        if adjusted is not None:
            digits = metric["digits"]
            told.append(
                f"<p>{html.escape(effect['variant'])}: what is known of {adjusted['units']:,} units from before the "
                f"experiment explains {adjusted['variance_removed']:.0%} of the variance. Without that (CUPED) the "
                f"difference is {adjusted['difference']:+.{digits}f}, {adjusted['low']:+.{digits}f} to "
                f"{adjusted['high']:+.{digits}f}.</p>"
            )
    return (
        f"<section><h2>{html.escape(metric['title'])} as units came</h2><small>The interval may be looked at after any "
        f"unit.</small><div class=plot>{picture}</div>{''.join(told)}</section>"
    )


def _pairs(variant: str, pairs: Json) -> str:
    rows = []
    for row in pairs["metrics"]:
        digits = row["digits"]
        interval = "" if row["low"] is None else f"{row['low']:+.{digits}f} … {row['high']:+.{digits}f}"
        relative = "" if row["relative"] is None else f"{row['relative']:+.0%}"
        rows.append(
            f"<tr class='{_kind(row['better'], row)}'><td>{html.escape(row['title'])}"
            f"<br><small>{html.escape(row['unit'])}</small>"
            f"<td class=n>{row['control']:.{digits}f} → {row['treated']:.{digits}f}"
            f"<td class='n d'>{row['difference']:+.{digits}f} <small>{relative}</small><br><small>{interval}</small>"
            f"<td>{plots.bar(row, plots.reach([row]))}<td class=n>{_p(row['adjusted_p_value'])}</tr>"
        )
    table = (
        f"<div class=wide><table><tr><th>metric<th>control → {html.escape(variant)}<th>difference<th>"
        "<th>adjusted p</tr>"
        f"{''.join(rows)}</table></div>"
        if rows
        else "<p class=soft>Too few sessions: at least three are needed.</p>"
    )
    picture = plots.channels(pairs, html.escape(variant))
    shown = f"<h3>What moves differently</h3><div class=plot>{picture}</div>" if picture else ""
    return (
        f"<section><h2>{html.escape(variant)} and the control on the same sessions</h2><small>The same signals fused "
        f"under both: {pairs['sessions']:,} sessions, {pairs['paired_ticks']:,} ticks in both, "
        f"{pairs['unpaired_ticks']:,} in one only. Intervals by bootstrap over sessions.</small>"
        f"{table}{shown}</section>"
    )


def _fairness(found: Json, names: Sequence[str]) -> str:
    if not found["consented_units"]:
        return (
            "<section><h2>Fairness</h2><p class=soft>Nobody declared a group and consented to comparing them: "
            "nothing can be said.</p></section>"
        )
    hidden = ""
    if found["suppressed_cells"]:
        hidden = (
            f" {found['suppressed_units']:,} units in {found['suppressed_cells']:,} cells of less than "
            f"{found['minimum_cell']} are not shown."
        )
    alarms = [gap for gap in found["gaps"] if _kind(gap["better"], gap) == "bad"]
    lines = "".join(
        f"<li><strong>{html.escape(gap['group'])}</strong>, {html.escape(gap['variant'])}: {html.escape(gap['title'])} "
        f"<small>({html.escape(gap['unit'])})</small> {gap['difference']:+.{gap['digits']}f} against the others "
        f"({gap['low']:+.{gap['digits']}f} … {gap['high']:+.{gap['digits']}f})</li>"
        for gap in alarms
    )
    verdict = (
        f"<p class=bad>Some groups fare worse than the others:</p><ul>{lines}</ul>"
        if alarms
        else "<p>No group fares worse than the others beyond chance, after correction; smaller gaps may be there.</p>"
    )
    picture = plots.groups(found, names)
    shown = (
        f"<div class=plot>{picture}</div>" if picture else "<p class=soft>No group has enough units to be shown.</p>"
    )
    return (
        f"<section><h2>Fairness</h2><small>{found['consented_units']:,} units whose people declared a group and "
        f"consented.{hidden}</small>{verdict}{shown}</section>"
    )


def _definitions(metrics: Sequence[Json]) -> str:
    rows = "".join(
        f"<dt>{html.escape(metric['title'])}</dt><dd>{html.escape(metric['definition'])}</dd>" for metric in metrics
    )
    return f"<section><h2>What is measured</h2><dl>{rows}</dl></section>" if rows else ""


def _maybe(value: float | None, digits: int) -> str:
    return "—" if value is None else f"{value:,.{digits}f}"


def _p(value: float | None) -> str:
    if value is None:
        return "—"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
