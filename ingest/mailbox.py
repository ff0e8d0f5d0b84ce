"""Bounded mailboxes between a socket and the broker. Pure.

Pictures: of those that wait, only the newest counts. Sound: nothing is given up silently; a full mailbox makes the
reader stop reading, and TCP then slows the client down.
"""

from collections import deque
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Overflow(Enum):
    """What happens when a mailbox is full."""

    KEEP_NEWEST = "the oldest waiting item makes room"
    WAIT = "nothing is taken until there is room"


class MailboxFull(Exception):  # noqa: N818 - a condition, and the field's word for it
    """An item was put into a full mailbox that gives nothing up."""


class Mailbox(Generic[T]):
    """At most ``capacity`` items wait, first in, first out."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._overflow = overflow

    def __len__(self) -> int:
        return len(self._items)

    def room(self) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self._overflow is Overflow.KEEP_NEWEST or len(self._items) < self._capacity

    def put(self, item: T) -> T | None:
        """Add an item; returns the one that made room for it. Raises MailboxFull (overflow WAIT only)."""
        replaced: T | None = None
        if len(self._items) >= self._capacity:
            if self._overflow is Overflow.WAIT:
                raise MailboxFull(f"{self._capacity} items wait")
            replaced = self._items.popleft()
        self._items.append(item)
        return replaced

    def take(self) -> T | None:
        """The oldest item, or None."""
        return self._items.popleft() if self._items else None

    def empty(self) -> list[T]:
        """Take everything, oldest first."""
        items = list(self._items)
        self._items.clear()
        return items


class Lane(Generic[T]):
    """A mailbox, and how many of its items the broker client holds unacknowledged."""

    def __init__(self, mailbox: Mailbox[T], max_in_flight: int) -> None:
        self.mailbox = mailbox
        self.in_flight = 0
        self._max_in_flight = max_in_flight

    def straight(self) -> bool:
        """Whether an item may go past the mailbox, as nothing waits and one more may be in flight; it then is."""
        if self.in_flight >= self._max_in_flight or len(self.mailbox):
            return False
        self.in_flight += 1
        return True

    def next_to_send(self) -> T | None:
        """The next item if one more may be in flight; it then is."""
        if self.in_flight >= self._max_in_flight or not len(self.mailbox):
            return None
        self.in_flight += 1
        return self.mailbox.take()

    def settled(self) -> None:
        """An item in flight was acknowledged or lost."""
        self.in_flight -= 1
