"""A session's media on its way to the broker: two lanes, each bounded in what waits and in what is in flight."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

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


@dataclass(frozen=True, slots=True)
class Item:
    """A chunk, picture or features that were taken; ``value`` makes the record's bytes from its ``ingested_at_us``."""

    modality: Modality
    sequence: int
    topic: Topic
    value: Callable[[int], bytes]


class Outbox:
    """Outlives a connection: what was taken is delivered. Used in the event loop's thread only.

    ``progress`` is set whenever something was settled, so that a reader that waits for room looks again.
    """

    def __init__(self, session: Session, courier: Courier, clock: Clock, note: Note) -> None:
        self._session = session
        self._courier = courier
        self._clock = clock
        self._note = note
        self.progress = asyncio.Event()
        video: Lane[Item]
        if session.grant.timeline == "recorded":
            # Nobody watches a recording live: every picture counts, and the sender waits.
            video = Lane(Mailbox(RECORDED_VIDEO_WAITING, Overflow.WAIT), RECORDED_VIDEO_IN_FLIGHT)
        else:
            video = Lane(Mailbox(VIDEO_WAITING, Overflow.KEEP_NEWEST), VIDEO_IN_FLIGHT)
        self._lanes: Mapping[Modality, Lane[Item]] = {
            Modality.SPEECH: Lane(Mailbox(AUDIO_WAITING, Overflow.WAIT), AUDIO_IN_FLIGHT),
            Modality.FACE: video,
        }

    def room(self, modality: Modality) -> bool:
        """Whether :meth:`put` takes an item now."""
        return self._lanes[modality].mailbox.room()

    def empty(self) -> bool:
        """Whether nothing waits, of any modality: what is put then leaves behind everything put before."""
        return not any(len(lane.mailbox) for lane in self._lanes.values())

    def put(self, item: Item) -> None:
        """Take an item; an older picture may make room for it. Raises MailboxFull where there is no room."""
        replaced = self._lanes[item.modality].mailbox.put(item)
        if replaced is not None:
            self._settle(replaced, Outcome.REPLACED_BY_NEWER)
        self._pump(self._lanes[item.modality])

    def give_up(self, modality: Modality, outcome: Outcome) -> int:
        """Drop what waits, with this outcome; returns how many items that was."""
        dropped = self._lanes[modality].mailbox.empty()
        for item in dropped:
            self._settle(item, outcome)
        return len(dropped)

    def _pump(self, lane: Lane[Item]) -> None:
        while (item := lane.next_to_send()) is not None:
            value = item.value(self._clock.now_us())
            try:
                self._courier.send(item.topic, self._session.session_id, value, partial(self._delivered, item))
            except QueueFull:
                lane.settled()
                self._settle(item, Outcome.BROKER_UNAVAILABLE)

    def _delivered(self, item: Item, acknowledged: bool) -> None:
        lane = self._lanes[item.modality]
        lane.settled()
        if acknowledged:
            self._session.acknowledged[item.modality] = item.sequence
        self._settle(item, Outcome.USED if acknowledged else Outcome.BROKER_UNAVAILABLE)
        self.progress.set()
        self._pump(lane)

    def _settle(self, item: Item, outcome: Outcome) -> None:
        self._note(self._session.session_id, item.modality.value, outcome, item.sequence)
