"""Whether a period's frames are distributed as a reference period's were. Pure.

Each channel is counted in fixed classes, by session. The shares of a period are the means of its sessions' shares: each
session weighs the same, however long it lasted. Two measures say how far the shares p (period) and q (reference) lie
apart; they are floored at :data:`FLOOR`, so that an empty class does not make them infinite.

- Population stability index, ``sum((p - q) * ln(p / q))``, in nats, 0 and up. The usual reading (N. Siddiqi, Credit
  Risk Scorecards, 2006): below 0.1 stable, from 0.25 on a large change.
- Jensen-Shannon distance, the root of the Jensen-Shannon divergence to base 2: 0 (the same) to 1 (nothing in common).

Periods of a few sessions differ by chance. So sessions are dealt anew to the two periods, and
``p_value`` is the share of deals whose index is at least the one found: frames of a session are not independent,
sessions are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import jensenshannon

from schemas.vocabulary import EMOTIONS

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float64]
Verdict = Literal["stable", "chance", "moderate", "large", "too_few"]
"""chance: the index is large, but so it often is when the same sessions are dealt at random."""

FLOOR: Final = 1e-4
MODERATE_PSI: Final = 0.1
LARGE_PSI: Final = 0.25
DEALS: Final = 999
SIGNIFICANT: Final = 0.01
FEWEST_SESSIONS: Final = 5
"""In each period; with fewer nothing is said."""
SEED: Final = 20_260_101

_UNIT: Final = tuple(n / 20 for n in range(21))
_SIGNED: Final = tuple(round(-1 + n / 10, 1) for n in range(21))
LATENCY_EDGES_MS: Final = (0, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1_000, 60_000)


@dataclass(frozen=True, slots=True)
class Channel:
    """What is compared: its classes' edges (each class holds its lower edge), or the words of its classes."""

    name: str
    title: str
    unit: str
    edges: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.words) or len(self.edges) - 1


CHANNELS: Final = (
    Channel("emotion", "Leading emotion", "", words=EMOTIONS),
    *(Channel(f"emotion_{name}", f"Score of {name}", "0 to 1", _UNIT) for name in EMOTIONS),
    Channel("valence", "Valence", "-1 to 1", _SIGNED),
    Channel("arousal", "Arousal", "-1 to 1", _SIGNED),
    Channel("face_confidence", "Confidence in the face", "0 to 1", _UNIT),
    Channel("speech_confidence", "Confidence in the voice", "0 to 1", _UNIT),
    Channel("face_total_ms", "Face: capture to fused", "ms", LATENCY_EDGES_MS),
    Channel("speech_total_ms", "Voice: capture to fused", "ms", LATENCY_EDGES_MS),
)


@dataclass(frozen=True, slots=True)
class Period:
    """What one period holds: (sessions, classes) counts by channel, and sums of values, (sessions,), by channel."""

    sessions: int
    frames: int
    counts: Mapping[str, Counts]
    sums: Mapping[str, Floats]


def shares(counts: Counts) -> Floats:
    """Counts (or shares) as shares of their last axis, none below FLOOR before they are scaled to sum to 1."""
    total = counts.sum(axis=-1, keepdims=True)
    raw = np.divide(counts, total, out=np.full_like(counts, 1.0 / counts.shape[-1]), where=total > 0)
    floored = np.maximum(raw, FLOOR)
    return np.asarray(floored / floored.sum(axis=-1, keepdims=True))


def by_session(counts: Counts) -> Counts:
    """Each session's shares, of sessions in which something was counted."""
    total = counts.sum(axis=1, keepdims=True)
    seen = total[:, 0] > 0
    return np.asarray(counts[seen] / total[seen])


def stability_index(counts: Counts, reference: Counts) -> Floats:
    """Population stability index over the last axis, in nats."""
    p, q = shares(counts), shares(reference)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def js_distance(counts: Counts, reference: Counts) -> float:
    """Jensen-Shannon distance to base 2, 0..1."""
    return float(jensenshannon(shares(counts), shares(reference), base=2.0))


def deal_p_value(sessions: Counts, reference: Counts, deals: int = DEALS, seed: int = SEED) -> float:
    """The share of deals of all sessions to two periods of these sizes whose index is at least the one found.

    Both are (sessions, classes): each session's shares.

    The same rows give the same value: the deals are drawn with a fixed seed.
    """
    every = np.concatenate([sessions, reference])
    observed = float(stability_index(sessions.sum(axis=0), reference.sum(axis=0)))
    rng = np.random.default_rng(seed)
    ranks = np.argsort(rng.random((deals, len(every))), axis=1)
    dealt = np.zeros((deals, len(every)))
    np.put_along_axis(dealt, ranks[:, : len(sessions)], 1.0, axis=1)
    first = dealt @ every
    found = stability_index(first, every.sum(axis=0) - first)
    # A tie is at least as far; sums in another order differ in their last digits.
    return float((1 + np.count_nonzero(found >= observed - 1e-12)) / (1 + deals))


def verdict_of(index: float, p_value: float) -> Verdict:
    """In a word."""
    if index < MODERATE_PSI:
        return "stable"
    if p_value >= SIGNIFICANT:
        return "chance"
    return "large" if index >= LARGE_PSI else "moderate"


def compare(period: Period, reference: Period, channels: Sequence[Channel] = CHANNELS) -> list[dict[str, Any]]:
    """Every channel for JSON, with both periods' shares by class; what cannot be told is None."""
    found = []
    for channel in channels:
        # A session in which nothing of the kind was seen says nothing about it.
        seen, seen_before = by_session(period.counts[channel.name]), by_session(reference.counts[channel.name])
        told = min(len(seen), len(seen_before)) >= FEWEST_SESSIONS
        psi = p_value = jsd = None
        verdict: Verdict = "too_few"
        if told:
            now, before = seen.sum(axis=0), seen_before.sum(axis=0)
            psi = round(float(stability_index(now, before)), 4)
            jsd = round(js_distance(now, before), 4)
            p_value = round(deal_p_value(seen, seen_before), 4)
            verdict = verdict_of(psi, p_value)
        found.append(
            {
                "name": channel.name,
                "title": channel.title,
                "unit": channel.unit,
                "edges": list(channel.edges),
                "words": list(channel.words),
                "sessions": len(seen),
                "reference_sessions": len(seen_before),
                "shares": _shown(seen),
                "reference_shares": _shown(seen_before),
                "mean": _mean(period, channel),
                "reference_mean": _mean(reference, channel),
                "psi": psi,
                "js_distance": jsd,
                "p_value": p_value,
                "verdict": verdict,
            }
        )
    return found


def _shown(sessions: Counts) -> list[float]:
    return [round(share, 5) for share in sessions.mean(axis=0).tolist()] if len(sessions) else []


def _mean(period: Period, channel: Channel) -> float | None:
    """Of the sessions' means."""
    counted = period.counts[channel.name].sum(axis=1)
    seen = counted > 0
    if channel.words or not seen.any():
        return None
    return round(float((period.sums[channel.name][seen] / counted[seen]).mean()), 4)
