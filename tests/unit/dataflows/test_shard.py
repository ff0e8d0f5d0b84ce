"""A shard as a whole: what sessions, their ends and their odd records lead to."""

import json
import struct
import zlib
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from dataflows import shard as shard_module
from dataflows.shard import Message, Shard, Step
from dataflows.snapshot import MAGIC, layout_digest
from runtime.errors import RecoveryError
from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import AvatarFrame, Calibration, Signal
from schemas.topics import CUT_KEY
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, LEVELS
from tests.support.signals import (
    START_US,
    ended,
    face_signal,
    interleaved,
    messages,
    reset,
    sample,
    session_log,
    speech_signal,
    started,
)

CODEC = Codec()


def fused(*signals: Signal) -> tuple[list[AvatarFrame], Step, Shard]:
    shard = Shard(0, 1)
    step = shard.step(messages(signals))
    return [CODEC.decode(AvatarFrame, value) for _, value in step.frames], step, shard


def conversation(seconds: float = 3.0, **how: object) -> list[Signal]:
    return interleaved([session_log("talk", seconds, **how)])  # type: ignore[arg-type]


def level(frame: AvatarFrame, name: str) -> float:
    return frame.levels[LEVELS.index(name)] / 255


def test_a_session_gives_a_frame_a_tick_until_its_end() -> None:
    frames, step, shard = fused(*conversation(3.0))
    assert [frame.sequence for frame in frames] == list(range(91))
    assert {frame.captured_at_us - START_US - frame.sequence * 1_000_000 // 30 for frame in frames} == {0}
    assert not any(frame.discontinuity for frame in frames)
    assert step.freed == {"ended": 1}
    assert shard.sessions == 0


def test_a_smile_is_happy_and_a_voice_speaks() -> None:
    frames, _, _ = fused(*conversation(3.5))
    top = frames[90]  # three seconds in: the smile is widest
    assert EMOTIONS[int(np.argmax(list(top.emotions)))] == "happy"
    assert top.blendshapes[BLENDSHAPES.index("mouthSmileLeft")] > 0.5 * 255
    speaking = {level(frame, "speaking_probability") > 0.7 for frame in frames[5:55]}
    assert speaking == {True}
    assert frames[40].viseme_mouth
    assert not frames[75].viseme_mouth
    assert level(frames[75], "speaking_probability") < 0.3


@pytest.mark.parametrize("only", ["face", "speech"])
def test_one_modality_is_enough(only: str) -> None:
    frames, _, _ = fused(*conversation(2.0, face=only == "face", speech=only == "speech"))
    assert len(frames) >= 61  # the last hop may close one tick more
    live = [(frame.face_live, frame.speech_live) for frame in frames[3:]]
    assert set(live) == {(only == "face", only == "speech")}
    hops = frames[10].speech_hops_ms if only == "face" else frames[10].face_hops_ms
    assert np.isnan(hops).all()


def test_hops_say_how_old_the_samples_are() -> None:
    frames, _, _ = fused(*conversation(1.0, face_delay_us=30_000, jitter_us=0))
    captured, received, ingested, consumed, inferred = frames[15].face_hops_ms
    assert -35 < captured <= 35
    assert [round(hop - captured) for hop in (received, ingested, consumed, inferred)] == [5, 6, 10, 30]


def test_a_modality_that_stops_is_held_then_dropped() -> None:
    signals = [
        signal
        for signal in conversation(4.0)
        if not hasattr(signal.payload, "face_detected") or signal.captured_at_us < START_US + 2_000_000
    ]
    frames, _, _ = fused(*signals)
    weights = [level(frame, "face_weight") for frame in frames]
    assert weights[58] > 0.3
    assert 0.0 < weights[70] < weights[58]
    assert weights[80] == 0.0
    assert [frame.closed_by_max_wait for frame in frames].count(True) > 5
    assert not frames[80].face_live


def test_a_long_silence_is_skipped_and_flagged() -> None:
    early = conversation(1.0, end=False)
    late = [
        replace(s, captured_at_us=s.captured_at_us + 5_000_000, sequence=s.sequence + 1_000)
        for s in early
        if s.sequence or hasattr(s.payload, "viseme_scores")
    ]
    frames, step, _ = fused(*early, *late)
    gaps = [frame for frame in frames if frame.discontinuity]
    assert len(gaps) == step.discontinuities == 1
    before = frames[frames.index(gaps[0]) - 1]
    assert gaps[0].captured_at_us - before.captured_at_us > 3_900_000


def test_a_short_silence_is_bridged() -> None:
    signals = [s for s in conversation(3.0) if not START_US + 1e6 < s.captured_at_us < START_US + 1.7e6]
    frames, _, _ = fused(*signals)
    assert [frame.sequence for frame in frames] == list(range(91))


def test_second_starts_duplicates_and_strangers_change_nothing() -> None:
    signals = conversation(2.0)
    odd = []
    for n, signal in enumerate(signals):
        odd.append(signal)
        if n == 20:
            odd += [replace(signals[0], captured_at_us=signal.captured_at_us), *signals[5:15]]
        if n == 40:
            odd.append(replace(signal, session_id="stranger"))
    clean, _, _ = fused(*signals)
    frames, step, _ = fused(*odd)
    assert frames == clean or repr(frames) == repr(clean)
    assert step.outcomes["second_start"] == 1
    assert step.outcomes["duplicate"] == 10
    assert step.outcomes["unknown_session"] == 1
    stranger = [entry for entry in step.ledger if entry.session_id == "stranger"]
    assert [(entry.outcome, entry.count) for entry in stranger] == [("unknown_session", 1)]


def test_signals_after_the_end_are_of_an_unknown_session() -> None:
    signals = conversation(1.0)
    _, step, _ = fused(*signals, signals[-5])
    assert step.outcomes["unknown_session"] == 1


@pytest.mark.parametrize(
    "parameters, calibration",
    [
        ({"max_wait_ms": float("nan")}, None),
        ({"max_wait_ms": -1.0}, None),
        ({"mouth_on": 0.1}, None),
        ({}, Calibration((0.0,), (1.0,))),
        ({}, Calibration((2.0,) * len(AUS), (1.0,) * len(AUS))),
    ],
)
def test_a_start_that_cannot_be_used_is_invalid(parameters: dict[str, float], calibration: Calibration | None) -> None:
    config = FusionConfig.of()
    config = replace(config, parameters={**config.parameters, **parameters})
    _, step, shard = fused(started("bad", config=config, calibration=calibration))
    assert step.outcomes == {"invalid": 1}
    assert step.ledger[0].detail
    assert shard.sessions == 0


def test_a_parameter_that_an_old_recording_lacks_has_its_default() -> None:
    config = FusionConfig.of()
    config = replace(config, parameters={"max_wait_ms": 120.0, "gone_by_now": 1.0})
    assert fused(started("old", config=config))[2].sessions == 1


def test_calibration_comes_from_the_session() -> None:
    neutral = tuple(0.95 if name == "AU12" else 0.0 for name in AUS)
    calibrated = started("talk", calibration=Calibration(neutral, (1.0,) * len(AUS)))
    frames, _, _ = fused(calibrated, *conversation(3.5)[1:])
    assert frames[90].aus[AUS.index("AU12")] < 5


REST = (0.2,) * len(AUS)


def resting(seconds: float, *, start_us: int = START_US, first: int = 0, aus: tuple[float, ...] = REST) -> list[Signal]:
    """Pictures of a face that looks into the camera and does nothing, 30 a second."""
    payload = replace(face_signal(0.0, Random(0)), au_intensities=aus, yaw_deg=0.0, pitch_deg=0.0)
    return [
        sample("talk", start_us + n * 1_000_000 // 30 + 1_000, first + n, payload) for n in range(round(seconds * 30))
    ]


def au04(frames: list[AvatarFrame]) -> list[int]:
    return [frame.aus[AUS.index("AU04")] for frame in frames]


def start(seconds: float = 1.0) -> Signal:
    return started("talk", config=FusionConfig.of({"calibration_seconds": seconds}), speech=False)


def test_the_neutral_face_is_learned_and_taken_off() -> None:
    frames, _, _ = fused(start(), *resting(2.0))
    assert au04(frames)[1] > 0.15 * 255
    assert max(au04(frames)[31:]) < 0.02 * 255
    unlearned, _, _ = fused(start(0.0), *resting(2.0))
    assert set(au04(unlearned)[1:]) == {51}


def test_a_reset_takes_effect_at_its_instant_wherever_it_stands_in_the_log() -> None:
    frown = (0.35,) * len(AUS)
    signals = [start(), *resting(2.0), *resting(2.0, start_us=START_US + 2_000_000, first=60, aus=frown)]
    ask = reset("talk", START_US + 2_500_000)
    # Not later: of the tick at its instant, a picture within the slack before it is enough.
    with_it = [fused(*signals[:place], ask, *signals[place:])[0] for place in (1, 30, 75)]
    assert repr(with_it[0]) == repr(with_it[1]) == repr(with_it[2])  # there are NaNs in them
    aus = au04(with_it[0])
    assert aus[74] == aus[65] > 0.15 * 255
    assert aus[76] < aus[75] <= aus[74]
    assert max(aus[107:]) < 0.12 * 255  # 0.35 is believed to be 0.25 of rest


def test_a_late_reset_begins_at_the_oldest_open_tick() -> None:
    signals = [start(), *resting(3.0)]
    shard = Shard(0, 1)
    step = shard.step(messages([*signals, reset("talk", START_US + 10)]))
    row = shard._state.rows[shard._roster.get(b"talk")]
    assert (row["learned"], row["reset_us"]) == (30, START_US + 10)
    after = resting(0.5, start_us=START_US + 3_000_000, first=90)
    shard.step(messages(after, first_offset=len(signals) + 1))
    assert row["reset_us"] == -1
    assert 10 <= row["learned"] <= 15
    assert step.outcomes["used"] == len(signals) + 1
    assert shard.open_counts()["talk", "", "used"] == 2


def test_an_older_recording_was_not_calibrated() -> None:
    config = replace(FusionConfig.of(), parameters={"max_wait_ms": 120.0})
    frames, _, _ = fused(started("talk", config=config, speech=False), *resting(4.0))
    assert set(au04(frames)[1:]) == {51}


def test_single_records_are_told_apart_in_the_ledger() -> None:
    stranger = sample("nobody", START_US, 7, face_signal(0.0, Random(0)))
    step = fused(stranger, replace(stranger, sequence=8), reset("nobody", START_US))[1]
    found = sorted((e.modality, e.first_sequence, e.last_sequence) for e in step.ledger)
    assert found == [("", 0, 0), ("face", 7, 7), ("face", 8, 8)]
    assert len(set(step.ledger)) == 3


def test_counts_are_written_every_300_ticks() -> None:
    _, step, shard = fused(*conversation(21.0, end=False))
    ticks = sorted({entry.first_sequence for entry in step.ledger})
    assert ticks == [300, 600]
    assert all(entry.recorded_at_us == START_US + (entry.first_sequence - 1) * 1_000_000 // 30 for entry in step.ledger)
    assert shard.open_counts()


def test_known_offsets_are_dropped_and_missing_ones_refused() -> None:
    log = messages(conversation(0.5))
    shard = Shard(3, 6)
    shard.step(log[:10])
    assert shard.step(log[:10]).taken == 0
    assert shard.step(log[5:12]).taken == 2
    with pytest.raises(RecoveryError, match="partition 3: records are missing before offset 14, from 12 on"):
        shard.step(log[14:])


def test_rows_are_used_again() -> None:
    shard = Shard(0, 1)
    offset = 0
    for generation in range(30):
        log = messages(interleaved([session_log(f"{generation}-{n}", 0.2) for n in range(5)]), first_offset=offset)
        offset += len(log)
        shard.step(log)
    assert shard._state.rows.shape == (16,)


def test_rows_do_not_depend_on_how_the_log_is_cut() -> None:
    """Sessions that end in one batch leave together, but those that begin get the rows that they would get alone."""
    shard, one_by_one = Shard(0, 1), Shard(0, 1)
    generations = [
        [signal for n in range(12) for _, signal in session_log(f"{generation}-{n}", 0.3, end=False)]
        for generation in range(4)
    ]
    ends = [[ended(f"{generation}-{n}", START_US + 400_000) for n in range(0, 12, 2)] for generation in range(4)]
    log = messages(signal for pair in zip(generations, ends, strict=True) for part in pair for signal in part)
    step = shard.step(log)
    assert step.frames == [frame for message in log for frame in one_by_one.step([message]).frames]
    assert step.freed == {"ended": 24}
    assert shard.sessions == 24
    assert shard.snapshot() == one_by_one.snapshot()


def test_thousands_of_sessions_and_more_frames_than_the_output_holds() -> None:
    shard = Shard(0, 1)
    signals = [started(f"s{n}") for n in range(500)]
    rng = Random(0)
    for at in (START_US + 10_000, START_US + 900_000):
        payload = face_signal(0.0, rng)
        signals += [sample(f"s{n}", at, at - START_US, payload) for n in range(500)]
    step = shard.step(messages(signals))
    assert len(step.frames) > shard_module.OUTPUT_FRAMES
    assert len(set(step.frames)) == len(step.frames)
    assert shard.sessions == 500


@pytest.fixture
def snapshot() -> bytes:
    shard = Shard(2, 6)
    shard.step(messages(interleaved([session_log(f"s{n}", 1.0, end=n % 2 == 0) for n in range(5)]), first_offset=77))
    return shard.snapshot()


def test_a_restored_shard_is_the_same(snapshot: bytes) -> None:
    shard = Shard.restore(snapshot, 6)
    assert (shard.partition, shard.sessions) == (2, 2)
    assert shard.snapshot() == snapshot
    assert isinstance(snapshot, bytes)


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda data: data[:0], "no snapshot"),
        (lambda data: data[5:], "no snapshot"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "damaged"),
        (lambda data: data[: len(MAGIC)], "damaged"),
    ],
)
def test_a_snapshot_that_is_none_is_refused(snapshot: bytes, spoil, says: str) -> None:
    with pytest.raises(RecoveryError, match=says):
        Shard.restore(spoil(snapshot), 6)


