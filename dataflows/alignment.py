"""Event time: the session clock, ticks, what closes them, the rings of samples, interpolation.

Instants are integer microseconds. Nothing here knows any other clock than the samples' own ``captured_at_us``.
"""

from typing import Any

import numpy as np

from dataflows.compiled import compiled
from dataflows.layout import (
    BOTH,
    DUPLICATE,
    F_CONFIDENCE,
    F_DETECTED,
    F_ROLL,
    F_TRACK,
    F_WIDTH,
    F_YAW,
    FACE,
    FACE_HIGH,
    FACE_LOW,
    FRESH_US,
    INVALID,
    LATE,
    LATEST_US,
    MAX_WAIT,
    N_HOPS,
    OPEN,
    RECENT,
    RING,
    S_WIDTH,
    SPEECH,
    SPEECH_HIGH,
    SPEECH_LOW,
    TICKS_A_SECOND,
    US,
    USED,
)


@compiled
def first_tick_us(started_us: int) -> int:
    """T_0: ``started_us`` rounded up to the grid of thirtieths of a second since the Unix epoch."""
    number = -((-started_us * TICKS_A_SECOND) // US)
    return number * US // TICKS_A_SECOND


@compiled
def tick_us(t0_us: int, tick: int) -> int:
    """T_k = T_0 + k·10⁶/30, rounded down."""
    return t0_us + tick * US // TICKS_A_SECOND


@compiled
def tick_at(t0_us: int, instant_us: int) -> int:
    """Number of the first tick at or after ``instant_us``; 0 before T_0."""
    return max(0, -((-(instant_us - t0_us) * TICKS_A_SECOND) // US))


@compiled
def is_live(row: Any, modality: int) -> bool:
    """True if the newest sample is younger than ``live_ms`` by the session clock, or is still expected."""
    newest = row["newest_us"][modality]
    if newest >= 0 and row["clock_us"] - newest < row["live_us"]:
        return True
    return bool(row["expected"][modality] != 0 and row["clock_us"] - row["started_us"] < row["live_us"])


@compiled
def closed_by(row: Any) -> int:
    """What closes the oldest open tick at this position of the log: OPEN, BOTH or MAX_WAIT.

    BOTH: every live modality has a sample no more than its slack before the tick. MAX_WAIT: the session clock has
    gone ``max_wait`` past it, or a modality's ring is full.
    """
    instant = tick_us(row["t0_us"], row["tick"])
    some = False
    every = True
    for modality in range(2):
        if is_live(row, modality):
            some = True
            if row["newest_us"][modality] < instant - row["slack_us"][modality]:
                every = False
    if some and every:
        return BOTH
    if row["clock_us"] >= instant + row["max_wait_us"]:
        return MAX_WAIT
    if row["count"][FACE] >= RING or row["count"][SPEECH] >= RING:
        return MAX_WAIT
    return OPEN


@compiled
def is_valid(modality: int, stamps: Any, sequence: int, values: Any) -> bool:
    """True if every instant, the sequence and every value of a sample is a number within its range."""
    for hop in range(N_HOPS):
        if stamps[hop] < 0 or stamps[hop] >= LATEST_US:
            return False
    if sequence < 0 or sequence >= LATEST_US:
        return False
    # Counted to the end, not left at the first: so the compiler compares many at once. NaN is within nothing.
    within = 0
    if modality == FACE:
        for j in range(F_WIDTH):
            within += (values[j] >= FACE_LOW[j]) & (values[j] <= FACE_HIGH[j])
        return within == F_WIDTH
    for j in range(S_WIDTH):
        within += (values[j] >= SPEECH_LOW[j]) & (values[j] <= SPEECH_HIGH[j])
    return within == S_WIDTH


@compiled
def is_repeated(row: Any, modality: int, sequence: int) -> bool:
    """True if this sequence was seen, or lies too far back to know; otherwise remember it."""
    ahead = sequence - row["sequence"][modality]
    if ahead > 0:
        if ahead < RECENT:
            row["recent"][modality] = ((row["recent"][modality] & ((1 << (RECENT - ahead)) - 1)) << ahead) | 1
        else:
            row["recent"][modality] = 1
        row["sequence"][modality] = sequence
        return False
    if ahead <= -RECENT:
        return True
    bit = 1 << (-ahead)
    if row["recent"][modality] & bit != 0:
        return True
    row["recent"][modality] = row["recent"][modality] | bit
    return False


@compiled
def copy(values: Any, out: Any) -> None:
    """Copy one-dimensional ``values`` to all of ``out``, in its type."""
    for j in range(len(out)):
        out[j] = values[j]


@compiled
def insert(row: Any, modality: int, ring_stamps: Any, ring_values: Any, stamps: Any, values: Any) -> None:
    """Put a sample into the ring, in order of capture; of equal instants the later record stands behind."""
    head = row["head"][modality]
    place = row["count"][modality]
    while place > 0 and ring_stamps[(head + place - 1) % RING, 0] > stamps[0]:
        source = (head + place - 1) % RING
        target = (head + place) % RING
        copy(ring_stamps[source], ring_stamps[target])
        copy(ring_values[source], ring_values[target])
        place -= 1
    slot = (head + place) % RING
    copy(stamps, ring_stamps[slot])
    copy(values, ring_values[slot])
    row["count"][modality] = row["count"][modality] + 1


@compiled
def prune(row: Any, modality: int, ring_stamps: Any, instant_us: int) -> None:
    """Forget the samples that no tick after ``instant_us`` can need: all but the newest at or before it."""
    while row["count"][modality] > 1 and ring_stamps[(row["head"][modality] + 1) % RING, 0] <= instant_us:
        row["head"][modality] = (row["head"][modality] + 1) % RING
        row["count"][modality] = row["count"][modality] - 1


@compiled
def take_sample(
    row: Any, modality: int, ring_stamps: Any, ring_values: Any, stamps: Any, sequence: int, values: Any
) -> int:
    """Let a session have a sample; returns USED, LATE, DUPLICATE or INVALID.

    Invalid and repeated samples change nothing. A late one (not after the last closed tick) changes no closed tick,
    and is held for the next ones if it is its modality's newest.
    """
    if not is_valid(modality, stamps, sequence, values):
        return INVALID
    if is_repeated(row, modality, sequence):
        return DUPLICATE
    captured = stamps[0]
    closed = tick_us(row["t0_us"], row["tick"] - 1)
    newest = captured > row["newest_us"][modality]
    late = captured <= closed
    if not late or newest:
        insert(row, modality, ring_stamps, ring_values, stamps, values)
        prune(row, modality, ring_stamps, closed)
    if newest:
        row["newest_us"][modality] = captured
    row["clock_us"] = max(row["clock_us"], captured)
    return LATE if late else USED


@compiled
def samples_until(row: Any, modality: int, ring_stamps: Any, instant_us: int) -> int:
    """How many of the ring's samples were captured at or before ``instant_us``."""
    number = 0
    while number < row["count"][modality] and ring_stamps[(row["head"][modality] + number) % RING, 0] <= instant_us:
        number += 1
    return number


@compiled
def silence_around(row: Any, face_stamps: Any, speech_stamps: Any, instant_us: int) -> tuple[int, int]:
    """The newest sample at or before ``instant_us`` and the oldest after it, of any modality.

    The session's start stands for a missing first; -1 for a missing second.
    """
    before = row["started_us"]
    after = -1
    for modality in range(2):
        ring_stamps = face_stamps if modality == FACE else speech_stamps
        number = samples_until(row, modality, ring_stamps, instant_us)
        if number > 0:
            before = max(before, ring_stamps[(row["head"][modality] + number - 1) % RING, 0])
        if number < row["count"][modality]:
            captured = ring_stamps[(row["head"][modality] + number) % RING, 0]
            after = captured if after < 0 else min(after, captured)
    return before, after


@compiled
def freshness(age_us: int, live_us: int) -> float:
    """How much a sample of this age still counts: 1 when fresh, falling linearly to 0 when no longer live."""
    if age_us >= live_us:
        return 0.0
    if age_us <= FRESH_US:
        return 1.0
    return (live_us - age_us) / (live_us - FRESH_US)


@compiled
def turned(from_deg: float, to_deg: float, share: float) -> float:
    """``share`` of the way from one angle to another, the short way round; degrees in [-180, 180)."""
    difference = (to_deg - from_deg + 540.0) % 360.0 - 180.0
    return (from_deg + share * difference + 540.0) % 360.0 - 180.0


@compiled
def value_at(row: Any, modality: int, ring_stamps: Any, ring_values: Any, instant_us: int, out: Any) -> tuple[int, int]:
    """Write a modality's value at ``instant_us`` to ``out``; returns its age in µs (-1: no value) and its ring slot.

    Linear between the samples either side. Held from the earlier one if there is no later one, or if the two lie so
    far apart that the modality was not live between them. What is categorical (which face) comes from the nearer
    sample, and where only one of two pictures shows a face, the values are that picture's and only the confidence
    fades. The slot is that of the nearer sample.
    """
    number = samples_until(row, modality, ring_stamps, instant_us)
    if number == 0:
        return -1, 0
    before = (row["head"][modality] + number - 1) % RING
    before_us = ring_stamps[before, 0]
    after = (before + 1) % RING
    alone = number == row["count"][modality]
    older = ring_values[before]
    newer = ring_values[after]
    if alone or ring_stamps[after, 0] - before_us >= row["live_us"]:
        copy(older, out)
        return instant_us - before_us, before
    after_us = ring_stamps[after, 0]
    share = (instant_us - before_us) / (after_us - before_us)
    nearer = before if share < 0.5 else after
    age = min(instant_us - before_us, after_us - instant_us)
    if modality == FACE:
        seen_before = older[F_DETECTED] > 0.5
        seen_after = newer[F_DETECTED] > 0.5
        if seen_before != seen_after or older[F_TRACK] != newer[F_TRACK]:
            shown = nearer
            if seen_before and not seen_after:
                shown = before
            if seen_after and not seen_before:
                shown = after
            copy(ring_values[shown], out)
            if seen_before != seen_after:
                faded = np.float64(older[F_CONFIDENCE])
                out[F_CONFIDENCE] = faded + share * (np.float64(newer[F_CONFIDENCE]) - faded)
            return age, nearer
    for j in range(len(out)):
        value = np.float64(older[j])
        out[j] = value + share * (np.float64(newer[j]) - value)
    if modality == FACE:
        for j in range(F_YAW, F_ROLL + 1):
            out[j] = turned(np.float64(older[j]), np.float64(newer[j]), share)
    return age, nearer
