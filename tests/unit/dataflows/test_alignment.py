import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import alignment, layout
from dataflows.layout import (
    BOTH,
    F_CONFIDENCE,
    F_DETECTED,
    F_PITCH,
    F_YAW,
    FACE,
    INVALID,
    LATE,
    MAX_WAIT,
    OPEN,
    RING,
    SPEECH,
    USED,
)  # fmt: skip

START_US = 1_800_000_000_000_000


class Session:
    """A session's row and rings, fed by hand; milliseconds from T_0."""

    def __init__(self, *, max_wait: int = 120, slack: int = 0, live: int = 500, face: bool = True, speech: bool = True):
        self.state = layout.new_state(1)
        self.row = self.state.rows[0]
        self.row["active"] = layout.ACTIVE
        self.row["started_us"] = self.row["clock_us"] = self.row["t0_us"] = START_US
        self.row["max_wait_us"], self.row["live_us"] = max_wait * 1000, live * 1000
        self.row["slack_us"] = slack * 1000
        self.row["expected"] = [face, speech]
        self.row["newest_us"] = self.row["sequence"] = -1
        self.counters = [0, 0]

    def take(self, modality: int, at_ms: float, *, sequence: int | None = None, **columns: float) -> int:
        values = np.zeros(layout.F_WIDTH if modality == FACE else layout.S_WIDTH, np.float32)
        if modality == FACE:
            values[F_CONFIDENCE] = values[F_DETECTED] = 1.0
        for name, value in columns.items():
            values[getattr(layout, name)] = value
        if sequence is None:
            sequence = self.counters[modality]
            self.counters[modality] += 1
        stamps = np.full(layout.N_HOPS, START_US + round(at_ms * 1000), np.int64)
        rings = (self.state.face_stamps, self.state.face_values), (self.state.speech_stamps, self.state.speech_values)
        ring_stamps, ring_values = rings[modality]
        return alignment.take_sample(self.row, modality, ring_stamps[0], ring_values[0], stamps, sequence, values)

    def value(self, at_ms: float, modality: int = FACE) -> tuple[np.ndarray, int]:
        out = np.zeros(layout.F_WIDTH)
        ring = self.state.face_stamps[0], self.state.face_values[0]
        age, _ = alignment.value_at(self.row, modality, *ring, START_US + round(at_ms * 1000), out)
        return out, age


