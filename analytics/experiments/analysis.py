"""What came of an experiment: from observations of sessions to the JSON object that the API gives and pages draw. Pure.

Sessions become units first: a unit's value is the mean over its exposed sessions. Which variants are compared with the
control, by which metrics, and how many comparisons that makes, is fixed by the definition, not by what is seen.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from analytics.experiments.fairness import MINIMUM_CELL, GroupedUnit, fairness
from analytics.experiments.metrics import DEFINED, FAIRNESS, Metric
from analytics.experiments.statistics import (
    FEWEST,
    SRM_THRESHOLD,
    Floats,
    corrected,
    cuped,
    difference,
    mean_of,
    sample_ratio,
    sequence,
)
from schemas.experiments import METRICS, Correction, Experiment
from schemas.fusion_config import FusionConfig

Json = dict[str, Any]

POINTS: Final = 60
"""Of a trajectory."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One session that was given a variant."""

    session_id: str
    unit: str
    variant: str
    assigned_at_ms: int
    exposed: bool
    group: str | None
    """Declared, while the consent to compare stands."""
    values: Mapping[str, float | None] = field(default_factory=dict)
    """By metric; those of fairness too."""


@dataclass(frozen=True, slots=True)
class Arms:
    """What is known of an experiment before its sessions are looked at; an undefined one has rows, but no file."""

    name: str
    salt: str
    shares: Mapping[str, float]
    """Empty: unknown."""
    control: str
    primary: str
    planned: int
    definition: Experiment | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> "Arms":
        """Those of a definition."""
        return cls(
            experiment.name, experiment.salt, {v.name: v.share for v in experiment.variants}, experiment.control,
            experiment.primary, experiment.units, experiment,
        )  # fmt: skip

    @classmethod
    def seen(cls, name: str, salt: str, variants: Iterable[str]) -> "Arms":
        """Those that rows tell: the first variant by name stands in for the control."""
        names = sorted(set(variants))
        return cls(name, salt, {}, names[0] if names else "", "rating", 1_000)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of a variant there are."""

    sessions: int
    units: int
    exposed: int
    """Sessions."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an experiment is judged."""

    confidence: float = 0.95
    correction: Correction = "holm"
    minimum_cell: int = MINIMUM_CELL


@dataclass(slots=True)
class _Unit:
    """A unit's exposed sessions."""

    variant: str
    at_ms: int
    sessions: list[Observation] = field(default_factory=list)

    def value(self, metric: str) -> float:
        found = [v for s in self.sessions if (v := s.values.get(metric)) is not None]
        return float(np.mean(found)) if found else math.nan


def summary_of(arms: Arms, counts: Mapping[str, Counts], first_ms: int | None, last_ms: int | None) -> Json:
    """An experiment in a list: its definition, how many were assigned and exposed, from when until when."""
    definition = arms.definition
    names = sorted(set(arms.shares) | set(counts), key=lambda name: (name != arms.control, name))
    return {
        "name": arms.name,
        "status": "undefined" if definition is None else definition.status,
        "hypothesis": None if definition is None else definition.hypothesis or None,
        "salt": arms.salt,
        "control": arms.control or None,
        "primary_metric": arms.primary,
        "traffic": None if definition is None else definition.traffic,
        "planned_units": None if definition is None else definition.units,
        "first_assigned_at_ms": first_ms,
        "last_assigned_at_ms": last_ms,
        "variants": [_variant(name, arms, counts.get(name, Counts(0, 0, 0))) for name in names],
        "srm": _ratio(arms, {name: found.units for name, found in counts.items()}),
    }


def _variant(name: str, arms: Arms, counts: Counts) -> Json:
    config: FusionConfig | None = None
    overrides: Mapping[str, float] = {}
    if arms.definition is not None and name in arms.shares:
        found = arms.definition.variant(name)
        config, overrides = found.config, found.overrides
    return {
        "name": name,
        "weight": arms.shares.get(name),
        "mapping": None if config is None else config.mapping,
        "smoothing": None if config is None else config.smoothing,
        "parameters": dict(overrides),
        "assigned_sessions": counts.sessions,
        "assigned_units": counts.units,
        "exposed_sessions": counts.exposed,
    }


def _counts(observations: Sequence[Observation]) -> dict[str, Counts]:
    units = _units_by_variant(observations)
    return {
        name: Counts(
            sum(o.variant == name for o in observations), count,
            sum(o.variant == name and o.exposed for o in observations),
        )
        for name, count in units.items()
    }  # fmt: skip


def _units_by_variant(observations: Iterable[Observation]) -> dict[str, int]:
    counts: dict[str, set[str]] = defaultdict(set)
    for o in observations:
        counts[o.variant].add(o.unit)
    return {name: len(units) for name, units in counts.items()}


