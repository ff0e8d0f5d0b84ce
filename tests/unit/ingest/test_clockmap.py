import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clockmap import MAX_AGE_US, ClockOffset, LiveTimeline, RecordedTimeline, TimelineError
from schemas.vocabulary import Modality

HOUR_US = 3_600_000_000


def probe(offset, at_us, *, out_us, back_us, client_ahead_us):
    """One probe over a line with these delays; returns when the answer was received."""
    offset.probe_sent(at_us)
    received = at_us + out_us + back_us
    assert offset.answered(at_us, at_us + out_us + client_ahead_us, received)
    return received


def test_the_shortest_round_trip_counts():
    offset = ClockOffset()
    now = probe(offset, 0, out_us=90_000, back_us=10_000, client_ahead_us=HOUR_US)
    now = probe(offset, now, out_us=2_000, back_us=1_000, client_ahead_us=HOUR_US)
    now = probe(offset, now, out_us=5_000, back_us=60_000, client_ahead_us=HOUR_US)
    assert offset.round_trip_us == 3_000
    assert offset.at(now, now + HOUR_US) == HOUR_US + 500


def test_without_an_answer_media_is_taken_as_captured_now():
    offset = ClockOffset()
    assert offset.at(1_000, 501_000) == 500_000
    assert offset.at(2_000, 501_500) == 500_000


def test_answers_that_were_not_asked_for_do_not_count():
    offset = ClockOffset()
    offset.probe_sent(10)
    assert not offset.answered(11, 0, 20)
    assert offset.answered(10, 0, 20)
    assert not offset.answered(10, 0, 21)
    offset.probe_sent(30)
    assert not offset.answered(30, 0, 30 + 5_000_001)


def test_small_corrections_slew_and_large_ones_step():
    offset = ClockOffset()
    now = probe(offset, 0, out_us=2_000, back_us=0, client_ahead_us=0)
    assert offset.at(now, now) == 1_000
    later = probe(offset, now + 1_000_000, out_us=500, back_us=500, client_ahead_us=50_000)
    assert offset.at(later, later) == pytest.approx(1_000 + 5_000, abs=20)
    stepped = probe(offset, later + 1_000, out_us=400, back_us=400, client_ahead_us=HOUR_US)
    assert offset.at(stepped, stepped) == HOUR_US


def test_old_answers_leave_the_window():
    offset = ClockOffset()
    probe(offset, 0, out_us=100, back_us=100, client_ahead_us=0)
    probe(offset, 31_000_000, out_us=900, back_us=900, client_ahead_us=0)
    assert offset.round_trip_us == 1_800


@given(
    st.lists(
        st.tuples(
            st.integers(0, 200_000),
            st.integers(-(2**62), 2**62),
            st.sampled_from(list(Modality)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_live_times_stay_within_five_seconds_and_never_run_backwards(arrivals):
    timeline = LiveTimeline()
    now = 1_800_000_000_000_000
    latest = {}
    for pause, client_us, modality, answers in arrivals:
        now += pause
        if answers:
            timeline.offset.probe_sent(now)
            timeline.offset.answered(now, client_us, now + 1_000)
            now += 1_000
        placed = timeline.place(modality, client_us, now)
        assert now - MAX_AGE_US <= placed <= now or placed == latest.get(modality)
        assert placed >= latest.get(modality, placed)
        assert placed <= now
        latest[modality] = placed


def test_recorded_times_start_with_the_session():
    timeline = RecordedTimeline(5_000)
    assert timeline.place(Modality.FACE, 33_333, 0) == 38_333
    for wrong in (-1, 24 * HOUR_US + 1):
        with pytest.raises(TimelineError, match=str(wrong)):
            timeline.place(Modality.FACE, wrong, 0)


def test_the_measured_offset_is_that_of_the_shortest_round_trip() -> None:
    offset = ClockOffset()
    assert offset.measured_us is None
    for sent, round_trip, ahead in ((0, 400, 9_000), (1_000, 100, 5_000), (2_000, 300, 7_000)):
        offset.probe_sent(sent)
        assert offset.answered(sent, sent + round_trip // 2 + ahead, sent + round_trip)
    assert offset.measured_us == 5_000


def test_times_that_were_mapped_elsewhere_are_clamped_and_do_not_run_backwards() -> None:
    timeline = LiveTimeline()
    now = 1_800_000_000_000_000
    assert timeline.place_mapped(Modality.FACE, now + 5, now) == now
    assert timeline.place_mapped(Modality.FACE, now - 100, now + 10) == now
    assert timeline.place_mapped(Modality.SPEECH, now - 9_000_000, now) == now - 5_000_000
