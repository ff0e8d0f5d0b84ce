import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.lanes import Lane
from schemas.media_framing import MediaKind


def put(lane, count=1):
    return [lane.put(MediaKind.PCM16, 0, b"x") for _ in range(count)]


def take(lane):
    found = []
    while (message := lane.take()) is not None:
        found.append(message.sequence)
    return found


def test_sequences_count_from_zero():
    lane = Lane(10, "wait", keep_unacknowledged=True)
    assert put(lane, 3) == [0, 1, 2]
    assert take(lane) == [0, 1, 2]


def test_what_was_not_acknowledged_is_sent_again_in_order():
    lane = Lane(10, "wait", keep_unacknowledged=True)
    put(lane, 5)
    assert [lane.take().sequence for _ in range(4)] == [0, 1, 2, 3]
    lane.acknowledged(0)
    lane.reconnected(1)
    assert take(lane) == [2, 3, 4]
    lane.reconnected(None)
    assert take(lane) == [2, 3, 4]
    assert (lane.counts.offered, lane.counts.resent) == (5, 5)
    assert lane.counts.sent == 5
    lane.acknowledged(4)
    assert lane.held() == 0


def test_live_pictures_give_way_to_newer_ones():
    lane = Lane(2, "drop_oldest", keep_unacknowledged=False)
    put(lane, 5)
    assert take(lane) == [3, 4]
    assert lane.counts.dropped == 3
    lane.reconnected(None)
    assert take(lane) == []


def test_live_sound_is_bounded_and_what_was_never_sent_is_counted():
    lane = Lane(3, "drop_oldest", keep_unacknowledged=True)
    put(lane, 2)
    assert take(lane) == [0, 1]
    put(lane, 3)
    assert lane.counts.dropped == 0
    put(lane, 1)
    assert lane.counts.dropped == 1
    assert take(lane) == [3, 4, 5]


def test_a_lane_that_waits_says_when_it_is_full():
    lane = Lane(2, "wait", keep_unacknowledged=True)
    put(lane, 2)
    assert not lane.room()
    take(lane)
    assert not lane.room()
    lane.acknowledged(0)
    assert lane.room()


@pytest.mark.parametrize("full", ["wait", "drop_oldest"])
@given(steps=st.lists(st.sampled_from(["put", "take", "ack", "reconnect"]), max_size=100))
def test_the_service_gets_rising_sequences_and_nothing_is_lost_that_fits(full, steps):
    lane = Lane(8, full, keep_unacknowledged=True)
    received, new = [], []
    for step in steps:
        if step == "put" and lane.room():
            put(lane)
        elif step == "take" and (message := lane.take()) is not None:
            if not received or message.sequence > received[-1]:
                received.append(message.sequence)
            new.append(message.sequence)
            assert new == sorted(set(new))
        elif step == "ack" and received:
            lane.acknowledged(received[-1])
        elif step == "reconnect":
            lane.reconnected(received[-1] if received else None)
            new = []
        assert lane.held() <= 8
    received += [k for k in take(lane) if not received or k > received[-1]]
    assert len(received) + lane.counts.dropped == lane.counts.offered
