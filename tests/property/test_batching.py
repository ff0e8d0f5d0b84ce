from hypothesis import given
from hypothesis import strategies as st

from inference_workers.batching import BatchPolicy, MicroBatcher

EVENTS = st.lists(
    st.one_of(
        st.none(),  # take a batch
        st.tuples(st.sampled_from("abc"), st.integers(0, 300_000), st.booleans()),  # session, gap, lossless
    ),
    max_size=80,
)


@given(EVENTS, st.integers(1, 4), st.integers(0, 400_000))
def test_every_item_is_taken_or_stale_exactly_once_and_sessions_keep_their_order(events, max_batch, stale_after_us):
    batcher = MicroBatcher[tuple[str, int]](BatchPolicy(max_batch, 5_000, stale_after_us, 1_000))
    given_items, taken, stale = [], [], []
    now = 0
    for number, event in enumerate(events):
        if event is None:
            batch = batcher.take()
            assert len(batch) <= max_batch
            assert len({session for session, _ in batch}) == len(batch)
            taken += batch
            continue
        session, gap, lossless = event
        now += gap
        item = (session, number)
        given_items.append(item)
        stale += batcher.add(session, item, arrived_at_us=now, taken_at_us=now, lossless=lossless)
    while batcher:
        taken += batcher.take()
    assert sorted(taken + stale) == sorted(given_items)
    for session in "abc":
        numbers = [number for name, number in taken if name == session]
        assert numbers == sorted(numbers)
