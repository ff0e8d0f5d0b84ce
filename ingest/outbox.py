"""A session's media on its way to the broker: two ways, each bounded in what waits and in what is in flight."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple, Protocol

from ingest.courier import Courier
from ingest.mailbox import Mailbox, Overflow
from ingest.sessions import Session
from runtime.clock import Clock
from runtime.errors import QueueFull
from schemas.topics import Topic
from schemas.vocabulary import Modality, Outcome

AUDIO_WAITING: Final = 64
AUDIO_IN_FLIGHT: Final = 64
VIDEO_WAITING: Final = 1
VIDEO_IN_FLIGHT: Final = 8
RECORDED_VIDEO_WAITING: Final = 32
RECORDED_VIDEO_IN_FLIGHT: Final = 32


class Note(Protocol):
    """Where outcomes are noted."""

    def __call__(self, session_id: str, modality: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        """Note an outcome."""
        ...


class Item(NamedTuple):
    """A chunk, picture or features that were taken; ``value`` makes the record's bytes from its ``ingested_at_us``."""

    modality: Modality
    sequence: int
    topic: Topic
    value: Callable[[int], bytes]


class Post(NamedTuple):
    """What all outboxes of an edge share."""

    courier: Courier
    clock: Clock
    note: Note
    untold: "list[Way]"
    """Ways with acknowledged items that were not noted yet: see :meth:`Way.tell`."""


class Way:
    """One modality's items on their way: some wait, and of those the broker's client holds at most ``most`` in flight.

    Acknowledged ones are noted in runs: the edge calls :meth:`tell` for that.
    """

    __slots__ = (
        "_in_flight", "_items", "_modality", "_most", "_name", "_post", "_progress", "_run", "_session", "_session_id",
        "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        modality: Modality,
        waiting: Mailbox[Item],
        post: Post,
        progress: asyncio.Event,
        *,
        most: int,
    ) -> None:
        self._session = session
        self._session_id = session.session_id
        self._modality = modality
        self._name = modality.value
        self._waiting = waiting
        self._items = waiting.items
        self._in_flight = 0
        self._most = most
        self._post = post
        self._progress = progress
        self._run: tuple[int, int] | None = None
        """The first acknowledged item that was not noted, and the one after the last."""

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def room(self) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self._waiting.room()

    def free(self) -> bool:
        """Whether an item that is put now does not wait."""
        return not self._items and self._in_flight < self._most

    def put(self, item: Item) -> None:
        """Take an item; an older picture may make room for it. Raises MailboxFull where there is no room."""
        if not self._items and self._in_flight < self._most:
            self._send(item)
            return
        replaced = self._waiting.put(item)
        if replaced is not None:
            self._note(replaced, Outcome.REPLACED_BY_NEWER)
        self._pump()

    def give_up(self, outcome: Outcome) -> int:
        """Drop what waits, with this outcome; returns how many items that was."""
        dropped = self._waiting.empty()
        for item in dropped:
            self._note(item, outcome)
        return len(dropped)

    def tell(self) -> None:
        """Note the acknowledged items that were not noted yet."""
        if self._run is not None:
            (first, beyond), self._run = self._run, None
            self._post.note(self._session_id, self._name, Outcome.USED, first, beyond - first)

    def _pump(self) -> None:
        while self._items and self._in_flight < self._most:
            item = self._waiting.take()
            assert item is not None
            self._send(item)

    def _send(self, item: Item) -> None:
        post = self._post
        self._in_flight += 1
        value = item.value(post.clock.now_us())
        try:
            post.courier.send(item.topic, self._session_id, value, partial(self._delivered, item.sequence))
        except QueueFull:
            self._in_flight -= 1
            self._note(item, Outcome.BROKER_UNAVAILABLE)

    def _delivered(self, sequence: int, acknowledged: bool) -> None:
        self._in_flight -= 1
        if acknowledged:
            self._session.acknowledged[self._modality] = sequence
            run = self._run
            if run is not None and run[1] == sequence:
                self._run = run[0], sequence + 1
            else:
                self._begin_run(sequence)
        else:
            self._post.note(self._session_id, self._name, Outcome.BROKER_UNAVAILABLE, sequence)
        self._progress.set()
        if self._items:
            self._pump()

    def _begin_run(self, sequence: int) -> None:
        if self._run is None:
            self._post.untold.append(self)
        self.tell()
        self._run = sequence, sequence + 1

    def _note(self, item: Item, outcome: Outcome) -> None:
        self._post.note(self._session_id, self._name, outcome, item.sequence)


class Outbox:
    """Outlives a connection: what was taken is delivered. Used in the event loop's thread only.

    ``progress`` is set whenever something was settled, so that a reader that waits for room looks again.
    """

    def __init__(self, session: Session, post: Post) -> None:
        self.progress = asyncio.Event()
        if session.grant.timeline == "recorded":
            # Nobody watches a recording live: every picture counts, and the sender waits.
            waiting: Mailbox[Item] = Mailbox(RECORDED_VIDEO_WAITING, Overflow.WAIT)
            most = RECORDED_VIDEO_IN_FLIGHT
        else:
            waiting, most = Mailbox(VIDEO_WAITING, Overflow.KEEP_NEWEST), VIDEO_IN_FLIGHT
        sound: Mailbox[Item] = Mailbox(AUDIO_WAITING, Overflow.WAIT)
        self.ways: Mapping[Modality, Way] = {
            Modality.SPEECH: Way(session, Modality.SPEECH, sound, post, self.progress, most=AUDIO_IN_FLIGHT),
            Modality.FACE: Way(session, Modality.FACE, waiting, post, self.progress, most=most),
        }

    def room(self, modality: Modality) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self.ways[modality].room()

    def empty(self) -> bool:
        """Whether nothing waits, of any modality: what is put then leaves behind everything put before."""
        return not any(len(way) for way in self.ways.values())

    def put(self, item: Item) -> None:
        """Take an item; an older picture may make room for it. Raises MailboxFull where there is no room."""
        self.ways[item.modality].put(item)

    def give_up(self, modality: Modality, outcome: Outcome) -> int:
        """Drop what waits, with this outcome; returns how many items that was."""
        return self.ways[modality].give_up(outcome)
