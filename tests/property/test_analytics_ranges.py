"""Sets of sequences as ranges behave like sets of integers."""

from hypothesis import given
from hypothesis import strategies as st

from analytics.balance import Ranges

NUMBERS = st.sets(st.integers(-50, 200), max_size=60)


def numbers(ranges: Ranges) -> set[int]:
    return {n for first, last in ranges.ranges for n in range(first, last + 1)}


@given(NUMBERS, NUMBERS)
def test_ranges_are_sets(a: set[int], b: set[int]):
    x, y = Ranges.of(a), Ranges.of(b)
    assert numbers(x) == a
    assert len(x) == len(a)
    assert numbers(x | y) == a | b
    assert numbers(x - y) == a - b
    assert numbers(x & y) == a & b
    assert (x == y) == (a == b)
    assert all(before[1] + 1 < after[0] for before, after in zip(x.ranges, x.ranges[1:], strict=False))