def _ratio(arms: Arms, counts: Mapping[str, int]) -> Json:
    told = {name: counts.get(name, 0) for name in sorted(set(counts) | set(arms.shares))}
    if not arms.shares:
        return {"verdict": "unknown", "p_value": None, "threshold": SRM_THRESHOLD, "counts": told, "expected": None}
    found = sample_ratio(counts, arms.shares)
    return {
        "verdict": found.verdict,
        "p_value": _number(found.p_value),
        "threshold": SRM_THRESHOLD,
        "counts": told,
        "expected": {name: _number(value) for name, value in found.expected.items()},
    }


def analyse(
    arms: Arms, observations: Sequence[Observation], before: Mapping[str, Mapping[str, float]] | None = None, *,
    now_ms: int, settings: Settings | None = None,
) -> Json:  # fmt: skip
    """Everything about one experiment.

    ``before``: unit -> metric -> its value from before the experiment, for CUPED.
    """
    chosen = settings or Settings()
    units = _exposed_units(observations)
    instants = [o.assigned_at_ms for o in observations]
    metrics = sorted(METRICS, key=lambda name: (name != arms.primary, METRICS.index(name)))
    names = sorted(set(arms.shares) | {u.variant for u in units.values()}, key=lambda n: (n != arms.control, n))
    told = [_metric(DEFINED[name], arms, names, units, before or {}, chosen) for name in metrics]
    _correct(told, chosen)
    assigned, exposed = (_ratio(arms, counts) for counts in (_units_by_variant(observations), _counted(units)))
    grouped = [
        GroupedUnit(unit.variant, group, {metric.name: unit.value(metric.name) for metric in FAIRNESS})
        for unit in units.values()
        if (group := next((s.group for s in unit.sessions if s.group is not None), None)) is not None
    ]
    return {
        "experiment": summary_of(arms, _counts(observations), min(instants, default=None), max(instants, default=None)),
        "generated_at_ms": now_ms,
        "confidence": chosen.confidence,
        "correction": chosen.correction,
        "population": {
            "assigned_sessions": len(observations),
            "exposed_sessions": sum(len(unit.sessions) for unit in units.values()),
            "exposed_units": len(units),
        },
        "srm": {"assigned": assigned, "exposed": exposed},
        "metrics": told,
        "fairness": fairness(grouped, names, confidence=chosen.confidence, minimum_cell=chosen.minimum_cell),
        "decision": _decision(arms, told, (assigned, exposed)),
    }


def _exposed_units(observations: Sequence[Observation]) -> dict[str, _Unit]:
    """Units in the order in which they were first exposed."""
    units: dict[str, _Unit] = {}
    for o in sorted(observations, key=lambda o: (o.assigned_at_ms, o.session_id)):
        if o.exposed:
            # A unit has one variant for as long as the salt is the same.
            unit = units.setdefault(o.unit, _Unit(o.variant, o.assigned_at_ms))
            if unit.variant == o.variant:
                unit.sessions.append(o)
    return units


