"""Records to Kafka, and word of their fate in the event loop's thread."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from runtime.clock import Clock
from runtime.kafka import Publisher
from schemas.topics import Topic

POLL_S: Final = 0.005
"""How often deliveries are looked for while any are awaited: a thread that waits for them costs more, one by one."""


class Courier:
    """Sends records and settles each with its fate. Used in the event loop's thread only."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._fates: deque[tuple[Callable[[bool], None], bool]] = deque()
        """What delivery reports say, in whichever thread they are served: whoever sends to the publisher may do so."""
        self._poll: asyncio.TimerHandle | None = None
        self._closed = False
        self._waiting = 0
        self._progress_us = clock.now_us()

    def send(self, topic: Topic, key: str, value: bytes, settled: Callable[[bool], None]) -> None:
        """Queue a record; ``settled`` is called in the event loop with whether it was acknowledged.

        Never blocks; raises QueueFull.
        """
        if self._waiting == 0:
            self._progress_us = self._clock.now_us()
        self._publisher.send(topic, key, value, on_delivery=partial(self._delivered, settled))
        self._waiting += 1
        if self._poll is None and not self._closed:
            self._poll = self._loop.call_later(POLL_S, self._on_poll)

    def away_for_us(self) -> int:
        """For how long records have waited without any being acknowledged."""
        return self._clock.now_us() - self._progress_us if self._waiting else 0

    def settle(self) -> None:
        """Settle what is known by now."""
        self._publisher.poll()
        while self._fates:
            settled, acknowledged = self._fates.popleft()
            self._waiting -= 1
            if acknowledged:
                self._progress_us = self._clock.now_us()
            settled(acknowledged)

    def close(self) -> None:
        """Look for deliveries no more; the publisher stays open."""
        self._closed = True
        if self._poll is not None:
            self._poll.cancel()

    def _on_poll(self) -> None:
        self._poll = None
        try:
            self.settle()
        finally:
            if self._waiting and self._poll is None and not self._closed:
                self._poll = self._loop.call_later(POLL_S, self._on_poll)

    def _delivered(self, settled: Callable[[bool], None], acknowledged: bool) -> None:
        self._fates.append((settled, acknowledged))
