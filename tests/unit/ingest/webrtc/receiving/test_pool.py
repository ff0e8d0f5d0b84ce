import asyncio
import threading

import pytest

from ingest.webrtc.receiving.pool import MediaPool
from tests.support.waiting import eventually_async


@pytest.fixture
async def pool():
    made = MediaPool(2)
    yield made
    made.close()


async def test_jobs_of_a_lane_run_one_at_a_time_in_order_and_are_delivered_in_the_loop(pool):
    here, busy, delivered = threading.get_ident(), threading.Lock(), []

    def work(job, behind):
        assert busy.acquire(blocking=False)
        busy.release()
        assert threading.get_ident() != here
        return job

    def deliver(result):
        assert threading.get_ident() == here
        delivered.append(result)

    lane = pool.lane(work, deliver, 100)
    for number in range(50):
        assert lane.put(number)
    await eventually_async(lambda: len(delivered) == 50)
    assert delivered == list(range(50))


async def test_a_full_lane_takes_no_more_and_tells_how_far_it_is_behind(pool):
    go, delivered = threading.Event(), []

    def work(job, behind):
        go.wait(30)
        return job, behind

    lane = pool.lane(work, delivered.append, 3)
    assert lane.put(0)
    await eventually_async(lambda: lane.put(1))
    taken = [lane.put(number) for number in range(2, 8)]
    assert False in taken
    go.set()
    count = 2 + sum(taken)
    await eventually_async(lambda: len(delivered) == count)
    assert delivered[-1] == (1 + sum(taken), 0)
    assert max(behind for _, behind in delivered) >= 1


async def test_a_job_that_fails_ends_nothing(pool, caplog):
    delivered = []

    def work(job, behind):
        if job == 1:
            raise ZeroDivisionError
        return job

    lane = pool.lane(work, delivered.append, 10)
    for number in range(3):
        lane.put(number)
    await eventually_async(lambda: delivered == [0, 2])
    assert "a decoding job failed" in caplog.text


async def test_a_closed_lane_delivers_nothing(pool):
    go, delivered = threading.Event(), []

    def work(job, behind):
        go.wait(30)
        return job

    lane = pool.lane(work, delivered.append, 10)
    for number in range(4):
        lane.put(number)
    left = lane.close()
    assert left >= 3
    assert not lane.put(9)
    go.set()
    other = []
    pool.lane(work, other.append, 1).put(5)
    await eventually_async(lambda: other == [5])
    await asyncio.sleep(0)
    assert delivered == []
