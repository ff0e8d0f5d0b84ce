"""Frames from Kafka to the event loop: one consumer, of the partitions that have viewers and no others."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from egress.backlog import Backlog
from egress.endings import EndReader
from egress.frame_batches import BatchReader, FrameColumns
from egress.frames import Frame
from runtime.clock import Clock
from runtime.kafka import Consumer, KafkaException, Message, Publisher, TopicPartition, consumer
from runtime.ledger import DeadLetterBox
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.topics import murmur2_partition, partition_count
from schemas.codec import Codec, DecodeError
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, CUT_KEY
from schemas.vocabulary import Stage

log = logging.getLogger(__name__)

MAX_BATCH: Final = 1_000
MAX_BATCHES_AHEAD: Final = 4
"""The consumer waits while the event loop has so many batches still to relay."""

REST_S_A_FRAME: Final = 100e-6
REST_LEAST_S: Final = 0.001
REST_MOST_S: Final = 0.004
"""A busy relay reads in turns: after a batch it rests, the longer the more frames came, so that the next one is as
large. Each batch costs two threads a switch to and fro, and few frames cost as much to cut as many. Up to some
thousand frames a second nothing rests; of ten thousand a frame waits for 2 ms on average."""

POLL_S: Final = 0.05
RETRY_S: Final = 0.25
REMEMBERED_PARTITIONS: Final = 65_536
"""Of so many sessions the partition is not worked out again whenever the set of watched ones changes."""

WATERMARK_S: Final = 2.0
PRESENT_US: Final = 60_000_000
LAG_EVERY_US: Final = 1_000_000


class _Watched(NamedTuple):
    """Sessions that are watched and what follows from them, so that it is not worked out for every batch."""

    sessions: frozenset[str]
    keys: frozenset[bytes]
    """Of their records."""
    partitions: frozenset[int]


class Relay:
    """Reads ``avatar.frames``, and the ends of sessions, in a thread of its own, from the end of each partition on.

    ``deliver`` is called in the event loop with the frames of watched sessions, in log order; ``ended`` with each
    session of their partitions that the edge says is over, which may be a moment before its last frames are there.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        publisher: Publisher,
        *,
        deliver: Callable[[FrameColumns | Sequence[Frame]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lag_shown_us = 0
        self._topic = settings.topic(AVATAR_FRAMES)
        self._events = settings.topic(CLIENT_EVENTS)
        self._metrics = metrics
        self._deliver = deliver
        self._ended = ended
        self._codec = Codec()
        self._reader = BatchReader(self._codec)
        self._ends = EndReader(self._codec)
        self._dead_letters = DeadLetterBox(publisher, self._codec, clock, Stage.EGRESS, metrics)
        self._loop = asyncio.get_running_loop()
        self._partitions = 0
        self._partition = lru_cache(REMEMBERED_PARTITIONS)(
            lambda session_id: murmur2_partition(session_id.encode(), self._partitions)
        )
        self._watched: frozenset[str] = frozenset()
        self._surveying = False
        self._newest_ms: dict[str, int] = {}
        self._assigned: set[int] = set()
        self._derived = _Watched(self._watched, frozenset(), frozenset())
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ahead = threading.BoundedSemaphore(MAX_BATCHES_AHEAD)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._backlog = Backlog()

    def start(self) -> None:
        """Start reading; raises BrokerError if the topic is not there."""
        self._partitions = partition_count(self._settings, AVATAR_FRAMES)
        self._partition.cache_clear()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def watch(self, sessions: Iterable[str]) -> None:
        """Relay these sessions and no others from now on."""
        self._watched = frozenset(sessions)
        self._wake.set()

    def survey(self, *, on: bool) -> None:
        """Whether to note every session that has frames, whoever watches; that needs every partition."""
        self._surveying = on
        self._wake.set()

    def present(self, now_us: int) -> dict[str, int]:
        """When each session's newest frame was published, ms since the epoch, those of the last minute; see survey."""
        since_ms = (now_us - PRESENT_US) // 1_000
        with self._lock:
            self._newest_ms = {name: at_ms for name, at_ms in self._newest_ms.items() if at_ms >= since_ms}
            return dict(self._newest_ms)

    async def reading(self, session_id: str) -> None:
        """Return once every frame of ``session_id`` that is published from now on will be relayed; watch it first."""
        done: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting.append((self._partition(session_id), done))
        self._wake.set()
        await done

    # The thread.

    def _run(self) -> None:
        try:
            source = consumer(self._settings, f"egress-{self._settings.instance}", auto_offset_reset="latest")
            try:
                while not self._stop.is_set():
                    try:
                        self._assign(source)
                    except KafkaException as error:
                        log.warning("partitions of %s cannot be taken up, trying again: %s", self._topic, error)
                        self._stop.wait(RETRY_S)
                    if self._assigned:
                        rest_s = min(self._relay(source.poll(POLL_S), source) * REST_S_A_FRAME, REST_MOST_S)
                        self._show_lag(source)
                        if rest_s >= REST_LEAST_S:
                            time.sleep(rest_s)
                    else:
                        self._wake.wait(1.0)
                    self._wake.clear()
            finally:
                source.close()
        except Exception as error:
            log.exception("the relay failed")
            self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    def _assign(self, source: Consumer) -> None:
        wanted = self._partitions_wanted()
        if wanted == self._assigned and not self._waiting:
            return
        topics = (self._topic, self._events)
        dropped = [TopicPartition(topic, partition) for partition in self._assigned - wanted for topic in topics]
        if dropped:
            source.incremental_unassign(dropped)
            for partition in self._assigned - wanted:
                self._metrics.forget("lag_records", topic=AVATAR_FRAMES, partition=str(partition))
            self._assigned &= wanted
        added = []
        for partition in wanted - self._assigned:
            for topic in topics:
                # The end is asked for now, so that nothing published from here on is missed; a record read twice is
                # recognised by its sequence.
                _, high = source.get_watermark_offsets(TopicPartition(topic, partition), timeout=WATERMARK_S)
                added.append(TopicPartition(topic, partition, high))
        if added:
            source.incremental_assign(added)
            for partition in wanted - self._assigned:
                self._metrics.set("lag_records", 0, topic=AVATAR_FRAMES, partition=str(partition))
        self._assigned = set(wanted)
        with self._lock:
            ready = [done for partition, done in self._waiting if partition in wanted]
            self._waiting = [(partition, done) for partition, done in self._waiting if partition not in wanted]
        if ready:
            self._loop.call_soon_threadsafe(_resolve, ready)

    def _show_lag(self, source: Consumer) -> None:
        """Frames that wait at the broker, by partition; the series are those of the partitions that are read."""
        now_us = self._clock.now_us()
        if now_us - self._lag_shown_us < LAG_EVERY_US:
            return
        self._lag_shown_us = now_us
        try:
            for place in source.position([TopicPartition(self._topic, partition) for partition in self._assigned]):
                _, high = source.get_watermark_offsets(place, cached=True)
                if place.offset >= 0 and high >= 0:
                    waiting = max(0, high - place.offset)
                    self._metrics.set("lag_records", waiting, topic=AVATAR_FRAMES, partition=str(place.partition))
        except KafkaException as error:
            log.debug("the lag is not known for now: %s", error)

    def _partitions_wanted(self) -> frozenset[int]:
        if self._surveying:
            return frozenset(range(self._partitions))
        return self._interest().partitions

    def _interest(self) -> _Watched:
        watched = self._watched
        if self._derived.sessions is not watched:
            keys = frozenset(session_id.encode() for session_id in watched)
            self._derived = _Watched(watched, keys, frozenset(map(self._partition, watched)))
        return self._derived

    def _relay(self, first: Message | None, source: Consumer) -> int:
        """Relay what has come; returns how many frames that was."""
        if first is None:
            return 0
        watched = self._interest().keys
        messages: list[Message] = []
        for message in (first, *source.consume(MAX_BATCH, 0)):
            if message.topic() == self._events:
                self._read_event(message)
            elif message.error() is not None:
                log.warning("reading %s: %s", self._topic, message.error())
            else:
                key = message.key()
                if self._surveying and isinstance(key, bytes) and key != CUT_KEY:
                    with self._lock:
                        self._newest_ms[key.decode(errors="replace")] = message.timestamp()[1]
                if key in watched:
                    messages.append(message)
        batch = self._read(messages)
        if batch:
            self._metrics.count("records_in_total", len(batch), topic=AVATAR_FRAMES)
            read_s = self._loop.time()
            while not self._ahead.acquire(timeout=0.1):
                if self._stop.is_set():
                    return 0
            self._loop.call_soon_threadsafe(self._hand_over, batch, read_s)
        return len(batch)

    def _read(self, messages: list[Message]) -> FrameColumns | Sequence[Frame]:
        found = self._reader.read(
            [message.value() for message in messages], [message.timestamp()[1] * 1_000 for message in messages]
        )
        if isinstance(found, FrameColumns):
            return found
        batch: list[Frame] = []
        for frame, message in zip(found, messages, strict=True):
            if isinstance(frame, DecodeError):
                self._dead_letters.put(message, AVATAR_FRAMES, str(frame))
            else:
                batch.append(frame)
        return batch

    def _read_event(self, message: Message) -> None:
        """Look for ends of sessions among what clients say, which is little: their acks, once a second each."""
        if message.error() is None:
            ended = self._ends.ended(message.value())
            if ended:
                self._loop.call_soon_threadsafe(self._ended, ended)

    def _hand_over(self, batch: FrameColumns | Sequence[Frame], read_s: float) -> None:
        try:
            self._deliver(batch)
        finally:
            self._ahead.release()
        sent_s = self._loop.time()
        self._backlog.take(sent_s - read_s, int(sent_s * 1e6))

    def behind_s(self) -> float:
        """How long frames wait for the event loop."""
        return self._backlog.wait_s(int(self._loop.time() * 1e6))

    def has_room(self) -> bool:
        """Whether viewers may come: frames do not wait too long already."""
        return not self._backlog.full(int(self._loop.time() * 1e6))


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
