"""A session's media on its way to the broker: two lanes, each bounded in what waits and in what is in flight."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple, Protocol

from ingest.courier import Courier
from ingest.mailbox import Lane, Mailbox, Overflow
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
    """One modality's items on their way. Acknowledged ones are noted in runs: the edge calls :meth:`tell` for that."""

    __slots__ = ("_lane", "_modality", "_name", "_post", "_progress", "_run", "_session", "_session_id")

    def __init__(
        self, session: Session, modality: Modality, lane: Lane[Item], post: Post, progress: asyncio.Event
    ) -> None:
        self._session = session
        self._session_id = session.session_id
        self._modality = modality
        self._name = modality.value
        self._lane = lane
        self._post = post
        self._progress = progress
        self._run: tuple[int, int] | None = None
        """The first acknowledged item that was not noted, and the one after the last."""

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._lane.mailbox)

    def room(self) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self._lane.mailbox.room()

    def put(self, item: Item) -> None:
        """Take an item; an older picture may make room for it. Raises MailboxFull where there is no room."""
        if self._lane.straight():
            self._send(item)
            return
        replaced = self._lane.mailbox.put(item)
        if replaced is not None:
            self._note(replaced, Outcome.REPLACED_BY_NEWER)
        self._pump()

    def give_up(self, outcome: Outcome) -> int:
        """Drop what waits, with this outcome; returns how many items that was."""
        dropped = self._lane.mailbox.empty()
        for item in dropped:
            self._note(item, outcome)
        return len(dropped)

    def tell(self) -> None:
        """Note the acknowledged items that were not noted yet."""
        if self._run is not None:
            (first, beyond), self._run = self._run, None
            self._post.note(self._session_id, self._name, Outcome.USED, first, beyond - first)

    def _send(self, item: Item) -> None:
        post = self._post
        value = item.value(post.clock.now_us())
        try:
            post.courier.send(item.topic, self._session_id, value, partial(self._delivered, item))
        except QueueFull:
            self._lane.settled()
            self._note(item, Outcome.BROKER_UNAVAILABLE)

    def _delivered(self, item: Item, acknowledged: bool) -> None:
        lane = self._lane
        lane.settled()
        if acknowledged:
            self._session.acknowledged[self._modality] = item.sequence
            self._used(item.sequence)
        else:
            self._note(item, Outcome.BROKER_UNAVAILABLE)
        self._progress.set()
        self._pump()

    def _pump(self) -> None:
        while (waiting := self._lane.next_to_send()) is not None:
            self._send(waiting)

    def _used(self, sequence: int) -> None:
        run = self._run
        if run is None:
            self._post.untold.append(self)
            self._run = sequence, sequence + 1
        elif run[1] == sequence:
            self._run = run[0], sequence + 1
        else:
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
        video: Lane[Item]
        if session.grant.timeline == "recorded":
            # Nobody watches a recording live: every picture counts, and the sender waits.
            video = Lane(Mailbox(RECORDED_VIDEO_WAITING, Overflow.WAIT), RECORDED_VIDEO_IN_FLIGHT)
        else:
            video = Lane(Mailbox(VIDEO_WAITING, Overflow.KEEP_NEWEST), VIDEO_IN_FLIGHT)
        audio: Lane[Item] = Lane(Mailbox(AUDIO_WAITING, Overflow.WAIT), AUDIO_IN_FLIGHT)
        self.ways: Mapping[Modality, Way] = {
            Modality.SPEECH: Way(session, Modality.SPEECH, audio, post, self.progress),
            Modality.FACE: Way(session, Modality.FACE, video, post, self.progress),
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
