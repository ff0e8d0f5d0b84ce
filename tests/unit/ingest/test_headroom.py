import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.headroom import (
    ASKED_PER_S,
    BURST,
    BUSY_CPU,
    CALM,
    DOWN_AFTER_US,
    FULL_CPU,
    FULL_FUSION_LAG_S,
    FULL_LAG_S,
    FULL_QUEUE,
    HIGH,
    KEPT_PER_S,
    LOW,
    MOST_PATIENT,
    UP_AFTER_US,
    Headroom,
    Load,
    Pictures,
    Shedding,
    asked_per_s,
)

LOOK_US = 100_000
S = 1_000_000


def load(pressure):
    return Load(0.0, pressure * FULL_CPU, 0.0)


def looked(headroom, pressures, start_us=0):
    """What is given up after each look, ten a second."""
    return [headroom.look(load(pressure), start_us + i * LOOK_US) for i, pressure in enumerate(pressures)]


@pytest.mark.parametrize(
    "full",
    [
        Load(FULL_LAG_S, BUSY_CPU, 0.0),
        Load(0.0, FULL_CPU, 0.0),
        Load(0.0, 0.0, FULL_QUEUE),
        Load(0.0, 0.0, 0.0, FULL_FUSION_LAG_S),
    ],
)
def test_each_of_what_is_measured_can_be_the_worst(full):
    assert full.pressure == pytest.approx(1.0)


def test_an_idle_edge_on_a_busy_machine_gives_nothing_up():
    assert Load(5 * FULL_LAG_S, BUSY_CPU / 10, 0.0).pressure < LOW


def test_too_much_is_met_step_by_step_in_the_declared_order():
    seen = looked(Headroom(), [1.2] * 30)
    assert list(dict.fromkeys(seen)) == list(Shedding)
    assert seen.index(Shedding.FRAMES) * LOOK_US == UP_AFTER_US
    assert seen.index(Shedding.SESSIONS) * LOOK_US == 3 * UP_AFTER_US


def test_a_hiccup_gives_nothing_up():
    assert set(looked(Headroom(), [0.2] * 10 + [3.0] + [0.2] * 10)) == {Shedding.NOTHING}


def test_calm_ends_it_within_seconds():
    headroom = Headroom()
    looked(headroom, [2.0] * 40)
    seen = looked(headroom, [0.2] * 50, 40 * LOOK_US)
    assert seen[-1] is Shedding.NOTHING
    assert seen.index(Shedding.NOTHING) * LOOK_US < 4 * S


def test_between_the_marks_nothing_changes():
    headroom = Headroom()
    looked(headroom, [1.5] * 5)
    assert headroom.shedding is Shedding.FRAMES
    between = (HIGH + LOW) / 2
    looked(headroom, [between] * 20, 5 * LOOK_US)
    assert set(looked(headroom, [between] * 100, 25 * LOOK_US)) == {headroom.shedding}


def test_an_edge_at_its_limit_does_not_swing():
    """Giving up pictures relieves it; taking them back is too much again: the times between grow."""
    headroom = Headroom()
    changes, before = [], Shedding.NOTHING
    for i in range(1_200):
        now = headroom.look(load(1.2 if headroom.shedding is Shedding.NOTHING else 0.7), i * LOOK_US)
        if now is not before:
            changes.append(i * LOOK_US)
        before = now
    downs = changes[1::2]
    waits = [later - earlier for earlier, later in zip(changes[0::2], downs, strict=False)]
    assert waits == sorted(waits)
    assert waits[-1] >= MOST_PATIENT * DOWN_AFTER_US
    assert len(changes) < 20  # in two minutes


@given(st.lists(st.floats(0.0, 5.0), max_size=200))
def test_steps_are_single(pressures):
    seen = [Shedding.NOTHING, *looked(Headroom(), pressures)]
    assert all(abs(later - earlier) <= 1 for earlier, later in itertools.pairwise(seen))


@given(st.lists(st.floats(0.0, 5.0), max_size=100), st.floats(0.0, 5.0))
def test_under_a_constant_pressure_it_goes_one_way_and_settles(before, pressure):
    headroom = Headroom()
    looked(headroom, before)
    # The mean needs a while; then whatever was before, a constant pressure can only raise, only lower, or leave.
    settling = looked(headroom, [pressure] * 30, len(before) * LOOK_US)
    seen = [settling[-1], *looked(headroom, [pressure] * 600, (len(before) + 30) * LOOK_US)]
    steps = {later - earlier for earlier, later in itertools.pairwise(seen)}
    assert not {-1, 1} <= steps
    if pressure > HIGH * 1.01:
        assert seen[-1] is Shedding.SESSIONS
    if pressure < CALM:
        assert seen[-1] is Shedding.NOTHING


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(-S, 10 * S)), max_size=50))
def test_any_times_are_borne(looks):
    headroom, now = Headroom(), 0
    for pressure, step in looks:
        now += step
        headroom.look(load(pressure), now)
        assert 0.0 <= headroom.pressure <= 5.0


@pytest.mark.parametrize(
    "shedding, per_s",
    [(Shedding.FRAMES, KEPT_PER_S), (Shedding.RATE, ASKED_PER_S), (Shedding.SESSIONS, ASKED_PER_S)],
)
def test_pictures_are_thinned_evenly(shedding, per_s):
    pictures = Pictures()
    kept = [pictures.keep(shedding, number * S // 30) for number in range(300)]
    assert sum(kept) == pytest.approx(10 * per_s, abs=BURST + 1)
    gaps = [b - a for a, b in zip(*([i for i, k in enumerate(kept) if k][start:] for start in (3, 4)), strict=False)]
    assert max(gaps) <= 30 / per_s + 1


def test_without_need_every_picture_is_kept():
    pictures = Pictures()
    assert all(pictures.keep(Shedding.NOTHING, 0) for _ in range(100))


def test_clients_are_asked_to_slow_down_from_the_second_step_on():
    assert [asked_per_s(step) for step in Shedding] == [None, None, ASKED_PER_S, ASKED_PER_S]
