"""Taking at most so many frames a second, evenly."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ingest.webrtc.pacing import Pacer


def taken(per_second: float, times_us: list[int]) -> list[int]:
    pacer = Pacer(per_second)
    return [at for at in times_us if pacer.wanted(at)]


def test_a_stream_at_the_rate_keeps_every_frame_in_spite_of_jitter() -> None:
    times = [i * 33_333 + (7_000 if i % 2 else -7_000) for i in range(300)]
    assert taken(30, times) == times


def test_a_faster_stream_is_thinned_evenly() -> None:
    kept = taken(30, [i * 16_667 for i in range(600)])
    assert 298 <= len(kept) <= 302
    gaps = [b - a for a, b in itertools.pairwise(kept)]
    assert max(gaps) <= 2 * 33_334


def test_a_slower_stream_and_one_that_jumps_are_taken_whole() -> None:
    times = [i * 66_667 for i in range(100)] + [10**12 + i * 66_667 for i in range(100)] + [0, 66_667]
    assert taken(30, times) == times


@given(st.lists(st.integers(0, 50_000), max_size=300), st.integers(1, 60))
def test_never_more_than_the_rate(steps: list[int], per_second: int) -> None:
    times, now = [], 0
    for step in steps:
        now += step
        times.append(now)
    kept = taken(per_second, times)
    span_s = (times[-1] - times[0]) / 1e6 if times else 0
    assert len(kept) <= span_s * per_second + 2
