"""Deliveries are settled in the event loop, whoever serves their reports."""

import asyncio
import threading
from collections import Counter
from functools import partial

import pytest

from ingest.courier import Courier
from runtime.clock import ManualClock
from runtime.errors import QueueFull
from schemas.topics import MEDIA_AUDIO
from tests.support.waiting import eventually_async


class FakePublisher:
    """Keeps reports until they are asked for."""

    def __init__(self):
        self.reports, self.polls, self.full, self.counted = [], 0, False, Counter()

    def hand_over(self, topic, key, value, report):
        del topic, key, value
        if self.full:
            raise QueueFull("full")
        self.reports.append(report)

    def count(self, topic, records):
        self.counted[topic] += records

    def poll(self):
        self.polls += 1
        for report in self.take():
            report(None, None)

    def take(self):
        reports, self.reports = self.reports, []
        return reports


@pytest.fixture
def publisher():
    return FakePublisher()


async def settled(count, found):
    await eventually_async(lambda: len(found) == count, deadline_s=5, what=f"{count} fates")


async def test_deliveries_are_settled_and_nobody_looks_when_nothing_is_under_way(publisher):
    clock, found = ManualClock(), []
    courier = Courier(publisher, clock)
    for _ in range(3):
        courier.send(MEDIA_AUDIO, "s", b"", found.append)
    clock.advance(seconds=2)
    assert courier.away_for_us() == 2_000_000
    await settled(3, found)
    assert found == [True] * 3
    assert courier.away_for_us() == 0
    assert courier._poll is None
    courier.close()


async def test_reports_served_in_another_thread_are_settled_in_the_loops(publisher):
    found = []
    courier = Courier(publisher, ManualClock())
    courier.send(MEDIA_AUDIO, "s", b"", lambda fate: found.append((fate, threading.current_thread())))
    (report,) = publisher.take()
    await asyncio.to_thread(report, "lost", None)
    await settled(1, found)
    assert found == [(False, threading.current_thread())]


async def test_a_settled_record_may_send_the_next(publisher):
    found = []
    courier = Courier(publisher, ManualClock())

    def again(fate):
        found.append(fate)
        if len(found) < 5:
            courier.send(MEDIA_AUDIO, "s", b"", again)

    courier.send(MEDIA_AUDIO, "s", b"", again)
    await settled(5, found)
    assert courier.away_for_us() == 0


async def test_what_the_queue_does_not_take_is_not_waited_for(publisher):
    courier = Courier(publisher, ManualClock())
    publisher.full = True
    with pytest.raises(QueueFull):
        courier.send(MEDIA_AUDIO, "s", b"", print)
    assert courier.away_for_us() == 0


async def test_after_the_end_what_a_flush_brought_is_settled_by_hand(publisher):
    found = []
    courier = Courier(publisher, ManualClock())
    courier.send(MEDIA_AUDIO, "s", b"", found.append)
    courier.close()
    assert courier._poll.cancelled()
    assert found == []
    courier.settle()
    assert found == [True]


async def test_a_busy_edge_sends_in_turns_and_in_order(publisher):
    found, clock = [], ManualClock()
    courier = Courier(publisher, clock, lambda: 1_000)
    for number in range(4):
        courier.send(MEDIA_AUDIO, "s", b"", partial(lambda n, _: found.append(n), number))
    assert len(publisher.reports) == 1  # the first waits for nobody
    await settled(4, found)
    assert found == [0, 1, 2, 3]


async def test_a_few_sessions_wait_for_nobody(publisher):
    courier = Courier(publisher, ManualClock(), lambda: 20)
    for _ in range(3):
        courier.send(MEDIA_AUDIO, "s", b"", lambda _: None)
    assert len(publisher.reports) == 3
    courier.close()


async def test_a_queue_that_is_full_at_the_end_of_a_turn_refuses_what_was_held(publisher):
    found = []
    courier = Courier(publisher, ManualClock(), lambda: 1_000)
    courier.send(MEDIA_AUDIO, "s", b"", found.append)
    courier.send(MEDIA_AUDIO, "s", b"", found.append)
    publisher.full = True
    await settled(2, found)
    assert sorted(found) == [False, True]
    assert courier.away_for_us() == 0


async def test_closing_sends_what_is_held(publisher):
    courier = Courier(publisher, ManualClock(), lambda: 1_000)
    for _ in range(3):
        courier.send(MEDIA_AUDIO, "s", b"", lambda _: None)
    courier.close()
    assert len(publisher.reports) == 3
