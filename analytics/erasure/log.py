"""What Kafka's log holds of sessions that are to be erased: finding it, carrying others' records over, cutting it."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from analytics.erasure.wanted import Wanted
from runtime.clock import Clock
from runtime.errors import BrokerError
from runtime.kafka import KafkaException, Message, Publisher, TopicPartition, committed_offsets, consumer
from runtime.kept import keep
from runtime.keystore import KeyRing
from runtime.settings import Settings
from runtime.topics import offset_ranges
from schemas.codec import Codec, DecodeError
from schemas.records import SessionEnded, SessionStarted, Signal
from schemas.topics import (
    AVATAR_FRAMES,
    CLIENT_EVENTS,
    DEAD_LETTERS,
    KEPT,
    LEDGER,
    MEDIA_AUDIO,
    MEDIA_VIDEO,
    SIGNALS,
    Topic,
)

Place = tuple[Topic, int]

SEARCHED: Final[tuple[Topic, ...]] = (
    SIGNALS, AVATAR_FRAMES, CLIENT_EVENTS, LEDGER, DEAD_LETTERS, MEDIA_AUDIO, MEDIA_VIDEO,
)  # fmt: skip
CARRIED: Final[frozenset[Topic]] = frozenset({SIGNALS, AVATAR_FRAMES, CLIENT_EVENTS, MEDIA_AUDIO, MEDIA_VIDEO})
"""What `affectstream record` reads. Of the ledger, ClickHouse has every entry; of dead letters, where and why."""
READERS: Final[Mapping[Topic, str]] = {
    SIGNALS: "fusion",
    MEDIA_AUDIO: "speech-worker",
    MEDIA_VIDEO: "face-worker",
}
"""Consumer groups that must have taken a record before it may go."""
QUIET_S: Final = 3.0
"""No record of the sessions for so long: whoever writes has heard of their end. Each writes once a second at least."""
MOST_S: Final = 20.0
READ_AT_ONCE: Final = 10_000
READ_S: Final = 0.2
ASK_S: Final = 0.2


@dataclass(slots=True)
class Found:
    """What is in the log of the wanted sessions."""

    ends: dict[Place, int] = field(default_factory=dict)
    """By partition: the offset behind the last record that is to go."""
    records: Counter[str] = field(default_factory=Counter)
    """How many, by topic."""
    running: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Sessions without an end: by digest their id, and the newest instant of their signals."""
    names: dict[str, str] = field(default_factory=dict)
    """Ids by digest."""


def search(
    settings: Settings, codec: Codec, wanted: Wanted, *, end: Callable[[str, int], None], stopped: Callable[[], bool]
) -> Found:
    """Read the log to its end and on, until nothing of the sessions has come for :data:`QUIET_S`, or :data:`MOST_S`.

    ``end`` is told of sessions that go on although they are to be erased, by id and newest instant, once. Blocks.
    Raises BrokerError.
    """
    found = Found()
    over: set[str] = set()
    behind: dict[tuple[str, int], int] = {}
    topics: dict[str, Topic] = {}
    places = []
    for topic in SEARCHED:
        name = settings.topic(topic)
        topics[name] = topic
        for partition, (low, high) in offset_ranges(settings, topic).items():
            places.append(TopicPartition(name, partition, low))
            if high > low:
                behind[name, partition] = high
    reader = consumer(settings, "erasure", fetch_wait_max_ms=50, queued_min_messages=50_000)
    try:
        reader.assign(places)
        began_s = newest_s = time.monotonic()
        caught_up_s = 0.0
        told = False
        while not stopped():
            for message in reader.consume(READ_AT_ONCE, READ_S):
                if message.error() is not None:
                    continue
                name, partition, offset = (
                    str(message.topic()),
                    int(message.partition() or 0),
                    int(message.offset() or 0),
                )
                if behind.get((name, partition), 0) and offset + 1 >= behind[name, partition]:
                    del behind[name, partition]
                key = message.key() or b""
                topic = topics[name]
                digest = wanted.takes(topic, key, message.value()) if isinstance(key, bytes) else None
                if digest is None:
                    continue
                newest_s = time.monotonic()
                found.ends[topic, partition] = offset + 1
                found.records[topic] += 1
                found.names[digest] = key.decode(errors="replace")
                if topic == SIGNALS and wanted.whole(digest):
                    _follow(found, over, codec, digest, message)
            now_s = time.monotonic()
            if behind:
                if now_s - newest_s > 60.0 and now_s - began_s > 60.0:
                    raise BrokerError(f"the log could not be read to its end: {sorted(behind)[:3]}")
                newest_s = max(newest_s, now_s - QUIET_S)
                continue
            caught_up_s = caught_up_s or now_s
            if not told and found.running and now_s - caught_up_s > QUIET_S:
                # The edge that has it ends it within a second or two; what no edge holds is ended here.
                told = True
                newest_s = now_s
                for name, newest_us in list(found.running.values()):
                    end(name, newest_us)
            if now_s - newest_s >= QUIET_S or now_s - caught_up_s > MOST_S:
                return found
        return found
    finally:
        reader.close()


def _follow(found: Found, over: set[str], codec: Codec, digest: str, message: Message) -> None:
    try:
        signal = codec.decode(Signal, message.value())
    except DecodeError:
        return
    if isinstance(signal.payload, SessionEnded):
        over.add(digest)
        found.running.pop(digest, None)
    elif digest not in over and (digest in found.running or isinstance(signal.payload, SessionStarted)):
        newest = max(signal.captured_at_us, found.running.get(digest, ("", 0))[1])
        found.running[digest] = (signal.session_id, newest)


