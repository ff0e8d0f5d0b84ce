"""Two variants on the same sessions: the same signals, fused under both, paired by session and tick. Pure.

Whatever differs between people is on both sides and falls out, so few sessions show what many viewers would need months
for; what viewers think is not in it. Sessions are the clusters: ticks of one session are not independent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from analytics.experiments.metrics import DEFINED, FAIRNESS, Metric, SessionFacts
from analytics.experiments.statistics import Estimate, clustered_mean, corrected
from analytics.experiments.tracks import SHAPES, Floats, Track

Json = dict[str, Any]

FEWEST_SESSIONS: Final = 3
METRICS: Final[Sequence[Metric]] = [m for m in (*DEFINED.values(), *FAIRNESS[2:]) if m.of_frames]


def pair_up(a: Track, b: Track) -> tuple[Track, Track, int]:
    """The ticks that both have, and how many only one has."""
    _, at_a, at_b = np.intersect1d(a.sequence, b.sequence, assume_unique=True, return_indices=True)
    return _taken(a, at_a), _taken(b, at_b), len(a) + len(b) - 2 * len(at_a)


def _taken(track: Track, index: Any) -> Track:
    sequence = track.sequence[index]
    joined = track.joined[index].copy()
    joined[:1] = False
    joined[1:] &= np.diff(sequence) == 1
    return Track(
        sequence=sequence, emotions=track.emotions[index], aus=track.aus[index], shapes=track.shapes[index],
        speaking=track.speaking[index], confidence=track.confidence[index], face_live=track.face_live[index],
        joined=joined, heard=track.heard[index],
    )  # fmt: skip


def compare_pairs(
    control: Mapping[str, Track], treated: Mapping[str, Track], *, confidence: float = 0.95, seed: int = 0
) -> Json:
    """Treated less control: each metric by session, each blendshape by tick; intervals by bootstrap over sessions.

    p-values turn the signs of whole sessions at random, adjusted over all metrics (Holm).
    """
    pairs = {name: pair_up(control[name], treated[name]) for name in sorted(set(control) & set(treated))}
    unpaired = sum(alone for _, _, alone in pairs.values())
    both = [(a, b) for a, b, _ in pairs.values() if len(a)]
    rows = [row for metric in METRICS if (row := _metric(metric, both, confidence, seed)) is not None]
    for row, p in zip(rows, corrected([row["p_value"] for row in rows], "holm"), strict=True):
        row["adjusted_p_value"] = _number(p)
        row["significant"] = bool(p < 1 - confidence)
        row["p_value"] = _number(row["p_value"])
    return {
        "sessions": len(both),
        "paired_ticks": sum(len(a) for a, _ in both),
        "unpaired_ticks": unpaired,
        "confidence": confidence,
        "metrics": rows,
        "channels": _channels(both, confidence, seed),
    }


def _metric(metric: Metric, both: Sequence[tuple[Track, Track]], confidence: float, seed: int) -> Json | None:
    values = [(metric.of(SessionFacts(track=a)), metric.of(SessionFacts(track=b))) for a, b in both]
    known = np.array([pair for pair in values if None not in pair], np.float64).reshape(-1, 2)
    if len(known) < FEWEST_SESSIONS:
        return None
    gaps = known[:, 1] - known[:, 0]
    found = clustered_mean(gaps, np.ones(len(gaps)), confidence=confidence, seed=seed)
    before = float(known[:, 0].mean())
    return {
        "name": metric.name, "title": metric.title, "unit": metric.unit, "better": metric.better,
        "digits": metric.digits, "definition": metric.definition, "sessions": len(known), "control": _number(before),
        "treated": _number(float(known[:, 1].mean())), **_told(found),
        "relative": _number(found.value / before) if before else None, "p_value": found.p_value,
    }  # fmt: skip


def _channels(both: Sequence[tuple[Track, Track]], confidence: float, seed: int) -> list[Json]:
    """By blendshape: the mean difference over paired ticks, and the mean of its size, largest first."""
    if len(both) < FEWEST_SESSIONS:
        return []
    ticks = np.array([len(a) for a, _ in both], np.float64)
    sums = np.stack([(b.shapes - a.shapes).sum(axis=0) for a, b in both])
    sizes: Floats = np.stack([np.abs(b.shapes - a.shapes).sum(axis=0) for a, b in both]).sum(axis=0) / ticks.sum()
    told = []
    for i in np.argsort(-sizes):
        found = clustered_mean(sums[:, i], ticks, confidence=confidence, seed=seed)
        told.append({"channel": SHAPES[i], **_told(found), "mean_size": _number(float(sizes[i]))})
    return told


def _told(found: Estimate) -> Json:
    return {"difference": _number(found.value), "low": _number(found.low), "high": _number(found.high)}


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
