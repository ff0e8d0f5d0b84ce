"""The laws of fusion: what must hold for every log, however hostile."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflows.shard import Frame, Message, Shard, Step
from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import AvatarFrame
from tests.property.strategies_fusion import logs
from tests.support.reference import uncompiled
from tests.support.signals import ended, interleaved, messages, session_log

quick = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
CODEC = Codec()


def run(shard: Shard, log: list[Message], cuts: list[int] | None = None) -> list[Step]:
    """Feed ``log`` in the batches that ``cuts`` make of it."""
    edges = [0, *sorted(set(cuts or [])), len(log)]
    return [shard.step(log[a:b]) for a, b in pairwise(edges)]


def frames(steps: list[Step]) -> list[Frame]:
    return [frame for step in steps for frame in step.frames]


def counted(steps: list[Step], shard: Shard) -> Counter[tuple[str, str, str]]:
    """Ledger entries by session, modality and outcome, and what is not yet written."""
    found: Counter[tuple[str, str, str]] = Counter()
    for step in steps:
        for entry in step.ledger:
            found[entry.session_id, entry.modality, entry.outcome] += entry.count
    found.update(shard.open_counts())
    return found


@given(logs(size=50))
@settings(quick, max_examples=40)
def test_compiled_and_uncompiled_give_the_same_bytes(log: list[Message]) -> None:
    compiled, plain = Shard(0, 1), uncompiled("dataflows.shard").Shard(0, 1)
    assert frames(run(compiled, log)) == frames(run(plain, log))
    assert compiled.snapshot() == plain.snapshot()


@given(logs(), st.lists(st.integers(0, 90)))
@quick
def test_batch_invariance(log: list[Message], cuts: list[int]) -> None:
    whole, cut, single = Shard(0, 1), Shard(0, 1), Shard(0, 1)
    steps = run(whole, log)
    cut_steps = run(cut, log, [c for c in cuts if c <= len(log)])
    single_steps = run(single, log, list(range(len(log))))
    assert frames(steps) == frames(cut_steps) == frames(single_steps)
    assert counted(steps, whole) == counted(cut_steps, cut) == counted(single_steps, single)
    assert whole.snapshot() == cut.snapshot() == single.snapshot()


@given(logs())
@quick
def test_session_independence(log: list[Message]) -> None:
    together = frames(run(Shard(0, 1), log))
    for session in {key for _, key, _ in log}:
        own = [message for message in log if message[1] == session]
        alone = [(i, *message[1:]) for i, message in enumerate(own)]
        assert frames(run(Shard(0, 1), alone)) == [frame for frame in together if frame[0] == session]


@given(logs(), st.data())
@quick
def test_crash_exactness(log: list[Message], data: st.DataObject) -> None:
    wanted = frames(run(Shard(0, 1), log))
    taken = data.draw(st.integers(0, len(log)))
    before = Shard(0, 1)
    first = frames(run(before, log[:taken], [data.draw(st.integers(0, taken))]))
    snapshot = before.snapshot()
    lost = data.draw(st.integers(taken, len(log)))
    doomed = frames(run(before, log[taken:lost]))  # published, but never committed
    again = Shard.restore(snapshot, 1)
    assert again.snapshot() == snapshot
    seek = data.draw(st.integers(0, taken))  # the source may stand further back than the shard
    second = frames(run(again, log[seek:]))
    assert first + second == wanted
    assert doomed == second[: len(doomed)]


@given(logs())
@quick
def test_conservation(log: list[Message]) -> None:
    shard = Shard(0, 1)
    steps = run(shard, log)
    assert counted(steps, shard).total() == len(log)
    outcomes: Counter[str] = Counter()
    for step in steps:
        outcomes.update(step.outcomes)
    assert outcomes.total() == len(log)
    by_outcome: Counter[str] = Counter()
    for (_, _, outcome), count in counted(steps, shard).items():
        by_outcome[outcome] += count
    assert by_outcome == outcomes


@given(logs())
@quick
def test_sequences_rise_by_one_but_for_flagged_gaps(log: list[Message]) -> None:
    starts = Counter(key for _, key, _ in log)
    last: dict[str, AvatarFrame] = {}
    for _, value in frames(run(Shard(0, 1), log)):
        frame = CODEC.decode(AvatarFrame, value)
        before = last.get(frame.session_id)
        if before is not None and frame.sequence > before.sequence:
            assert frame.discontinuity == (frame.sequence != before.sequence + 1)
            assert frame.captured_at_us > before.captured_at_us
        last[frame.session_id] = frame
    assert set(last) <= {key.decode() for key in starts}


@pytest.mark.parametrize("seed", range(12))
def test_order_tolerance(seed: int) -> None:
    """With slack 0, the order in which modalities less than max_wait apart arrive changes no tick."""
    rng = Random(seed)
    config = FusionConfig.of({"face_slack_ms": 0.0, "speech_slack_ms": 0.0, "max_wait_ms": 200.0})
    face_delay, speech_delay = rng.randrange(0, 140_000), rng.randrange(0, 140_000)
    results = []
    for face_us, speech_us in ((face_delay, speech_delay), (0, 0), (speech_delay, face_delay)):
        log = session_log(
            "order", 3.0, config=config, seed=seed, face_delay_us=face_us, speech_delay_us=speech_us, jitter_us=0
        )
        # Stamps behind capture tell of the delay itself: the values must not.
        signals = [
            replace(s, received_at_us=0, ingested_at_us=0, consumed_at_us=0, inferred_at_us=0)
            for s in interleaved([log])
        ]
        shard = Shard(0, 1)
        steps = run(shard, messages(signals))
        assert not [key for key in counted(steps, shard) if key[2] == "late"]
        results.append(
            [replace(CODEC.decode(AvatarFrame, value), closed_by_max_wait=False) for _, value in frames(steps)]
        )
    assert len(results[0]) == 90 + 1
    assert repr(results[0]) == repr(results[1]) == repr(results[2])


def test_hours_of_silence_and_jumps_are_skipped_not_computed() -> None:
    log = messages(interleaved([session_log("jump", 1.0, end=False)]))
    shard = Shard(0, 1)
    run(shard, log)
    end = (len(log), b"jump", CODEC.encode(ended("jump", 1_800_000_000_000_000 + 3_600_000_000 * 1_000)))
    step = shard.step([end])
    assert len(step.frames) < 40
    assert shard.sessions == 0


def test_a_hundred_thousand_unknown_sessions_leave_nothing_behind() -> None:
    signal = interleaved([session_log("x", 0.1, end=False)])[1]
    shard = Shard(0, 1)
    unknown = 0
    for block in range(10):
        log = messages((replace(signal, session_id=f"{block}-{n}") for n in range(10_000)), first_offset=block * 10_000)
        step = shard.step(log)
        unknown += step.outcomes["unknown_session"]
        assert len(step.ledger) == 10_000
    assert unknown == 100_000
    assert shard.sessions == 0
    assert len(shard.snapshot()) < 1_000


def test_sessions_that_never_end_are_freed_after_a_quarter_of_an_hour() -> None:
    shard = Shard(0, 1)
    offset = 0
    for generation in range(4):
        start = 1_800_000_000_000_000 + generation * 1_000_000_000
        logs_ = [session_log(f"{generation}-{n}", 0.5, start_us=start, end=False) for n in range(50)]
        keep = session_log(f"{generation}-keep", 1_000.0, start_us=start, face=False, end=False)[::20]
        log = messages(interleaved([*logs_, keep]), first_offset=offset)
        offset += len(log)
        steps = run(shard, log, list(range(0, len(log), 500)))
        freed = sum(step.freed.get("silent", 0) for step in steps)
        assert freed >= 50
        assert shard.sessions <= 102
    assert shard._state.rows.shape[0] <= 256