def unread(settings: Settings, ends: Mapping[Place, int], *, deadline_s: float, stopped: Callable[[], bool]) -> str:
    """Wait until fusion and the workers have taken what is to go; who has not, or an empty string.

    A worker that never ran, or does not come to it, is not waited for: what it would read cannot be opened any more.
    """
    until = time.monotonic() + deadline_s
    while True:
        waiting = {place: end for place, end in ends.items() if place[0] == SIGNALS}
        positions = _positions(settings, SIGNALS, [number for _, number in waiting])
        late = sorted(number for (_, number), end in waiting.items() if positions[number] < end)
        if not late:
            return ""
        if stopped() or time.monotonic() > until:
            return f"fusion has not come so far in partitions {late}: is it running?"
        time.sleep(ASK_S)  # waits for another process, with a deadline


def ready_media(
    settings: Settings, ends: Mapping[Place, int], *, deadline_s: float, stopped: Callable[[], bool]
) -> list[Place]:
    """The media partitions whose worker has accounted for everything below the end; waits a while for all of them."""
    wanted = [place for place in ends if place[0] in {MEDIA_AUDIO, MEDIA_VIDEO}]
    until = time.monotonic() + deadline_s
    while True:
        ready = _accounted(settings, ends)
        if len(ready) == len(wanted) or stopped() or time.monotonic() > until:
            return ready
        time.sleep(ASK_S)  # waits for another process, with a deadline


def _accounted(settings: Settings, ends: Mapping[Place, int]) -> list[Place]:
    ready: list[Place] = []
    for topic in (MEDIA_AUDIO, MEDIA_VIDEO):
        chosen = {number: end for (name, number), end in ends.items() if name == topic}
        positions = _positions(settings, topic, list(chosen))
        ready += [(topic, number) for number, end in chosen.items() if positions[number] >= end]
    return ready


def _positions(settings: Settings, topic: Topic, partitions: Sequence[int]) -> dict[int, int]:
    """How far the topic's reader has come for good, by partition; -1 where it said nothing."""
    if not partitions:
        return {}
    reader = consumer(settings, READERS[topic], isolation_level="read_uncommitted")
    try:
        places = committed_offsets(reader, [TopicPartition(settings.topic(topic), p) for p in partitions])
    except KafkaException as error:
        raise BrokerError(f"cannot ask how far {READERS[topic]} has come: {error}") from error
    finally:
        reader.close()
    found = {}
    for place in places:
        told = place.metadata or ""
        # Workers commit what they must read again, and say beside it below which offset everything is accounted for.
        found[place.partition] = int(told) if told.isdecimal() else place.offset
    return found


def carry_over(  # noqa: PLR0917 - what the eraser has
    settings: Settings,
    codec: Codec,
    wanted: Wanted,
    keys: KeyRing,
    publisher: Publisher,
    ends: Mapping[Place, int],
    *,
    storable: Collection[str],
) -> Counter[str]:
    """Write what others have below the ends to ``kept``; returns how many records, by topic. Blocks.

    Of media, what sessions have whose raw media may be stored (``storable``). Doing it twice is harmless.
    """
    counts: Counter[str] = Counter()
    for (topic, partition), end in sorted(ends.items()):
        if topic not in CARRIED:
            continue
        media = topic in {MEDIA_AUDIO, MEDIA_VIDEO}
        for message in below(settings, topic, partition, end):
            key, value = message.key() or b"", bytes(message.value() or b"")
            if not isinstance(key, bytes) or wanted.takes(topic, key, value) is not None:
                continue
            session_id = key.decode(errors="replace")
            if media and session_id not in storable:
                continue
            offset, at_ms = int(message.offset() or 0), message.timestamp()[1]
            record = keep(
                keys, session_id, value, topic=topic, partition=partition, offset=offset, published_at_ms=at_ms
            )
            if record is None:
                continue
            until = time.monotonic() + 60.0
            while publisher.queued() > 50_000 and time.monotonic() < until:
                publisher.poll(0.05)
            # It stays as long as it would have stayed.
            publisher.send(KEPT, record.session, codec.encode(record), partition=partition, timestamp_ms=at_ms)
            counts[topic] += 1
    publisher.flush()
    return counts


def below(settings: Settings, topic: Topic, partition: int, end: int) -> Iterator[Message]:
    """The records of a partition below an offset; raises BrokerError if they cannot be read."""
    low, _high = offset_ranges(settings, topic)[partition]
    if low >= end:
        return
    reader = consumer(settings, "erasure", fetch_wait_max_ms=50, queued_min_messages=50_000)
    try:
        reader.assign([TopicPartition(settings.topic(topic), partition, low)])
        until = time.monotonic() + 60.0
        while True:
            batch = reader.consume(READ_AT_ONCE, READ_S)
            if batch:
                until = time.monotonic() + 60.0
            elif time.monotonic() > until:
                raise BrokerError(f"{topic}[{partition}] could not be read up to {end}")
            for message in batch:
                if message.error() is not None:
                    continue
                if int(message.offset() or 0) < end:
                    yield message
                if int(message.offset() or 0) + 1 >= end:
                    return
    finally:
        reader.close()


def ended_signal(clock: Clock, session_id: str, newest_us: int) -> Signal:
    """The end of a session that nobody else ends."""
    now_us = clock.now_us()
    return Signal(
        captured_at_us=newest_us,
        received_at_us=now_us,
        ingested_at_us=now_us,
        consumed_at_us=now_us,
        inferred_at_us=now_us,
        payload=SessionEnded("deleted"),
        sequence=0,
        session_id=session_id,
        source="analytics",
    )
