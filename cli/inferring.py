"""What the workers say of recorded sound and pictures: real workers, real Kafka, topics of their own.

One worker may be far ahead of the other, the more so the faster media come. What they said is therefore put into event
order before anybody fuses it: then frames are a function of the media and the engines, and not of who was quicker.
"""

import heapq
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final

from analytics.recordings.container import Entry, RecordingError
from cli.laboratory import Child, Progress, messages, own_topics
from cli.ports import free_ports
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec, DecodeError
from schemas.records import AudioChunk, LedgerEntry, SessionEnded, SessionStarted, Signal, VideoFrame
from schemas.topics import LEDGER, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS, Topic
from schemas.vocabulary import Stage

WORKERS: Final = {
    MEDIA_AUDIO: ("speech-worker", Stage.SPEECH_WORKER.value),
    MEDIA_VIDEO: ("face-worker", Stage.FACE_WORKER.value),
}
WORKED_DEADLINE_S: Final = 3_600.0
ASK_S: Final = 0.3
CLIENT: Final = "client:"
"""What a source begins with that no worker made: features of an on-device client."""

TimedSignal = tuple[int, str, bytes]
"""µs, session, value."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """What came of the media."""

    signals: Sequence[TimedSignal]
    """With the sessions' starts, requests and ends, in event order."""
    pieces: int
    """Of media."""
    took_s: float
    """On the clock."""


def infer(settings: Settings, entries: Sequence[Entry], speed: float, progress: Progress) -> Inferred:
    """Infer anew, ``speed`` times as fast as the media were published (0: as fast as the workers go).

    Raises VerificationError if a worker fails, RecordingError if one does not account for everything.
    """
    media = _media(entries)
    with ExitStack() as stack:
        own = stack.enter_context(own_topics(settings, "infer"))
        workers = [_worker(own, topic) for topic in WORKERS if any(piece[1] == topic for piece in media)]
        for worker in workers:
            stack.callback(worker.kill)
            worker.start()
        for worker in workers:
            worker.wait_until(lambda own=worker: _is_ready(own), "ready")  # type: ignore[misc]
        progress(f"inferring: {len(media)} pieces of media")
        began_s = time.monotonic()
        _publish(own, media, speed)
        _wait_worked(own, media, workers)
        took_s = time.monotonic() - began_s
        said = _read((_text(m.key()), bytes(m.value() or b"")) for m in messages(own, SIGNALS))
    given = _read((entry.session_id, entry.value) for entry in entries if entry.topic == SIGNALS)
    # What no worker made stays: starts, requests and ends, and the features of on-device clients.
    kept = [each for each in given if each[1].source == "ingest" or each[1].source.startswith(CLIENT)]
    return Inferred(in_event_order([*kept, *said]), len(media), took_s)


def _text(key: Any) -> str:
    return bytes(key or b"").decode(errors="replace")


def _read(values: Iterable[tuple[str, bytes]]) -> list[tuple[str, Signal, bytes]]:
    """Session, signal and its bytes; what is no signal is left out."""
    codec = Codec()
    found = []
    for session, value in values:
        with suppress(DecodeError):
            found.append((session, codec.decode(Signal, value), value))
    return found


def in_event_order(signals: Iterable[tuple[str, Signal, bytes]]) -> list[TimedSignal]:
    """Signals with session and bytes in the order of capture, each session's start first and its end last.

    What was captured at one instant stands in the order of kind and sequence, so the order is the same whoever wrote
    first.
    """
    sessions: dict[str, list[tuple[int, int, str, int, bytes]]] = {}
    for session, signal, value in signals:
        rank = {SessionStarted: 0, SessionEnded: 2}.get(type(signal.payload), 1)
        kind = type(signal.payload).__name__
        sessions.setdefault(session, []).append((rank, signal.captured_at_us, kind, signal.sequence, value))
    lines = []
    for session, found in sorted(sessions.items()):
        found.sort()
        # Sound from just before the start does not come before it, and the end comes after everything.
        instants = accumulate((each[1] for each in found), max)
        lines.append([(at_us, session, each[-1]) for at_us, each in zip(instants, found, strict=True)])
    return list(heapq.merge(*lines, key=lambda each: each[:2]))


def _media(entries: Sequence[Entry]) -> list[tuple[int, Topic, Entry]]:
    """(µs, topic, entry) of sound and pictures as they were published.

    Their stamps say that they were received before they were captured, which is how workers know recordings: nothing
    is given up because it waits.
    """
    codec = Codec()
    found: list[tuple[int, Topic, Entry]] = []
    kinds: Mapping[Topic, type[AudioChunk | VideoFrame]] = {MEDIA_AUDIO: AudioChunk, MEDIA_VIDEO: VideoFrame}
    for topic, cls in kinds.items():
        for entry in entries:
            if entry.topic != topic:
                continue
            try:
                piece: AudioChunk | VideoFrame = codec.decode(cls, entry.value)
            except DecodeError:
                value = entry.value
            else:
                before_us = piece.captured_at_us - 1
                value = codec.encode(replace(piece, received_at_us=before_us, ingested_at_us=before_us))
            found.append((entry.published_at_ms * 1_000, topic, replace(entry, value=value)))
    return sorted(found, key=lambda piece: piece[0])


def _worker(settings: Settings, topic: Topic) -> Child:
    name, _ = WORKERS[topic]
    (port,) = free_ports(1)
    return Child(settings.model_copy(update={"metrics_port": port}), name, ["cli", "run", name])


def _is_ready(worker: Child) -> bool:
    try:
        url = f"http://127.0.0.1:{worker.settings.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=1.0) as answer:
            return f'affectstream_role_ready{{role="{worker.name}"}} 1.0'.encode() in answer.read()
    except (urllib.error.URLError, OSError):
        return False


def _publish(settings: Settings, media: Sequence[tuple[int, Topic, Entry]], speed: float) -> None:
    """Write media at their times."""
    publisher = Publisher(settings, linger_ms=2.0)
    begun_s = time.monotonic()
    for at_us, topic, entry in media:
        if speed:
            wait_s = begun_s + (at_us - media[0][0]) / 1e6 / speed - time.monotonic()
            if wait_s > 0:
                publisher.poll()
                time.sleep(wait_s)
        publisher.send_waiting(topic, entry.session_id, entry.value)
    publisher.flush()


def _wait_worked(settings: Settings, media: Sequence[tuple[int, Topic, Entry]], workers: Sequence[Child]) -> None:
    """Return once the ledger says what became of every piece."""
    codec = Codec()
    counts = {stage: sum(piece[1] == topic for piece in media) for topic, (_, stage) in WORKERS.items()}

    def done() -> bool:
        found = dict.fromkeys(counts, 0)
        for message in messages(settings, LEDGER):
            entry = codec.decode(LedgerEntry, message.value())
            if entry.stage in found and entry.first_sequence >= 0:
                found[entry.stage] += entry.count
        return all(found[stage] >= count for stage, count in counts.items())

    until = time.monotonic() + WORKED_DEADLINE_S
    while not done():
        for worker in workers:
            worker.require_running()
        if time.monotonic() > until:
            raise RecordingError(f"the workers did not account for all media within {WORKED_DEADLINE_S:g} s")
        time.sleep(ASK_S)
