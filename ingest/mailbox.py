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
        self.items: deque[T] = deque()
        """What waits, oldest first; to look at only."""
        self._capacity = capacity
        self._overflow = overflow

    def __len__(self) -> int:
        return len(self.items)

    def room(self) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self._overflow is Overflow.KEEP_NEWEST or len(self.items) < self._capacity

    def put(self, item: T) -> T | None:
        """Add an item; returns the one that made room for it. Raises MailboxFull (overflow WAIT only)."""
        replaced: T | None = None
        if len(self.items) >= self._capacity:
            if self._overflow is Overflow.WAIT:
                raise MailboxFull(f"{self._capacity} items wait")
            replaced = self.items.popleft()
        self.items.append(item)
        return replaced

    def take(self) -> T | None:
        """The oldest item, or None."""
        return self.items.popleft() if self.items else None

    def empty(self) -> list[T]:
        """Take everything, oldest first."""
        items = list(self.items)
        self.items.clear()
        return items
