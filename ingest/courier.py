"""Records to Kafka, and word of their fate in the event loop's thread.

A busy edge sends in turns. Kafka's client makes a request of its own for every partition that has something, and each
costs the broker and every consumer as much as a hundred records do: thousands of records a second, each sent when it
comes, are thousands of requests. So what comes while a turn lasts leaves together at its end.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from runtime.clock import Clock
from runtime.errors import QueueFull
from runtime.kafka import KafkaError, Message, Publisher
from schemas.topics import Topic

POLL_S: Final = 0.005
"""How often deliveries are looked for while any are awaited: a thread that waits for them costs more, one by one."""
TURN_S_A_SESSION: Final = 40e-6
TURN_LEAST_S: Final = 0.001
"""An event loop's timers are no finer."""

Settled = Callable[[bool], None]


class Courier:
    """Sends records and settles each with its fate, in the order in which they came. For the event loop's thread only.

    ``sessions`` says how many there are: a turn lasts 40 µs for each, and :data:`POLL_S` at most, so that few wait for
    nobody and the hundred sessions that share one wait for half of it on average.
    """

    def __init__(self, publisher: Publisher, clock: Clock, sessions: Callable[[], int] = lambda: 0) -> None:
        self._publisher = publisher
        self._clock = clock
        self._sessions = sessions
        self._held: list[tuple[Topic, str, bytes, Settled]] = []
        """What leaves at the end of this turn."""
        self._turn_ends_us = 0
        self._loop = asyncio.get_running_loop()
        self._fates: deque[tuple[Topic, Settled, bool]] = deque()
        """What delivery reports say, in whichever thread they are served: whoever sends to the publisher may do so."""
        self._poll: asyncio.TimerHandle | None = None
        self._closed = False
        self._waiting = 0
        self._progress_us = clock.now_us()

    def send(self, topic: Topic, key: str, value: bytes, settled: Settled) -> None:
        """Queue a record; ``settled`` is called in the event loop with whether it was acknowledged.

        Never blocks. Raises QueueFull if the broker's queue is seen to be full now; where that is seen at the end of
        the turn, ``settled`` is told False.
        """
        if self._held:
            self._held.append((topic, key, value, settled))
            self._waiting += 1
            return
        now_us = self._clock.now_us()
        if self._waiting == 0:
            self._progress_us = now_us
        if now_us < self._turn_ends_us:
            self._held.append((topic, key, value, settled))
        else:
            self._publisher.hand_over(topic, key, value, partial(self._reported, topic, settled))
            self._begin_turn(now_us)
        self._waiting += 1
        if self._poll is None and not self._closed:
            self._poll = self._loop.call_later(POLL_S, self._on_poll)

    def away_for_us(self) -> int:
        """For how long records have waited without any being acknowledged."""
        return self._clock.now_us() - self._progress_us if self._waiting else 0

    def _begin_turn(self, now_us: int) -> None:
        turn_s = min(TURN_S_A_SESSION * self._sessions(), POLL_S)
        if turn_s < TURN_LEAST_S or self._closed:
            self._turn_ends_us = 0
            return
        self._turn_ends_us = now_us + round(turn_s * 1e6)
        if self._poll is not None:
            self._poll.cancel()
        self._poll = self._loop.call_later(turn_s, self._on_poll)

    def release(self) -> None:
        """End the turn: what is held leaves."""
        held, self._held = self._held, []
        self._turn_ends_us = 0
        for topic, key, value, settled in held:
            try:
                self._publisher.hand_over(topic, key, value, partial(self._reported, topic, settled))
            except QueueFull:
                self._fates.append((topic, settled, False))
        if held:
            self._begin_turn(self._clock.now_us())

    def settle(self) -> None:
        """Send what is held, and settle what is known by now."""
        self.release()
        self._publisher.poll()
        fates = self._fates
        if not fates:
            return
        kept: dict[Topic, int] = {}
        try:
            while fates:
                topic, settled, acknowledged = fates.popleft()
                self._waiting -= 1
                if acknowledged:
                    kept[topic] = kept.get(topic, 0) + 1
                settled(acknowledged)
        finally:
            if kept:
                self._progress_us = self._clock.now_us()
            for topic, count in kept.items():
                self._publisher.count(topic, count)

    def close(self) -> None:
        """Send what is held, and look for deliveries no more; the publisher stays open."""
        self._closed = True
        self.release()
        if self._poll is not None:
            self._poll.cancel()

    def _on_poll(self) -> None:
        self._poll = None
        try:
            self.settle()
        finally:
            if self._waiting and self._poll is None and not self._closed:
                self._poll = self._loop.call_later(POLL_S, self._on_poll)

    def _reported(self, topic: Topic, settled: Settled, error: KafkaError | None, message: Message) -> None:
        del message
        self._fates.append((topic, settled, error is None))