@given(st.integers(0, 1 << 52))
@settings(deadline=None)  # the first call may compile
def test_ticks_lie_on_the_grid_and_are_found_again(started_us: int) -> None:
    t0 = alignment.first_tick_us(started_us)
    assert 0 <= t0 - started_us <= 33_334
    assert -(-t0 * 30 // 1_000_000) * 1_000_000 // 30 == t0
    for tick in (0, 1, 2, 299, 10_000_000):
        instant = alignment.tick_us(t0, tick)
        assert instant == t0 + tick * 1_000_000 // 30
        assert alignment.tick_at(t0, instant) == tick
        assert alignment.tick_at(t0, instant + 1) == tick + 1
    assert alignment.tick_at(t0, t0 - 5_000_000) == 0


def test_a_tick_waits_for_both_live_modalities() -> None:
    session = Session()
    session.take(FACE, 0)
    assert alignment.closed_by(session.row) == OPEN
    session.take(SPEECH, 0)
    assert alignment.closed_by(session.row) == BOTH


def test_slack_lets_an_earlier_sample_close_the_tick() -> None:
    session = Session(slack=33, speech=False)
    session.row["tick"] = 1
    session.take(FACE, 0)
    assert alignment.closed_by(session.row) == OPEN  # 33.333 - 33
    session.take(FACE, 0.4)
    assert alignment.closed_by(session.row) == BOTH


def test_the_faster_modality_waits_no_longer_than_max_wait() -> None:
    session = Session()
    session.take(FACE, 119.9)
    assert alignment.closed_by(session.row) == OPEN
    session.take(FACE, 120)
    assert alignment.closed_by(session.row) == MAX_WAIT


def test_a_modality_that_fell_silent_is_not_waited_for() -> None:
    session = Session(max_wait=2_000)
    session.take(SPEECH, 0)
    session.row["tick"] = 3
    session.take(FACE, 499)
    assert alignment.closed_by(session.row) == OPEN
    session.take(FACE, 500)
    assert alignment.closed_by(session.row) == BOTH


def test_a_full_ring_closes_the_tick() -> None:
    session = Session(max_wait=2_000)
    for n in range(RING):
        assert alignment.closed_by(session.row) == OPEN
        session.take(FACE, n)
    assert alignment.closed_by(session.row) == MAX_WAIT


@pytest.mark.parametrize(
    "column, value",
    [("F_CONFIDENCE", np.nan), ("F_CONFIDENCE", np.inf), ("F_YAW", 181.0), ("F_AUS", -0.1), ("F_GAZE", 1.1)],
)
def test_what_is_no_number_in_its_range_is_invalid_and_changes_nothing(column: str, value: float) -> None:
    session = Session()
    before = session.row.tobytes()
    assert session.take(FACE, 10, **{column: value}) == INVALID
    assert session.row.tobytes() == before


@pytest.mark.parametrize("sequence", [-1, 1 << 53])
def test_an_impossible_sequence_is_invalid(sequence: int) -> None:
    assert Session().take(FACE, 10, sequence=sequence) == INVALID


def test_rounding_errors_of_models_are_accepted() -> None:
    assert Session().take(FACE, 10, F_CONFIDENCE=1.0000001) == USED


@given(st.lists(st.integers(0, 100), max_size=60))
@settings(deadline=None)  # the first call may compile
def test_a_sequence_is_used_once(sequences: list[int]) -> None:
    session, seen = Session(), set[int]()
    for sequence in sequences:
        outcome = alignment.is_repeated(session.row, FACE, sequence)
        far_back = seen and sequence <= max(seen) - layout.RECENT
        assert outcome == bool(sequence in seen or far_back)
        if not outcome:
            seen.add(sequence)


def test_late_samples_are_held_only_if_they_are_the_newest() -> None:
    session = Session()
    session.row["tick"] = 4  # the last closed one stands at 100 ms
    assert session.take(FACE, 90) == LATE
    assert session.row["count"][FACE] == 1
    assert session.take(FACE, 80) == LATE
    assert session.row["count"][FACE] == 1
    assert session.take(FACE, 101) == USED


def test_samples_out_of_order_are_put_in_order() -> None:
    session = Session()
    for at in (30, 10, 20):
        session.take(FACE, at, F_PITCH=at)
    values = [session.value(at)[0][F_PITCH] for at in (10, 15, 20, 25, 30)]
    assert values == pytest.approx([10, 15, 20, 25, 30])


def test_a_value_is_interpolated_held_or_absent() -> None:
    session = Session()
    assert session.value(5)[1] == -1
    session.take(FACE, 10, F_PITCH=1.0)
    assert session.value(9)[1] == -1
    assert session.value(60)[1] == 50_000
    session.take(FACE, 50, F_PITCH=2.0)
    out, age = session.value(20)
    assert out[F_PITCH] == pytest.approx(1.25)
    assert age == 10_000


def test_samples_far_apart_are_not_interpolated() -> None:
    session = Session()
    session.take(FACE, 0, F_PITCH=1.0)
    session.take(FACE, 500, F_PITCH=2.0)
    out, age = session.value(490)
    assert out[F_PITCH] == 1.0
    assert age == 490_000


def test_angles_go_the_short_way_round() -> None:
    session = Session()
    session.take(FACE, 0, F_YAW=170.0)
    session.take(FACE, 40, F_YAW=-170.0)
    assert session.value(10)[0][F_YAW] == pytest.approx(175.0)
    assert session.value(30)[0][F_YAW] == pytest.approx(-175.0)


def test_another_face_is_not_mixed_in() -> None:
    session = Session()
    session.take(FACE, 0, F_PITCH=1.0, F_TRACK=0.0)
    session.take(FACE, 40, F_PITCH=9.0, F_TRACK=1.0)
    assert [session.value(at)[0][F_PITCH] for at in (0, 19, 21)] == [1.0, 1.0, 9.0]


def test_a_lost_face_fades_by_confidence_not_by_value() -> None:
    session = Session()
    session.take(FACE, 0, F_PITCH=8.0)
    session.take(FACE, 40, F_DETECTED=0.0, F_CONFIDENCE=0.0)
    out, _ = session.value(30)
    assert out[F_PITCH] == 8.0
    assert out[F_CONFIDENCE] == pytest.approx(0.25)


def test_freshness_falls_to_nothing_when_no_longer_live() -> None:
    assert [alignment.freshness(age, 500_000) for age in (0, 100_000, 300_000, 500_000)] == [1.0, 1.0, 0.5, 0.0]
    assert alignment.freshness(60_000, 50_000) == 0.0


def test_the_silence_around_an_instant() -> None:
    session = Session()
    rings = session.state.face_stamps[0], session.state.speech_stamps[0]
    at = lambda ms: alignment.silence_around(session.row, *rings, START_US + ms * 1000)  # noqa: E731
    assert at(10) == (START_US, -1)
    session.take(SPEECH, 20)
    session.take(FACE, 50)
    assert at(10) == (START_US, START_US + 20_000)
    assert at(30) == (START_US + 20_000, START_US + 50_000)
    assert at(60) == (START_US + 50_000, -1)
