"""The rules, in log order: the one loop that turns samples into frames.

Compiled it is the engine; with ``NUMBA_DISABLE_JIT=1`` the same source is the reference. Every decision depends on
the session's own records in log order, so neither the cutting into batches nor other sessions can change a frame;
only the freeing of silent sessions looks at the whole partition.
"""

from typing import Any

import numpy as np

from dataflows.alignment import (
    closed_by,
    freshness,
    prune,
    silence_around,
    take_sample,
    tick_at,
    tick_us,
    value_at,
)
from dataflows.attention import canonical_emotion, weigh
from dataflows.calibration import calibrate, update_calibration
from dataflows.compiled import compiled
from dataflows.layout import (
    ACTIVE,
    C_AFFECT,
    C_BONES,
    C_EMOTIONS,
    C_GAZE,
    C_GLOW,
    C_SLOUCH,
    C_VISEMES,
    CACHE_LINE,
    CHANNELS,
    CLOCK,
    DUPLICATE,
    END,
    ENTRIES,
    F_AUS,
    F_CONFIDENCE,
    F_DETECTED,
    F_GAZE,
    F_WIDTH,
    F_YAW,
    FACE,
    FLAG_CLOSED_BY,
    FLAG_DISCONTINUITY,
    FLAG_FACE_LIVE,
    FLAG_MAPPING,
    FLAG_MAX_WAIT,
    FLAG_SPEECH_LIVE,
    FLAG_VISEME_MOUTH,
    FRAMES,
    FREED,
    INVALID,
    LATEST_US,
    LEDGER_TICKS,
    MAX_WAIT,
    N_AUS,
    N_BLENDSHAPES,
    N_EMOTIONS,
    N_HOPS,
    N_VISEMES,
    NEXT_SWEEP,
    OF_A_RECORD,
    OF_A_TICK,
    OPEN,
    P_FACE_THRESHOLD,
    PARTITION_STEP_US,
    POSE,
    RECORD,
    RING,
    S_CONFIDENCE,
    S_SPEAKING,
    S_VISEME_CONFIDENCE,
    S_VISEMES,
    S_WIDTH,
    SESSION_OUTCOMES,
    SILENCE_US,
    SILENT,
    SPEECH,
    SWEEP_US,
    UNKNOWN_SESSION,
)
from dataflows.mapping import posture_targets, shape_targets
from dataflows.mouth import cross_fade, settle, update_owner
from dataflows.quantisation import quantise_angles, quantise_weights, to_signed, to_uint8
from dataflows.smoothing import GROUPS, restart, smooth


@compiled
def observe_time(state: Any, captured_at_us: int) -> None:
    """Let the partition's clock see a record, and mark the sessions that it finds silent.

    The clock follows the newest event time by at most a second a record, so that one wrong instant cannot end every
    session of the partition; and a session's silence is measured by what this clock showed at its last record, so
    that a session whose own time lags or leads is not silent while it sends.
    """
    partition = state.partition
    if captured_at_us < 0 or captured_at_us >= LATEST_US:
        return
    if partition[CLOCK] < 0:
        partition[CLOCK] = captured_at_us
        partition[NEXT_SWEEP] = captured_at_us + SWEEP_US
    elif captured_at_us > partition[CLOCK]:
        partition[CLOCK] = min(captured_at_us, partition[CLOCK] + PARTITION_STEP_US)
    if partition[CLOCK] < partition[NEXT_SWEEP]:
        return
    partition[NEXT_SWEEP] = partition[CLOCK] + SWEEP_US
    for r in range(len(state.rows)):
        row = state.rows[r]
        if row["active"] == ACTIVE and partition[CLOCK] - row["seen_us"] >= SILENCE_US:
            row["active"] = SILENT
            partition[FREED] = partition[FREED] + 1


@compiled
def write_counts(r: int, state: Any, output: Any, instant_us: int) -> None:
    """Move a session's counts to the output as a ledger entry."""
    row = state.rows[r]
    entry = output.used[ENTRIES]
    output.entry_row[entry] = r
    output.entry_tick[entry] = row["tick"]
    output.entry_us[entry] = instant_us
    for modality in range(3):
        for outcome in range(SESSION_OUTCOMES):
            output.entry_counts[entry, modality, outcome] = row["counts"][modality, outcome]
            row["counts"][modality, outcome] = 0
    output.used[ENTRIES] = entry + 1


