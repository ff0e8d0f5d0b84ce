"""Records to Kafka, and word of their fate back in the event loop's thread."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from runtime.clock import Clock
from runtime.kafka import Publisher
from schemas.topics import Topic


class Courier:
    """Sends records and brings word of their fate back to the event loop's thread."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._fates: deque[tuple[Callable[[bool], None], bool]] = deque()
        self._lock = threading.Lock()
        self._scheduled = False
        self._closed = threading.Event()
        self._waiting = 0
        self._progress_us = clock.now_us()
        self._poller = threading.Thread(target=self._poll, name="kafka-deliveries", daemon=True)
        self._poller.start()

    def send(self, topic: Topic, key: str, value: bytes, settled: Callable[[bool], None]) -> None:
        """Queue a record; ``settled`` is called in the event loop with whether it was acknowledged.

        Never blocks; raises QueueFull. Call it in the event loop's thread.
        """
        if self._waiting == 0:
            self._progress_us = self._clock.now_us()
        self._publisher.send(topic, key, value, on_delivery=partial(self._delivered, settled))
        self._waiting += 1

    def away_for_us(self) -> int:
        """For how long records have waited without any being acknowledged."""
        return self._clock.now_us() - self._progress_us if self._waiting else 0

    def close(self) -> None:
        """Stop noticing deliveries; the publisher stays open."""
        self._closed.set()
        self._poller.join()

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._publisher.poll(0.1)

    def _delivered(self, settled: Callable[[bool], None], acknowledged: bool) -> None:
        """Serve one delivery report, in whichever thread polls."""
        with self._lock:
            self._fates.append((settled, acknowledged))
            if self._scheduled or self._loop.is_closed():
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        with self._lock:
            self._scheduled = False
        while self._fates:
            settled, acknowledged = self._fates.popleft()
            self._waiting -= 1
            if acknowledged:
                self._progress_us = self._clock.now_us()
            settled(acknowledged)
