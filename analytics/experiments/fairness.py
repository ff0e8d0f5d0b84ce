"""Errors and confidence by the group that people declare, with consent. Pure.

A cell is a group within a variant. Cells of few units say little and may point at a person: they are suppressed, and a
group of which no cell can be shown is not even named.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.experiments.metrics import FAIRNESS, Metric
from analytics.experiments.statistics import Floats, corrected, difference, mean_of

Json = dict[str, Any]

MINIMUM_CELL: Final = 20
LEAST_CELL: Final = 5
"""No setting goes below this."""


@dataclass(frozen=True, slots=True)
class GroupedUnit:
    """A unit whose person declared a group."""

    variant: str
    group: str
    values: Mapping[str, float]
    """By metric of :data:`FAIRNESS`; NaN: the unit does not tell."""


def fairness(
    units: Sequence[GroupedUnit], variants: Sequence[str], *, confidence: float, minimum_cell: int = MINIMUM_CELL
) -> Json:
    """The metrics of :data:`FAIRNESS` by group and variant, and how each group differs from the others that are shown.

    A difference is given only if both sides have enough units that tell; p-values are adjusted over all of them (Holm).
    """
    least = max(minimum_cell, LEAST_CELL)
    names = sorted({unit.group for unit in units})
    cells = {(g, v): [u for u in units if u.group == g and u.variant == v] for g in names for v in variants}
    shown = [g for g in names if any(len(cells[g, v]) >= least for v in variants)]
    hidden = [key for key, members in cells.items() if 0 < len(members) < least]
    # Only cells that are shown: from a difference to all others, with the cells beside it, a hidden one could be told.
    open_units = [unit for members in cells.values() if len(members) >= least for unit in members]
    gaps = [
        gap
        for g in shown
        for v in variants
        if len(cells[g, v]) >= least
        for metric in FAIRNESS
        if (gap := _gap(metric, g, v, open_units, least, confidence)) is not None
    ]
    for gap, p in zip(gaps, corrected([gap["p_value"] for gap in gaps], "holm"), strict=True):
        gap["adjusted_p_value"] = round(p, 6)
        gap["significant"] = p < 1 - confidence
    return {
        "minimum_cell": least,
        "consented_units": len(units),
        "suppressed_groups": len(names) - len(shown),
        "suppressed_cells": len(hidden),
        "suppressed_units": sum(len(cells[key]) for key in hidden),
        "groups": [
            {"group": g, "variants": [_cell(v, cells[g, v], least, confidence) for v in variants]} for g in shown
        ],
        "gaps": gaps,
    }


def _values(metric: Metric, units: Sequence[GroupedUnit]) -> Floats:
    told = np.array([unit.values.get(metric.name, math.nan) for unit in units])
    found: Floats = told[np.isfinite(told)]
    return found


def _cell(variant: str, units: Sequence[GroupedUnit], least: int, confidence: float) -> Json:
    if len(units) < least:
        return {"variant": variant, "units": None, "suppressed": True, "metrics": []}
    told = []
    for metric in FAIRNESS:
        values = _values(metric, units)
        row: Json = {
            "name": metric.name, "title": metric.title, "unit": metric.unit, "digits": metric.digits, "units": None,
            "mean": None, "low": None, "high": None,
        }  # fmt: skip
        if len(values) >= least:
            mean = mean_of(values, confidence=confidence, share=metric.kind == "share")
            row |= {"units": len(values)}
            row |= {"mean": round(mean.value, 6), "low": round(mean.low, 6), "high": round(mean.high, 6)}
        told.append(row)
    return {"variant": variant, "units": len(units), "suppressed": False, "metrics": told}


def _gap(  # noqa: PLR0917 - one place calls it
    metric: Metric, group: str, variant: str, units: Sequence[GroupedUnit], least: int, confidence: float
) -> Json | None:
    inside = _values(metric, [u for u in units if u.variant == variant and u.group == group])
    others = _values(metric, [u for u in units if u.variant == variant and u.group != group])
    if min(len(inside), len(others)) < least:
        return None
    found = difference(inside, others, confidence=confidence, share=metric.kind == "share")
    return {
        "metric": metric.name, "title": metric.title, "unit": metric.unit, "digits": metric.digits,
        "better": metric.better, "variant": variant,
        "group": group, "difference": round(found.value, 6), "low": round(found.low, 6), "high": round(found.high, 6),
        "p_value": found.p_value,
    }  # fmt: skip
