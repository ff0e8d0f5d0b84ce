"""RTP timestamps on the edge's clock: wraps, jumps, sender reports that are missing, right or absurd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clockmap import MAX_AGE_US, LiveTimeline
from ingest.webrtc.rtptime import JUMP_US, WRAP, Minimum, SenderClock, StreamClock, Unwrapper
from schemas.vocabulary import Modality

RATE = 48_000
FRAME_US = 20_000
NOW = 1_800_000_000_000_000


def streams() -> tuple[StreamClock, StreamClock]:
    sender = SenderClock()
    return StreamClock(sender), StreamClock(sender)


@given(st.integers(0, WRAP - 1), st.lists(st.integers(-(WRAP // 2) + 1, WRAP // 2 - 1), max_size=50))
def test_unwrapped_timestamps_differ_as_the_stream_did(start: int, steps: list[int]) -> None:
    unwrapper = Unwrapper()
    true = start
    assert unwrapper.unwrap(true) == start
    for step in steps:
        true += step
        assert unwrapper.unwrap(true % WRAP) == true


@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(-1_000, 1_000)), min_size=1, max_size=100))
def test_the_minimum_is_that_of_the_window(items: list[tuple[int, int]]) -> None:
    minimum = Minimum(10_000_000)
    now = 0
    seen: list[tuple[int, int]] = []
    for pause, value in items:
        now += pause
        seen.append((now, value))
        expected = min(v for at, v in seen if at >= now - 10_000_000)
        assert minimum.add(now, value) == expected


@given(
    start=st.integers(0, WRAP - 1),
    delays=st.lists(st.integers(0, 400_000), min_size=1, max_size=80),
    report_at=st.integers(0, 80),
    report_error_us=st.integers(-10_000_000_000, 10_000_000_000),
    ahead_us=st.none() | st.integers(-10_000_000_000, 10_000_000_000),
)
def test_whatever_is_said_time_stays_in_bounds_and_never_runs_backwards(
    start: int, delays: list[int], report_at: int, report_error_us: int, ahead_us: int | None
) -> None:
    clock, timeline = streams()[0], LiveTimeline()
    latest, received = 0, 0
    for i, delay in enumerate(delays):
        timestamp = start + i * RATE // 50
        received = max(received, NOW + i * FRAME_US + delay)
        if i == report_at:
            clock.report(NOW + i * FRAME_US + report_error_us, timestamp)
        placed = timeline.place_mapped(Modality.SPEECH, clock.place(timestamp, RATE, received, ahead_us), received)
        assert received - MAX_AGE_US <= placed <= received
        assert placed >= latest
        latest = placed


@given(st.lists(st.integers(0, 300_000), min_size=20, max_size=60))
def test_with_a_measured_clock_captures_are_exact(delays: list[int]) -> None:
    ahead_us = 7_000_000_000  # the sender's clock is two hours ahead
    clock = streams()[0]
    clock.report(NOW + ahead_us, 0)
    for i, delay in enumerate(delays):
        captured = NOW + i * FRAME_US
        placed = clock.place(i * RATE // 50, RATE, captured + delay, ahead_us)
        assert placed == pytest.approx(captured, abs=2)


def test_arrivals_alone_give_the_capture_plus_the_least_delay() -> None:
    clock = streams()[0]
    placed = [clock.place(i * 960, RATE, NOW + i * FRAME_US + delay, None) for i, delay in enumerate((90, 30, 70, 50))]
    assert placed == [NOW + 90, NOW + 20_030, NOW + 40_030, NOW + 60_030]


def test_sender_reports_put_sound_and_pictures_on_one_clock() -> None:
    sound, pictures = streams()
    offset = -3_600_000_000  # an hour behind, and nobody measured it
    sound.report(NOW + offset, 1_000)
    pictures.report(NOW + offset, 77_000)
    for i in range(50):
        captured = NOW + i * FRAME_US
        heard = sound.place(1_000 + i * 960, RATE, captured + 20_000, None)
        seen = pictures.place(77_000 + i * 1_800, 90_000, captured + 150_000, None)  # coding pictures takes longer
        assert heard == captured + 20_000
        if i > 0:
            assert seen == pytest.approx(captured + 20_000, abs=5)


def test_a_stream_that_begins_to_count_anew_is_placed_by_its_arrival() -> None:
    clock = streams()[0]
    clock.report(NOW, 0)
    for i in range(100):
        clock.place(i * 960, RATE, NOW + i * FRAME_US, 0)
    received = NOW + 100 * FRAME_US
    assert clock.place(-10 * RATE, RATE, received, 0) == received  # 12 s back: its own clock, and the report, are void


def test_a_stall_of_the_network_does_not_move_the_stream() -> None:
    clock = streams()[0]
    for i in range(100):
        clock.place(i * 960, RATE, NOW + i * FRAME_US, None)
    stalled = NOW + 100 * FRAME_US + JUMP_US - 100_000
    assert clock.place(100 * 960, RATE, stalled, None) == NOW + 100 * FRAME_US


def test_corrections_upwards_are_slewed_so_that_sound_keeps_its_length() -> None:
    clock = streams()[0]
    clock.place(0, RATE, NOW, None)
    latest = NOW
    for i in range(1, 1_500):  # the path grows 40 ms longer for good; after 10 s the old minimum is out of the window
        placed = clock.place(i * 960, RATE, NOW + i * FRAME_US + 40_000, None)
        assert FRAME_US <= placed - latest <= FRAME_US + 101
        latest = placed
    assert latest == pytest.approx(NOW + 1_499 * FRAME_US + 40_000, abs=1_000)
