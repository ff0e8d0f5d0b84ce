from hypothesis import given
from hypothesis import strategies as st

from runtime.rates import KeyedBuckets, TokenBucket


def test_a_burst_then_the_rate():
    bucket = TokenBucket(rate_per_s=10, burst=3)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(99_999)
    assert bucket.take(100_001)
    assert not bucket.take(100_001)


def test_a_clock_that_runs_backwards_adds_nothing():
    bucket = TokenBucket(rate_per_s=10, burst=1)
    assert bucket.take(1_000_000)
    assert not bucket.take(0)
    assert not bucket.take(50_000)


@given(st.lists(st.integers(0, 500_000), max_size=200))
def test_never_more_than_burst_and_rate_allow(pauses):
    bucket = TokenBucket(rate_per_s=20, burst=5)
    now, taken = 0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
    assert taken <= 5 + now * 20e-6 + 1e-6


def test_each_key_has_a_bucket_of_its_own_and_the_oldest_are_forgotten():
    buckets = KeyedBuckets(1.0, 2.0, most=2)
    assert [buckets.take("a", 0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0)
    assert not buckets.take("a", 0)
    buckets.take("c", 0)  # now b is the oldest, for a was asked for last
    assert not buckets.take("a", 0)
    by_default = KeyedBuckets(3.0)
    assert sum(by_default.take("a", 0) for _ in range(100)) == 30
