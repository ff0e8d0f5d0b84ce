from hypothesis import given
from hypothesis import strategies as st

from egress.backlog import AGAIN_S, FULL_AFTER_US, FULL_S, QUIET_US, Backlog

STEP_US = 4_000


def after(*waits_s, backlog=None, start_us=0):
    """A backlog that saw each of these for a second, and when that is."""
    backlog = backlog or Backlog()
    now_us = start_us
    for waited_s in waits_s:
        for _ in range(1_000_000 // STEP_US):
            now_us += STEP_US
            backlog.take(waited_s, now_us)
    return backlog, now_us


def test_there_is_room_while_frames_hardly_wait():
    backlog, now_us = after(0.004, 0.03)
    assert not backlog.full(now_us)
    assert 0.004 < backlog.wait_s(now_us) <= 0.03


def test_there_is_none_while_they_wait_too_long_and_there_is_again_well_below():
    backlog, now_us = after(0.08)
    assert backlog.full(now_us)
    backlog, now_us = after((FULL_S + AGAIN_S) / 2, backlog=backlog, start_us=now_us)
    assert backlog.full(now_us)
    backlog, now_us = after(0.01, backlog=backlog, start_us=now_us)
    assert not backlog.full(now_us)


def test_a_late_batch_is_no_backlog_not_even_the_first():
    backlog = Backlog()
    backlog.take(0.3, STEP_US)
    assert not backlog.full(STEP_US)
    backlog, now_us = after(0.004, backlog=backlog, start_us=STEP_US)
    backlog.take(2.0, now_us + STEP_US)
    assert not backlog.full(now_us + STEP_US)


def test_it_begins_anew_after_silence():
    backlog, now_us = after(0.2)
    now_us += 2 * QUIET_US
    backlog.take(0.2, now_us)
    assert not backlog.full(now_us)
    backlog.take(0.2, now_us + FULL_AFTER_US)
    assert backlog.full(now_us + FULL_AFTER_US)


def test_what_is_silent_waits_for_nothing():
    backlog, now_us = after(0.2)
    assert backlog.full(now_us + QUIET_US)
    assert not backlog.full(now_us + QUIET_US + 1)
    assert backlog.wait_s(now_us + QUIET_US + 1) == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_between_the_marks_nothing_changes(waits):
    backlog, now_us = Backlog(), 0
    for waited_s in waits:
        before = backlog.full(now_us)
        now_us += STEP_US
        backlog.take(waited_s, now_us)
        waits_s = backlog.wait_s(now_us)
        assert not (backlog.full(now_us) and waits_s < AGAIN_S)
        if AGAIN_S <= waits_s < FULL_S:
            assert backlog.full(now_us) == before
