"""Does the ledger account for everything? Pure: entries and sequences in, verdicts out.

At each stage every item that came in has exactly one outcome, so what a stage says that it used must be, number by
number, what the next stage says that it was given. Sets of sequences are unions of ranges: a worker that was killed
notes some items twice, and a union does not care.

A stage that is killed takes the last second of its ledger with it. Two things make the account exact all the same. What
a stage has published proves that it used what it was made of, noted or not. And a worker commits an offset only after
the entries of everything before it: what it had not noted, its successor reads and notes again. An item that was both
used and dropped (read again when it had become stale) was used.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.vocabulary import Modality, Outcome, Stage

WORKERS: Final[Mapping[Modality, Stage]] = {
    Modality.FACE: Stage.FACE_WORKER,
    Modality.SPEECH: Stage.SPEECH_WORKER,
}
NO_ITEMS: Final = frozenset({Outcome.GAP.value})
"""Outcomes that count what is missing, not what came in."""
SHOWN_RANGES: Final = 10


class Ranges:
    """A set of integers as sorted, disjoint, closed ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        merged: list[tuple[int, int]] = []
        for first, last in sorted(r for r in ranges if r[0] <= r[1]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self.ranges: Final = tuple(merged)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Ranges":
        """The set of these numbers."""
        return cls((n, n) for n in numbers)

    def __or__(self, other: "Ranges") -> "Ranges":
        return Ranges((*self.ranges, *other.ranges))

    def __sub__(self, other: "Ranges") -> "Ranges":
        left: list[tuple[int, int]] = []
        index = 0
        for first, last in self.ranges:
            start = first
            while index < len(other.ranges) and other.ranges[index][1] < start:
                index += 1
            at = index
            while at < len(other.ranges) and other.ranges[at][0] <= last:
                taken_first, taken_last = other.ranges[at]
                if taken_first > start:
                    left.append((start, taken_first - 1))
                start = max(start, taken_last + 1)
                at += 1
            if start <= last:
                left.append((start, last))
        return Ranges(left)

    def __and__(self, other: "Ranges") -> "Ranges":
        return self - (self - other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.ranges == other.ranges

    __hash__ = None  # type: ignore[assignment]  # a set of ranges is no key

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __repr__(self) -> str:
        return f"Ranges({list(self.ranges)})"


NOTHING: Final = Ranges()


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry of one session; ``first_sequence`` -1: unnumbered."""

    recorded_at_us: int
    stage: str
    modality: str
    outcome: str
    count: int
    first_sequence: int
    last_sequence: int


@dataclass(frozen=True, slots=True)
class Account:
    """What one stage says of one modality."""

    used: Ranges
    dropped: Ranges
    unnumbered: Mapping[str, int]
    by_outcome: Mapping[str, int]

    @property
    def accounted(self) -> Ranges:
        """Every numbered item that came in."""
        return self.used | self.dropped


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison. ``missing``: came in, but not accounted for; ``surplus``: accounted for, but never came in."""

    name: str
    modality: str
    came_in: int
    accounted: int
    missing: int
    surplus: int
    examples: tuple[tuple[int, int], ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether both sides agree exactly."""
        return self.missing == 0 and self.surplus == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "modality": self.modality,
            "came_in": self.came_in,
            "accounted": self.accounted,
            "missing": self.missing,
            "surplus": self.surplus,
            "examples": [list(r) for r in self.examples],
            "balanced": self.balanced,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one session besides its ledger."""

    face_signals: Ranges
    """Sequences of its FaceSignals."""
    signal_records: Mapping[str, int]
    """Records in the topic ``signals`` by modality ("" is lifecycle), republished ones included."""
    frames: int
    """Its frames, each counted once."""
    frame_gaps: Ranges
    """Ticks that are missing before a frame which does not carry the discontinuity flag."""
    media: Mapping[Modality, Ranges] = field(default_factory=dict)
    """Sequences in the media topics, where these still hold the session in full."""
    on_device: frozenset[Modality] = frozenset()
    """What the client analysed itself: the edge wrote its signals, and no worker knows of it."""


def account(entries: Iterable[Entry], stage: Stage, modality: str, proven: Ranges = NOTHING) -> Account:
    """What became of ``modality`` at ``stage``: what it says, and ``proven``, which it used for what came of it."""
    mine = [e for e in entries if e.stage == stage.value and e.modality == modality and e.outcome not in NO_ITEMS]
    numbered = [e for e in mine if e.first_sequence >= 0]
    used = proven | Ranges((e.first_sequence, e.last_sequence) for e in numbered if e.outcome == Outcome.USED.value)
    others = Ranges((e.first_sequence, e.last_sequence) for e in numbered if e.outcome != Outcome.USED.value)
    unnumbered: dict[str, int] = {}
    outcomes: dict[str, list[tuple[int, int]]] = {}
    for entry in mine:
        if entry.first_sequence < 0:
            unnumbered[entry.outcome] = unnumbered.get(entry.outcome, 0) + entry.count
        else:
            outcomes.setdefault(entry.outcome, []).append((entry.first_sequence, entry.last_sequence))
    # Used once is used, whatever a second look at the same item found; and each item counts under one outcome.
    told, by_outcome = used, {}
    if used:
        by_outcome[Outcome.USED.value] = len(used)
    for outcome, ranges in sorted(outcomes.items()):
        new = Ranges(ranges) - told
        told |= new
        if new:
            by_outcome[outcome] = len(new)
    for outcome, count in unnumbered.items():
        by_outcome[outcome] = by_outcome.get(outcome, 0) + count
    return Account(used, others - used, unnumbered, by_outcome)


def fusion_counts(entries: Iterable[Entry]) -> Mapping[str, Mapping[str, int]]:
    """Signals by modality and outcome as fusion counted them.

    Fusion's entries are a function of the log: one written again after a crash is the same entry, and counts once.
    Unreadable records are left out: no row was made of them either, and whose they were is not known.
    """
    counts: dict[str, dict[str, int]] = {}
    mine = {e for e in entries if e.stage == Stage.FUSION.value and e.outcome != Outcome.UNREADABLE.value}
    for entry in mine:
        outcomes = counts.setdefault(entry.modality, {})
        outcomes[entry.outcome] = outcomes.get(entry.outcome, 0) + entry.count
    return counts


def compare(name: str, modality: str, came_in: Ranges, accounted: Ranges) -> Check:
    """Whether two sets of sequences are the same."""
    missing, surplus = came_in - accounted, accounted - came_in
    return Check(
        name=name,
        modality=modality,
        came_in=len(came_in),
        accounted=len(accounted),
        missing=len(missing),
        surplus=len(surplus),
        examples=(missing.ranges or surplus.ranges)[:SHOWN_RANGES],
    )


def balance(entries: Sequence[Entry], facts: Facts) -> list[Check]:
    """Every check of one session; it balances if all of them do.

    ``media_to_edge`` (only where the media topics still hold the session): what the edge says it used lies in the log.
    ``edge_to_worker``: what lies in the log, and what the worker says of it; where the log is gone, what the edge says
    it used, and the worker likewise. ``worker_to_signals``: every picture used has its FaceSignal, and every FaceSignal
    a picture that the worker knows of. Instead of these, of what the client analysed itself, ``edge_to_signals``: every
    feature that the edge used has its signal, number by number for faces (hops of speech get the numbers of their
    places), and the other way round. ``signals_to_fusion``: records in ``signals``, and fusion's counts. ``frames``:
    no tick missing but for flagged discontinuities.
    """
    checks: list[Check] = []
    for modality, worker in WORKERS.items():
        edge = account(entries, Stage.INGEST, modality.value)
        if modality in facts.on_device:
            checks.append(_edge_to_signals(modality, edge.used, facts))
            continue
        at_worker = account(entries, worker, modality.value)
        logged = facts.media.get(modality)
        if logged is not None:
            checks.append(compare("media_to_edge", modality.value, edge.used, edge.used & logged))
        # Without the log, an item of which the worker knows is one that the edge has published.
        sent = edge.used | at_worker.accounted if logged is None else logged
        checks.append(compare("edge_to_worker", modality.value, sent, at_worker.accounted))
        if modality is Modality.FACE:
            known = at_worker.used | (at_worker.accounted & facts.face_signals)
            checks.append(compare("worker_to_signals", modality.value, known, facts.face_signals))
    counts = fusion_counts(entries)
    for key in sorted(set(facts.signal_records) | set(counts)):
        came_in, accounted = facts.signal_records.get(key, 0), sum(counts.get(key, {}).values())
        missing = max(0, came_in - accounted)
        checks.append(
            Check("signals_to_fusion", key, came_in, accounted, missing=missing, surplus=max(0, accounted - came_in))
        )
    gaps = facts.frame_gaps
    ticks = facts.frames + len(gaps)
    checks.append(Check("frames", "", ticks, facts.frames, len(gaps), 0, gaps.ranges[:SHOWN_RANGES]))
    return checks


def _edge_to_signals(modality: Modality, used: Ranges, facts: Facts) -> Check:
    if modality is Modality.FACE:
        return compare("edge_to_signals", modality.value, used, facts.face_signals)
    came_in, accounted = len(used), facts.signal_records.get(modality.value, 0)
    missing, surplus = max(0, came_in - accounted), max(0, accounted - came_in)
    return Check("edge_to_signals", modality.value, came_in, accounted, missing, surplus)


def unseen(entries: Sequence[Entry], facts: Facts) -> Mapping[Modality, Ranges]:
    """Numbers that a client gave to items of which there is no trace, up to the newest that there is one of.

    Clients number their items from 0 without gaps. What is missing was given up by the client, was lost with a
    connection, or was in the memory of an edge that was killed, which nobody can tell apart afterwards. Empty for a
    modality that the media topics no longer hold in full.
    """
    found: dict[Modality, Ranges] = {}
    for modality, logged in facts.media.items():
        known = account(entries, Stage.INGEST, modality.value, proven=logged).accounted
        found[modality] = Ranges((0, last) for _, last in known.ranges[-1:]) - known
    return found
