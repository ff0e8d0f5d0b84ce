"""Puts packets into the order of their 16-bit sequence numbers, and waits a bounded time for those that are missing.

Pure: instants are arguments, in microseconds. What is in order passes at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MODULUS: Final = 1 << 16
MAX_LATE: Final = 100
"""A packet further behind than this is taken for the beginning of a new numbering, if the next one follows it."""

ASK_AGAIN_US: Final = 40_000
MAX_ASKS: Final = 3
MAX_ASKED: Final = 128
"""At most so many missing packets are asked for at once: more is no loss but an outage."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Packets that will not come any more: ``count`` of them, or 0 where the sender began to number anew."""

    count: int


class PacketOrder(Generic[T]):
    """Holds at most ``capacity`` packets, and none of them longer than ``wait_us`` once a packet comes or time is told.

    An item is given out once, in order; in the place of what stays missing stands a :class:`Lost`.
    """

    def __init__(self, capacity: int, wait_us: int) -> None:
        self._capacity = capacity
        self._wait_us = wait_us
        self._next: int | None = None
        """Number of the next packet to give out; unwrapped, so that it only rises."""
        self._held: dict[int, tuple[T, int]] = {}
        """Packets beyond a gap, with their arrival."""
        self._highest = 0
        self._asked: dict[int, tuple[int, int]] = {}
        """When and how often a missing packet was asked for."""
        self._odd_one: int | None = None
        """The sequence number that would follow a packet that did not fit in."""
        self.duplicates = 0
        self.late = 0
        self.lost = 0
        self.restarts = 0

    def put(self, sequence: int, item: T, now_us: int) -> Sequence[T | Lost]:
        """Take a packet; returns what can be given out now."""
        following = self._next
        if following is None:
            self._next = sequence + MODULUS + 1
            return (item,)
        ahead = (sequence - following) & 0xFFFF
        if ahead == 0 and not self._held:
            self._next = following + 1
            self._odd_one = None
            return (item,)
        if ahead >= MODULUS // 2:
            if MODULUS - ahead > MAX_LATE:
                return self._odd(sequence, item)
            self.late += 1
            return ()
        if ahead > self._capacity:
            return self._odd(sequence, item)
        self._odd_one = None
        number = following + ahead
        if number in self._held:
            self.duplicates += 1
            return ()
        if not self._held:
            self._highest = number
        self._held[number] = (item, now_us)
        self._highest = max(self._highest, number)
        self._asked.pop(number, None)
        given: list[T | Lost] = []
        self._drain(given)
        while len(self._held) > self._capacity:
            self._give_up(given)
        if self._held:
            self._expire(given, now_us)
        return given

    def due(self, now_us: int) -> Sequence[T | Lost]:
        """What can be given out because the time to wait for what is missing is over."""
        given: list[T | Lost] = []
        self._expire(given, now_us)
        return given

    @property
    def waiting(self) -> bool:
        """Whether packets are held back because earlier ones are missing: :meth:`due` is to be called."""
        return bool(self._held)

    def to_ask_for(self, now_us: int) -> list[int]:
        """Sequence numbers of missing packets that the sender should be asked for now (NACK, RFC 4585)."""
        if not self._held:
            return []
        assert self._next is not None
        wanted: list[int] = []
        for number in range(self._next, self._highest):
            if number in self._held:
                continue
            if len(wanted) == MAX_ASKED:
                break
            at, asks = self._asked.get(number, (now_us - ASK_AGAIN_US, 0))
            if asks < MAX_ASKS and now_us - at >= ASK_AGAIN_US:
                self._asked[number] = (now_us, asks + 1)
                wanted.append(number & 0xFFFF)
        return wanted

    def _odd(self, sequence: int, item: T) -> Sequence[T | Lost]:
        """A packet from far away: the second in a row begins a new numbering (RFC 3550, appendix A.1)."""
        if self._odd_one != sequence:
            self._odd_one = (sequence + 1) & 0xFFFF
            self.late += 1
            return ()
        self._odd_one = None
        self.restarts += 1
        self._held.clear()
        self._asked.clear()
        assert self._next is not None
        # Later than anything before, whatever the new numbers are.
        self._next = (self._next // MODULUS + 2) * MODULUS + sequence + 1
        return (Lost(0), item)

    def _drain(self, given: list[T | Lost]) -> None:
        assert self._next is not None
        while (found := self._held.pop(self._next, None)) is not None:
            given.append(found[0])
            self._next += 1
        if not self._held:
            self._asked.clear()

    def _give_up(self, given: list[T | Lost]) -> None:
        """The first gap will not be filled."""
        assert self._next is not None
        first = min(self._held)
        for number in range(self._next, first):
            self._asked.pop(number, None)
        self.lost += first - self._next
        given.append(Lost(first - self._next))
        self._next = first
        self._drain(given)

    def _expire(self, given: list[T | Lost], now_us: int) -> None:
        while self._held:
            waited_us = now_us - min(at for _, at in self._held.values())
            # A clock that was set back must not make anything wait longer.
            if 0 <= waited_us < self._wait_us:
                return
            self._give_up(given)