def rewritten(data: bytes, **header: object) -> bytes:
    body = data[len(MAGIC) + 4 :]
    (length,) = struct.unpack_from("<I", body)
    text = json.dumps(json.loads(body[4 : 4 + length]) | header).encode()
    body = struct.pack("<I", len(text)) + text + body[4 + length :]
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def test_a_foreign_snapshot_is_refused(snapshot: bytes) -> None:
    with pytest.raises(RecoveryError, match="had 6 partitions; now it has 4"):
        Shard.restore(snapshot, 4)
    with pytest.raises(RecoveryError, match="another version"):
        Shard.restore(rewritten(snapshot, version=99), 6)
    with pytest.raises(RecoveryError, match="another version"):
        Shard.restore(rewritten(snapshot, layout="0" * 16), 6)
    with pytest.raises(RecoveryError, match="ends early"):
        Shard.restore(rewritten(snapshot, ids=[2, 300_000]), 6)
    with pytest.raises(RecoveryError, match="damaged"):
        Shard.restore(rewritten(snapshot, ids=[2, 3]), 6)
    assert Shard.restore(rewritten(snapshot), 6).snapshot() == snapshot
    assert len(layout_digest()) == 16


def test_who_looks_for_a_session_in_a_stores_files_finds_it(snapshot: bytes) -> None:
    assert b"s1" in snapshot
    assert b"s3" in snapshot
    assert b"s0" not in snapshot


