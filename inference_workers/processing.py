"""What a worker and what it runs promise each other. Pure of Kafka, which a processor need not know.

The worker (:mod:`inference_workers.worker`) takes records and hands them to a :class:`Processor`, which says through an
:class:`Outbox` what came of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from runtime.sealed_media import Media
from schemas.records import Payload
from schemas.vocabulary import Outcome

R_co = TypeVar("R_co", bound=Media, covariant=True)
R_contra = TypeVar("R_contra", bound=Media, contravariant=True)


@dataclass(frozen=True, slots=True)
class Taken(Generic[R_co]):
    """A record, where it stood in the log, and when the worker took it.

    ``accounted``: an earlier run of this worker has put the record's outcome in the ledger; it is read again only to
    warm up state (:meth:`Processor.needed_from`).
    """

    record: R_co
    partition: int
    offset: int
    consumed_at_us: int
    accounted: bool = False


class Outbox(Protocol):
    """Where a processor puts what came of its records. Nothing blocks but for a full producer queue."""

    def signal(
        self, item: Taken[Media], *, sequence: int, captured_at_us: int, payload: Payload, source: str = ""
    ) -> None:
        """Publish a signal; ``item`` lends session and hop stamps, ``inferred_at_us`` is stamped here.

        ``source``: the engine that answered, if it is not the worker's own.
        """
        ...

    def account(self, item: Taken[Media], outcome: Outcome) -> None:
        """Say in the ledger what became of a record; nothing if that was said before a restart."""
        ...

    def note(self, session_id: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        """Say in the ledger what became of ``count`` things that are no records, for example gaps."""
        ...

    def dead_letter(self, item: Taken[Media], error: str) -> None:
        """Set a record aside whose content cannot be read. Its media bytes are left out: they may show a person."""
        ...


class Processor(Protocol[R_contra]):
    """What a worker does with its records; pure of Kafka and of clocks. Called from one thread.

    Every record accepted gets exactly one outcome accounted, at the latest in :meth:`settle`; errors of content and of
    the engine are outcomes, not exceptions.
    """

    def room(self) -> int:
        """How many records may be accepted now: the processor's queue is bounded."""
        ...

    def accept(self, item: Taken[R_contra]) -> None:
        """Take a record; never blocks."""
        ...

    def run(self, now_us: int, outbox: Outbox) -> int | None:
        """Do at most one batch of what is due. Returns when more will be due, or None if only a record brings work."""
        ...

    def needed_from(self, partition: int) -> int | None:
        """The oldest offset that a restarted worker must read again; None: nothing before what was accepted last.

        Must not stand still for ever: a session that has fallen silent lets go of its records.
        """
        ...

    def settle(self, now_us: int, outbox: Outbox) -> None:
        """Give every accepted record its outcome now, inferring what waits for its batch.

        Called before each checkpoint, about once a second, and when the worker stops or loses partitions.
        """
        ...

    def forget(self, partitions: Sequence[int]) -> None:
        """Free the state of sessions in these partitions: another worker has them now."""
        ...

    def erase(self, gone: Callable[[str], bool], outbox: Outbox) -> None:
        """Free the state of sessions of which ``gone`` says so, and what waits of them, accounted as erased."""
        ...
