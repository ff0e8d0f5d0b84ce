"""Micro-batches across sessions, and keep-newest for what comes too late. Pure: time is an argument."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch is ready, and when waiting items are stale.

    ``capacity``: items that may wait in all; whoever feeds the batcher takes no more than :meth:`MicroBatcher.room`.
    ``stale_after_us``: once a session's waiting items span more arrival time than this, only its newest is kept.
    """

    max_batch: int
    max_wait_us: int
    stale_after_us: int
    capacity: int


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    arrived_at_us: int
    taken_at_us: int
    lossless: bool


@dataclass(slots=True)
class MicroBatcher(Generic[T]):
    """Collects items of many sessions; a batch holds at most one of each session, the longest waiting first.

    So a session's items are inferred in their order, and a busy session cannot starve the others.

    Staleness is judged on one clock, the edge's: an item is stale if the same session has a much newer one waiting.
    While the worker keeps up nothing waits, so nothing is stale; behind, each session goes on with its newest item, and
    what is let go of is told. Items marked lossless are never stale: the feed waits for them instead.
    """

    policy: BatchPolicy
    _queues: dict[Hashable, deque[_Waiting[T]]] = field(default_factory=dict)
    _size: int = 0

    def __len__(self) -> int:
        return self._size

    def room(self) -> int:
        """How many more items may be added."""
        return self.policy.capacity - self._size

    def add(
        self, session: Hashable, item: T, *, arrived_at_us: int, taken_at_us: int, lossless: bool = False
    ) -> list[T]:
        """Let an item wait; returns those of its session that have become stale, oldest first."""
        queue = self._queues.setdefault(session, deque())
        queue.append(_Waiting(item, arrived_at_us, taken_at_us, lossless))
        self._size += 1
        if arrived_at_us - queue[0].arrived_at_us <= self.policy.stale_after_us or any(w.lossless for w in queue):
            return []
        newest = queue.pop()
        stale = [waiting.item for waiting in queue]
        queue.clear()
        queue.append(newest)
        self._size -= len(stale)
        return stale

    def due_at_us(self) -> int | None:
        """When the next batch is ready: the past if it is full, None if nothing waits."""
        if not self._queues:
            return None
        if len(self._queues) >= self.policy.max_batch:
            return 0
        return min(queue[0].taken_at_us for queue in self._queues.values()) + self.policy.max_wait_us

    def discard(self, unwanted: Callable[[Hashable], bool]) -> list[T]:
        """Let go of what waits of sessions that are unwanted; returns it, in order by session."""
        found = [waiting.item for session, queue in self._queues.items() if unwanted(session) for waiting in queue]
        self._queues = {session: queue for session, queue in self._queues.items() if not unwanted(session)}
        self._size -= len(found)
        return found

    def take(self) -> list[T]:
        """The next batch, whether it is ready or not; empty if nothing waits."""
        longest = sorted(self._queues, key=lambda session: self._queues[session][0].taken_at_us)
        batch = []
        for session in longest[: self.policy.max_batch]:
            queue = self._queues[session]
            batch.append(queue.popleft().item)
            if not queue:
                del self._queues[session]
        self._size -= len(batch)
        return batch