def test_unreadable_values_are_set_aside_with_their_reason() -> None:
    shard = Shard(0, 1)
    log: list[Message] = [(0, b"k", b"\x00nonsense"), (1, b"k", None), (2, b"\xff", b"")]
    step = shard.step(log)
    assert [message for message, _ in step.unreadable] == log
    assert step.outcomes == {"unreadable": 3}
    assert {entry.session_id for entry in step.ledger} == {"k", "�"}


def test_a_second_session_of_the_same_name_begins_anew() -> None:
    first = conversation(1.0)
    again = [replace(s, captured_at_us=s.captured_at_us + 60_000_000) for s in first]
    frames, step, _ = fused(*first, *again)
    assert step.freed == {"ended": 2}
    assert [frame.sequence for frame in frames] == 2 * list(range(31))


def test_ends_of_strangers_are_counted() -> None:
    _, step, _ = fused(ended("nobody", START_US), sample("nobody", START_US, 0, speech_signal(0.0, Random(0))))
    assert step.outcomes == {"unknown_session": 2}


def test_a_mark_of_a_cut_counts_as_an_offset_and_says_nothing():
    shard = Shard(0, 1)
    step = shard.step([(7, CUT_KEY, None)])
    assert (shard.next_offset, step.taken, step.unreadable, step.ledger) == (8, 0, [], [])
    step = shard.step([(8, CUT_KEY, None), (9, b"ann", None), (10, CUT_KEY, None)])
    assert (shard.next_offset, step.taken, len(step.unreadable)) == (11, 1, 1), "another without a value is unreadable"