@compiled
def write_hops(stamps: Any, slot: int, instant_us: int, out: Any) -> None:
    """A sample's hop stamps relative to the tick, in ms."""
    for hop in range(N_HOPS):
        out[hop] = (stamps[slot, hop] - instant_us) / 1000.0


@compiled
def write_frame(r: int, reason: int, state: Any, output: Any, work: Any) -> None:
    """Compute the oldest open tick of a session and write its frame. ``work``: see :func:`workspace`."""
    face, speech, aus, emotions, affect, visemes, shapes, target, coefficients, ages = work
    row = state.rows[r]
    instant = tick_us(row["t0_us"], row["tick"])
    frame = output.used[FRAMES]
    config = row["config"]

    for j in range(F_WIDTH):
        face[j] = 0.0
    for j in range(S_WIDTH):
        speech[j] = 0.0
    face_age, face_slot = value_at(row, FACE, state.face_stamps[r], state.face_values[r], instant, face)
    speech_age, speech_slot = value_at(row, SPEECH, state.speech_stamps[r], state.speech_values[r], instant, speech)
    face_fresh = freshness(face_age, row["live_us"]) if face_age >= 0 else 0.0
    speech_fresh = freshness(speech_age, row["live_us"]) if speech_age >= 0 else 0.0
    ages[0] = face_age
    ages[1] = speech_age
    presence = 0.0
    if face[F_DETECTED] > 0.5 and face[F_CONFIDENCE] >= config[P_FACE_THRESHOLD]:
        presence = face_fresh

    face_weight, speech_weight = weigh(face, speech, face_fresh, speech_fresh, ages, config)
    canonical_emotion(face, speech, face_weight, speech_weight, emotions, affect)
    speaking = speech_fresh * speech[S_SPEAKING]
    for j in range(N_VISEMES):
        visemes[j] = speech_fresh * speech[S_VISEMES + j]
    measured = face[F_AUS : F_AUS + N_AUS]
    update_calibration(row, instant, face, measured, presence, speaking, config)
    calibrate(measured, row["au_neutral"], row["au_gain"], aus)
    for j in range(N_AUS):
        aus[j] = presence * aus[j]

    update_owner(row, speaking)
    again = row["smooth"] == 0
    if again:
        settle(row)
    else:
        cross_fade(row, instant - tick_us(row["t0_us"], row["tick"] - 1))
    mouth = row["mouth_share"]

    shape_targets(row["mapping"], aus, face, presence, emotions, affect[1], visemes, mouth, config, shapes)
    for j in range(N_BLENDSHAPES):
        target[j] = shapes[j]
    for j in range(N_VISEMES):
        target[C_VISEMES + j] = mouth * visemes[j]
    for j in range(N_EMOTIONS):
        target[C_EMOTIONS + j] = emotions[j]
    for j in range(3):
        target[C_AFFECT + j] = affect[j]
    for j in range(2):
        target[C_GAZE + j] = presence * face[F_GAZE + j]
    posture_targets(row["mapping"], face, presence, emotions, affect[1], config, target)

    position = row["position"]
    velocity = row["velocity"]
    if again:
        restart(position, velocity, target)
        row["smooth"] = 1
    else:
        smooth(row["smoothing"], position, velocity, target, config, mouth, coefficients)

    output.record[frame] = output.used[RECORD]
    output.tick[frame] = row["tick"]
    output.tick_us[frame] = instant
    for hop in range(N_HOPS):
        output.hops[frame, FACE, hop] = np.nan
        output.hops[frame, SPEECH, hop] = np.nan
    if face_fresh > 0.0:
        write_hops(state.face_stamps[r], face_slot, instant, output.hops[frame, FACE])
    if speech_fresh > 0.0:
        write_hops(state.speech_stamps[r], speech_slot, instant, output.hops[frame, SPEECH])
    quantise_weights(position, 0, output.blendshapes[frame])
    quantise_weights(position, C_VISEMES, output.visemes[frame])
    quantise_weights(position, C_EMOTIONS, output.emotions[frame])
    quantise_weights(aus, 0, output.aus[frame])
    for j in range(3):
        output.affect[frame, j] = to_signed(position[C_AFFECT + j], 1.0, 10_000.0)
    for j in range(2):
        output.affect[frame, 3 + j] = to_signed(position[C_GAZE + j], 1.0, 10_000.0)
    for j in range(POSE):
        output.angles[frame, j] = to_signed(presence * face[F_YAW + j], 327.0, 100.0)
    quantise_angles(position, C_BONES, output.angles[frame], POSE)
    levels = output.levels[frame]
    levels[0] = to_uint8(speaking)
    levels[1] = to_uint8(speech_fresh * speech[S_VISEME_CONFIDENCE])
    levels[2] = to_uint8(face_weight)
    levels[3] = to_uint8(speech_weight)
    levels[4] = to_uint8(face_fresh * face[F_CONFIDENCE])
    levels[5] = to_uint8(speech_fresh * speech[S_CONFIDENCE])
    levels[6] = to_uint8(position[C_GLOW])
    levels[7] = to_uint8(position[C_SLOUCH])
    flags = output.flags[frame]
    flags[FLAG_DISCONTINUITY] = row["gap"]
    flags[FLAG_FACE_LIVE] = 1 if face_fresh > 0.0 else 0
    flags[FLAG_SPEECH_LIVE] = 1 if speech_fresh > 0.0 else 0
    flags[FLAG_VISEME_MOUTH] = row["viseme_mouth"]
    flags[FLAG_MAX_WAIT] = 1 if reason == MAX_WAIT else 0
    flags[FLAG_MAPPING] = row["mapping"]
    flags[FLAG_CLOSED_BY] = reason
    row["gap"] = 0
    output.used[FRAMES] = frame + 1


