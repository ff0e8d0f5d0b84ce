import pytest

from ingest.webrtc.receiving.packet_order import ASK_AGAIN_US, MAX_ASKS, Lost, PacketOrder

WAIT_US = 100_000


@pytest.fixture
def order():
    return PacketOrder[int](capacity=8, wait_us=WAIT_US)


def test_what_is_in_order_passes_at_once_over_the_wrap(order):
    numbers = [65_534, 65_535, 0, 1]
    assert [list(order.put(n, n, 0)) for n in numbers] == [[n] for n in numbers]
    assert not order.waiting


def test_what_comes_early_waits_for_what_is_missing(order):
    order.put(0, 0, 0)
    assert list(order.put(2, 2, 0)) == []
    assert list(order.put(3, 3, 0)) == []
    assert order.waiting
    assert list(order.put(1, 1, 0)) == [1, 2, 3]
    assert not order.waiting


def test_the_wait_ends(order):
    order.put(0, 0, 0)
    order.put(3, 3, 10)
    assert list(order.due(WAIT_US)) == []
    assert list(order.due(10 + WAIT_US)) == [Lost(2), 3]
    assert list(order.put(2, 2, WAIT_US + 20)) == []
    assert (order.lost, order.late) == (2, 1)


def test_a_packet_that_comes_ends_the_wait_too(order):
    order.put(0, 0, 0)
    order.put(2, 2, 0)
    assert list(order.put(4, 4, WAIT_US)) == [Lost(1), 2]


def test_a_clock_that_is_set_back_makes_nothing_wait(order):
    order.put(0, 0, 1_000_000)
    order.put(2, 2, 1_000_000)
    assert list(order.due(5)) == [Lost(1), 2]


def test_duplicates_are_dropped(order):
    order.put(0, 0, 0)
    order.put(2, 2, 0)
    assert list(order.put(2, 2, 0)) == []
    assert list(order.put(0, 0, 0)) == []
    assert (order.duplicates, order.late) == (1, 1)


def test_a_gap_may_be_as_wide_as_the_capacity_and_holds_no_more(order):
    order.put(0, 0, 0)
    for n in range(2, 10):
        assert list(order.put(n, n, 0)) == []
    assert list(order.put(10, 10, 0)) == []  # too far ahead: the beginning of something new, or an error
    assert list(order.put(1, 1, 0)) == list(range(1, 10))


def test_a_jump_beyond_the_capacity_is_no_gap(order):
    order.put(0, 0, 0)
    assert list(order.put(10, 10, 0)) == []
    assert not order.waiting
    assert list(order.put(11, 11, 0)) == [Lost(0), 11]


def test_a_new_numbering_begins_with_two_packets_in_a_row(order):
    order.put(10, 10, 0)
    order.put(12, 12, 0)
    assert list(order.put(40_000, 1, 0)) == []
    assert list(order.put(30_000, 2, 0)) == []
    assert list(order.put(30_001, 3, 0)) == [Lost(0), 3]
    assert list(order.put(30_002, 4, 0)) == [4]
    assert order.restarts == 1
    assert not order.waiting


def test_missing_packets_are_asked_for_a_few_times(order):
    order.put(65_534, 0, 0)
    order.put(1, 1, 0)
    assert order.to_ask_for(0) == [65_535, 0]
    assert order.to_ask_for(ASK_AGAIN_US - 1) == []
    order.put(65_535, 2, 0)
    asks = [order.to_ask_for(ASK_AGAIN_US * n) for n in range(1, 10)]
    assert asks[: MAX_ASKS - 1] == [[0]] * (MAX_ASKS - 1)
    assert not any(asks[MAX_ASKS - 1 :])
    order.put(0, 3, 0)
    assert order.to_ask_for(10 * ASK_AGAIN_US) == []