def _counted(units: Mapping[str, _Unit]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for unit in units.values():
        counts[unit.variant] += 1
    return counts


def _metric(  # noqa: PLR0917 - all of a metric's parts
    metric: Metric, arms: Arms, names: Sequence[str], units: Mapping[str, _Unit],
    before: Mapping[str, Mapping[str, float]], settings: Settings,
) -> Json:  # fmt: skip
    known = [(unit, u) for unit, u in units.items() if not math.isnan(u.value(metric.name))]
    rows: dict[str, Floats] = {
        name: np.array([u.value(metric.name) for _, u in known if u.variant == name]) for name in names
    }
    effects = []
    for name in names:
        if name == arms.control or min(len(rows[name]), len(rows.get(arms.control, ()))) < FEWEST:
            continue
        both = [(unit, u) for unit, u in known if u.variant in {name, arms.control}]
        effects.append(_effect(metric, arms, name, both, before, settings))
    return {
        "name": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "kind": metric.kind,
        "better": metric.better,
        "digits": metric.digits,
        "primary": metric.name == arms.primary,
        "definition": metric.definition,
        "variants": [_arm(metric, name, rows[name], settings.confidence) for name in names],
        "effects": effects,
    }


def _arm(metric: Metric, name: str, values: Floats, confidence: float) -> Json:
    told: Json = {"variant": name, "units": len(values), "mean": None, "low": None, "high": None, "sd": None}
    if len(values):
        mean = mean_of(values, confidence=confidence, share=metric.kind == "share")
        told |= {"mean": _number(mean.value), "low": _number(mean.low), "high": _number(mean.high)}
    if len(values) > 1:
        told["sd"] = _number(float(np.std(values, ddof=1)))
    return told


def _effect(  # noqa: PLR0917 - as above
    metric: Metric, arms: Arms, name: str, units: Sequence[tuple[str, _Unit]],
    before: Mapping[str, Mapping[str, float]], settings: Settings,
) -> Json:  # fmt: skip
    values = np.array([u.value(metric.name) for _, u in units])
    treated = np.array([u.variant == name for _, u in units])
    covariate = np.array([before.get(unit, {}).get(metric.name, math.nan) for unit, _ in units])
    found = difference(values[treated], values[~treated], confidence=settings.confidence, share=metric.kind == "share")
    control = float(np.mean(values[~treated]))
    pair = arms.shares.get(name, 0.5), arms.shares.get(arms.control, 0.5)
    peeked = sequence(
        values, treated, share=pair[0] / sum(pair), confidence=settings.confidence,
        planned=max(2 * FEWEST, round(arms.planned * sum(pair))), percentages=metric.kind == "share",
    )  # fmt: skip
    adjusted = cuped(
        values[treated], values[~treated], (covariate[treated], covariate[~treated]), confidence=settings.confidence
    )
    at_ms = [u.at_ms for _, u in units]
    shown = sorted({*np.linspace(0, len(values) - 1, POINTS).round().astype(int).tolist()})
    return {
        "variant": name,
        "against": arms.control,
        "difference": _number(found.value),
        "low": _number(found.low),
        "high": _number(found.high),
        "relative": _number(found.value / control) if control else None,
        "p_value": _number(found.p_value),
        "adjusted_p_value": None,
        "significant": False,
        "cuped": None
        if adjusted is None
        else {
            "difference": _number(adjusted.estimate.value),
            "low": _number(adjusted.estimate.low),
            "high": _number(adjusted.estimate.high),
            "p_value": _number(adjusted.estimate.p_value),
            "variance_removed": _number(adjusted.variance_removed),
            "units": adjusted.units,
        },
        "sequence": {
            "difference": _number(found.value),
            "low": _number(peeked.low[-1]),
            "high": _number(peeked.high[-1]),
            "p_value": _number(peeked.p_value[-1]),
            "adjusted_p_value": None,
        },
        "trajectory": [
            {
                "at_ms": at_ms[i],
                "units": i + 1,
                "difference": _number(peeked.value[i]),
                "low": _number(peeked.low[i]),
                "high": _number(peeked.high[i]),
            }
            for i in shown
            if np.isfinite(peeked.low[i])
        ],
    }


def _correct(metrics: Sequence[Json], settings: Settings) -> None:
    """Adjust the p-values over variants and metrics: those of the fixed horizon, and the anytime-valid ones.

    The primary metric, which was chosen before and alone decides, is a family of its own; all the others are another.
    """
    for primary in (True, False):
        effects = [effect for metric in metrics if metric["primary"] is primary for effect in metric["effects"]]
        for parts in (effects, [effect["sequence"] for effect in effects]):
            given = [math.nan if part["p_value"] is None else part["p_value"] for part in parts]
            for part, p in zip(parts, corrected(given, settings.correction), strict=True):
                part["adjusted_p_value"] = _number(p)
        for effect in effects:
            p = effect["sequence"]["adjusted_p_value"]
            effect["significant"] = p is not None and p < 1 - settings.confidence


def _decision(arms: Arms, metrics: Sequence[Json], ratios: Sequence[Json]) -> Json:
    """What may be said now, by the primary metric's anytime-valid intervals."""
    if any(ratio["verdict"] == "mismatch" for ratio in ratios):
        text = (
            "The units did not come to the variants by their shares: something besides the draw decides who is "
            "counted. Find out what before believing any figure."
        )
        return {"verdict": "invalid", "text": text}
    primary = metrics[0]
    found = [effect for effect in primary["effects"] if effect["significant"]]
    harmed = sorted(
        {metric["title"] for metric in metrics[1:] for effect in metric["effects"] if _harms(metric, effect)}
    )
    caution = f" But worse: {', '.join(harmed)}." if harmed else ""
    if not found or primary["better"] == "neither":
        return {"verdict": "undecided", "text": f"{primary['title']} does not tell the variants apart yet.{caution}"}
    good = [effect for effect in found if not _harms(primary, effect)]
    best = max(good or found, key=lambda effect: abs(effect["difference"]))
    word = "better" if good else "worse"
    digits = primary["digits"]
    text = (
        f"{best['variant']} is {word} than {arms.control} in {primary['title'].lower()}: "
        f"{best['difference']:+.{digits}f} ({primary['unit']}), anytime-valid interval "
        f"{best['sequence']['low']:+.{digits}f} to {best['sequence']['high']:+.{digits}f}.{caution}"
    )
    return {"verdict": word, "text": text}


def _harms(metric: Json, effect: Json) -> bool:
    if not effect["significant"] or metric["better"] == "neither":
        return False
    return bool((effect["difference"] < 0) == (metric["better"] == "higher"))


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return round(float(value), 6) if math.isfinite(value) else None