def workspace() -> Any:
    """Scratch arrays of one frame's computation: what they held before never matters."""
    return (
        np.zeros(F_WIDTH),
        np.zeros(S_WIDTH),
        np.zeros(N_AUS),
        np.zeros(N_EMOTIONS),
        np.zeros(3),
        np.zeros(N_VISEMES),
        np.zeros(N_BLENDSHAPES),
        np.zeros(CHANNELS),
        np.zeros((2, GROUPS)),
        np.zeros(2, np.int64),
    )


@compiled
def advance(r: int, reason: int, end_us: int, state: Any, output: Any, work: Any) -> bool:
    """Close the oldest open tick: emit it, or skip the silence in which it lies. False: nothing is left to close.

    ``end_us`` is the session's end, or -1.
    """
    row = state.rows[r]
    instant = tick_us(row["t0_us"], row["tick"])
    before, after = silence_around(row, state.face_stamps[r], state.speech_stamps[r], instant)
    if after < 0 and end_us >= 0:
        if end_us - before > row["max_gap_us"]:
            return False
    elif after >= 0 and after - before > row["max_gap_us"]:
        row["tick"] = tick_at(row["t0_us"], after)
        row["gap"] = 1
        row["smooth"] = 0
        return True
    write_frame(r, reason, state, output, work)
    row["tick"] = row["tick"] + 1
    prune(row, FACE, state.face_stamps[r], instant)
    prune(row, SPEECH, state.speech_stamps[r], instant)
    if row["tick"] >= row["ledger_due"]:
        row["ledger_due"] = (row["tick"] // LEDGER_TICKS + 1) * LEDGER_TICKS
        write_counts(r, state, output, instant)
    return True


@compiled
def touch(values: Any, stamps: Any, slot: int) -> np.int64:
    """Read a sample's place in a ring, line by line."""
    seen = stamps[slot, 0]
    sample = values[slot]
    for at in range(0, len(sample), CACHE_LINE // 4):
        seen ^= np.int64(sample[at] > 0.0)
    return np.int64(seen)


@compiled
def fetch(begin: int, end: int, batch: Any, lines: Any, state: Any) -> np.int64:
    """Read what the records ``begin`` to ``end`` will touch, so that it comes from memory at once, not bit by bit.

    Live, a batch has one record of each of many sessions, whose state other work has pushed out of the caches since:
    waiting for it took half of the time. What only a tick touches is left alone where the record's instant does not
    reach the session's oldest open tick. ``lines``: the state's rows as bytes. The result only keeps the compiler
    from leaving the reading out.
    """
    seen = np.int64(0)
    for i in range(begin, end):
        if batch.rows[i] >= 0:
            row = lines[batch.rows[i]]
            for at in range(0, OF_A_RECORD, CACHE_LINE):
                seen ^= np.int64(row[at])
    for i in range(begin, end):
        r = batch.rows[i]
        if r < 0:
            continue
        row = state.rows[r]
        face = (row["head"][FACE] + row["count"][FACE]) % RING
        speech = (row["head"][SPEECH] + row["count"][SPEECH]) % RING
        modality = np.int64(batch.modality[i])
        # The place of the new sample.
        if modality == FACE:
            seen ^= touch(state.face_values[r], state.face_stamps[r], face)
        else:
            seen ^= touch(state.speech_values[r], state.speech_stamps[r], speech)
        if batch.stamps[i, 0] < tick_us(row["t0_us"], row["tick"]) - row["slack_us"][modality]:
            continue
        # The newest samples, and those before them as far as the new one does not stand for them.
        for back in range(1, 3):
            if back == 1 or modality != FACE:
                seen ^= touch(state.face_values[r], state.face_stamps[r], (face - back) % RING)
            if back == 1 or modality == FACE:
                seen ^= touch(state.speech_values[r], state.speech_stamps[r], (speech - back) % RING)
        line = lines[r]
        for at in range(OF_A_RECORD, OF_A_TICK, CACHE_LINE):
            seen ^= np.int64(line[at])
        if row["learned"] < row["learn"]:
            for at in range(OF_A_TICK, len(line), CACHE_LINE):
                seen ^= np.int64(line[at])
    return seen


@compiled
def fuse(begin: int, end: int, batch: Any, state: Any, output: Any, work: Any) -> int:
    """Take the batch's records from ``begin`` up to ``end``, and write the frames of the ticks that they close.

    Returns where it stopped: ``end``, or the first record for whose frames the output might have no room; empty the
    output and go on from there. Sessions found silent are marked, for the caller to free.
    """
    room = len(output.tick)
    for i in range(begin, end):
        r = batch.rows[i]
        if r < 0:
            continue
        row = state.rows[r]
        if row["active"] != ACTIVE:
            batch.outcomes[i] = UNKNOWN_SESSION
            continue
        if room - output.used[FRAMES] < row["most_ticks"]:
            return i
        output.used[RECORD] = i
        modality = np.int64(batch.modality[i])
        stamps = batch.stamps[i]
        sequence = batch.sequence[i]
        place = batch.place[i]
        if modality == FACE:
            outcome = take_sample(
                row, FACE, state.face_stamps[r], state.face_values[r], stamps, sequence, batch.faces[place]
            )
        else:
            outcome = take_sample(
                row, SPEECH, state.speech_stamps[r], state.speech_values[r], stamps, sequence, batch.speeches[place]
            )
        batch.outcomes[i] = outcome
        row["counts"][modality, outcome] = row["counts"][modality, outcome] + 1
        # Before and after: the clock's step must not make the very session silent that sends.
        row["seen_us"] = state.partition[CLOCK]
        if outcome != INVALID:
            observe_time(state, batch.stamps[i, 0])
            row["seen_us"] = state.partition[CLOCK]
        if outcome in (INVALID, DUPLICATE):
            continue
        while True:
            reason = closed_by(row)
            if reason == OPEN:
                break
            advance(r, reason, -1, state, output, work)
    return end


@compiled
def end_session(r: int, end_us: int, state: Any, output: Any, work: Any) -> None:
    """Close every tick of a session up to ``end_us`` and write its last counts.

    The output must have room, and say which record it is at.
    """
    row = state.rows[r]
    while tick_us(row["t0_us"], row["tick"]) <= end_us:
        if not advance(r, END, end_us, state, output, work):
            break
    write_counts(r, state, output, max(end_us, row["clock_us"]))
