import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.speech.timeline import CONCEAL, HOP, HOP_US, JITTER, STEER_ABOVE, Hop, Timeline, position_of
from schemas.vocabulary import Outcome

T0 = 1_800_000_000_000_000
assert T0 % HOP_US == 0
RAMP = np.arange(64_000, dtype=np.float32)


def lay(timeline: Timeline, samples, start_us=T0, *, length=320, sequence=0, shift_us=lambda _n: 0) -> list[Hop]:
    hops = []
    for n in range(len(samples) // length):
        at = start_us + n * length * 125 // 2
        outcome, new = timeline.add(at + shift_us(n), sequence + n, samples[n * length : (n + 1) * length])
        assert outcome is Outcome.USED
        hops += new
    return hops


def test_a_hop_ends_on_the_grid_and_is_numbered_by_its_end():
    hops = lay(Timeline(), RAMP[:6_400])
    assert [hop.number for hop in hops] == [T0 // HOP_US + 1 + n for n in range(10)]
    assert all(hop.captured_at_us == hop.number * HOP_US for hop in hops)
    assert [hop.first for hop in hops] == [True] + [False] * 9
    np.testing.assert_array_equal(np.concatenate([hop.samples for hop in hops]), RAMP[:6_400])


def test_positions_are_exact_for_hops():
    hop = Hop(T0 // HOP_US, RAMP[:HOP], first=True)
    assert hop.end == position_of(T0) == position_of(hop.captured_at_us)


def test_sound_before_the_first_whole_hop_stays_unheard():
    hops = lay(Timeline(), RAMP[:3_200], T0 + 5_000)  # 80 samples into a hop
    assert hops[0].number == T0 // HOP_US + 2
    np.testing.assert_array_equal(hops[0].samples, RAMP[HOP - 80 : 2 * HOP - 80])


@given(st.lists(st.integers(160, 960), min_size=8, max_size=30), st.integers(0, 1_000_000))
def test_hops_do_not_depend_on_how_the_sound_was_chunked(lengths, offset_us):
    total = sum(lengths)
    timeline, hops, at = Timeline(), [], 0
    for sequence, length in enumerate(lengths):
        _, new = timeline.add(T0 + offset_us + at * 125 // 2, sequence, RAMP[at : at + length])
        hops += new
        at += length
    whole = lay(Timeline(), RAMP[:total], T0 + offset_us, length=total)
    assert [hop.number for hop in hops] == [hop.number for hop in whole]
    for one, other in zip(hops, whole, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@given(st.lists(st.integers(-25_000, 25_000), min_size=100, max_size=100))
def test_jitter_moves_no_hop(jitter):
    timeline = Timeline()
    timeline.add(T0, 0, RAMP[:320])
    hops = lay(timeline, RAMP[320:32_000], T0 + 20_000, sequence=1, shift_us=lambda n: jitter[n])
    assert [hop.number for hop in hops] == list(range(hops[0].number, hops[0].number + len(hops)))
    assert not any(hop.first for hop in hops[1:])


@pytest.mark.parametrize("parts_per_million", [300, -300, 2_000, -2_000])
def test_a_clock_that_drifts_is_followed(parts_per_million):
    timeline = Timeline()
    sound = np.zeros(320, np.float32)
    chunks = 3_000  # one minute
    hops = []
    for n in range(chunks):
        at = T0 + n * 20_000 * (1_000_000 + parts_per_million) // 1_000_000
        outcome, new = timeline.add(at, n, sound)
        assert outcome is Outcome.USED
        hops += new
    assert not any(hop.first for hop in hops[1:])
    behind = position_of(T0 + chunks * 20_000 * (1_000_000 + parts_per_million) // 1_000_000) - hops[-1].end
    assert abs(behind) < 4 * STEER_ABOVE + HOP


def test_a_steady_clock_is_left_alone():
    hops = lay(Timeline(), RAMP, shift_us=lambda n: 3_000 * (n > 0))
    np.testing.assert_array_equal(np.concatenate([hop.samples for hop in hops]), RAMP)


def test_a_short_hole_is_filled_with_silence():
    timeline = Timeline()
    before = lay(timeline, RAMP[:640])
    outcome, hops = timeline.add(T0 + 140_000, 2, np.ones(640, np.float32))
    assert outcome is Outcome.USED
    assert [hop.number for hop in [*before, *hops]] == [T0 // HOP_US + n for n in (1, 2, 3, 4)]
    np.testing.assert_array_equal(np.concatenate([hop.samples for hop in hops])[:1_600], np.zeros(1_600))
    assert not any(hop.first for hop in hops)


def test_a_lost_chunk_leaves_its_place():
    timeline = Timeline()
    lay(timeline, RAMP[:640])
    _, hops = timeline.add(T0 + 60_000, 3, np.ones(960, np.float32))  # sequence 2, 20 ms, never came
    np.testing.assert_array_equal(hops[0].samples, np.r_[np.zeros(320), np.ones(320)])


def test_after_a_long_hole_the_timeline_starts_anew():
    timeline = Timeline()
    lay(timeline, RAMP[:960])  # half a hop is left over
    later = T0 + 60_000 + (CONCEAL + 1) * 125 // 2 + 1_000_000
    hops = lay(timeline, RAMP[:1_920], later, sequence=3)
    assert hops[0].first
    assert hops[0].number == -(-later // HOP_US) + 1
    assert not any(hop.first for hop in hops[1:])


def test_a_chunk_from_the_past_is_stale_and_the_next_one_in_time_goes_on():
    timeline = Timeline()
    lay(timeline, RAMP[:6_400])
    past = T0 + 400_000 - (JITTER + 1) * 125 // 2 - 100
    assert timeline.add(past, 20, RAMP[:320]) == (Outcome.STALE, ())
    _, hops = timeline.add(T0 + 420_000, 21, RAMP[:320])
    assert [hop.number for hop in hops] == [T0 // HOP_US + 11]


def test_a_repeated_or_older_sequence_is_a_duplicate():
    timeline = Timeline()
    lay(timeline, RAMP[:640])
    for sequence in (1, 0):
        assert timeline.add(T0 + 40_000, sequence, RAMP[:320]) == (Outcome.DUPLICATE, ())
