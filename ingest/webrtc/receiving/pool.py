"""Threads that decode, shared by all sessions: each lane's jobs run one after another, in order."""

import asyncio
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")

MAX_THREADS: Final = 8


class Lane(Generic[J, R]):
    """One stream's jobs. Made by :meth:`MediaPool.lane`; used in the event loop's thread."""

    def __init__(
        self, pool: "MediaPool", work: Callable[[J, int], R], deliver: Callable[[R], None], capacity: int
    ) -> None:
        self._pool = pool
        self._work = work
        self._deliver = deliver
        self._capacity = capacity
        self._jobs: deque[J] = deque()
        self._lock = threading.Lock()
        self._scheduled = False
        self._closed = False

    def put(self, job: J) -> bool:
        """Have a job done; False if ``capacity`` jobs wait already, and then it is not."""
        with self._lock:
            if len(self._jobs) >= self._capacity or self._closed:
                return False
            self._jobs.append(job)
            if self._scheduled:
                return True
            self._scheduled = True
        self._pool.schedule(self)
        return True

    def close(self) -> int:
        """Do no more, and deliver nothing more; returns how many jobs are given up."""
        with self._lock:
            self._closed = True
            left = len(self._jobs)
            self._jobs.clear()
        return left

    def step(self) -> None:
        """Do one job, in a thread of the pool. The lane then queues up behind the others'."""
        with self._lock:
            if not self._jobs:
                self._scheduled = False
                return
            job = self._jobs.popleft()
            behind = len(self._jobs)
        try:
            result = self._work(job, behind)
        except Exception:
            log.exception("a decoding job failed")
        else:
            self._pool.hand_over(self._arrived, result)
        with self._lock:
            if not self._jobs:
                self._scheduled = False
                return
        self._pool.schedule(self)

    def _arrived(self, result: R) -> None:
        if not self._closed:
            self._deliver(result)


class MediaPool:
    """The decoding threads of one process. Make it in the event loop's thread; results are delivered there."""

    def __init__(self, threads: int | None = None) -> None:
        """``threads``: by default one a processor; decoders run without Python's lock."""
        self._loop = asyncio.get_running_loop()
        self._ready: queue.SimpleQueue[Lane[object, object] | None] = queue.SimpleQueue()
        self._results: deque[tuple[Callable[[object], None], object]] = deque()
        self._told = False
        self._lock = threading.Lock()
        count = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._threads = [
            threading.Thread(target=self._run, name=f"media-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def lane(self, work: Callable[[J, int], R], deliver: Callable[[R], None], capacity: int) -> Lane[J, R]:
        """A lane in which ``work(job, behind)`` is called in a thread, and ``deliver(result)`` in the event loop's.

        ``behind`` is how many later jobs wait. What ``work`` raises is logged, and nothing is delivered then.
        """
        return Lane(self, work, deliver, capacity)

    def schedule(self, lane: Lane[J, R]) -> None:
        """Give a lane its turn; of lanes only."""
        self._ready.put(lane)  # type: ignore[arg-type] # a queue of lanes of any kind

    def hand_over(self, deliver: Callable[[R], None], result: R) -> None:
        """Bring a result to the event loop's thread, which is woken once for all that wait; of lanes only."""
        with self._lock:
            self._results.append((deliver, result))  # type: ignore[arg-type] # each with its own kind of result
            if self._told or self._loop.is_closed():
                return
            self._told = True
        self._loop.call_soon_threadsafe(self._deliver)

    def close(self) -> None:
        """End the threads; returns when they have ended. What waits is given up."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (lane := self._ready.get()) is not None:
            lane.step()

    def _deliver(self) -> None:
        with self._lock:
            self._told = False
        while self._results:
            deliver, result = self._results.popleft()
            deliver(result)
