"""``affectstream replay``: a recording through the real rules again, in this process or through real roles."""

import heapq
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

from analytics.recordings.container import Entry, Header, RecordingError
from analytics.recordings.diffing import Difference, compare
from analytics.recordings.frames import FrameDecoder, Frames
from analytics.recordings.reading import Recording
from cli.inferring import infer
from cli.laboratory import FrameLog, FusionProcess, Progress, Writer, messages, own_topics
from dataflows.shard import Message, Shard
from dataflows.warm import compile_all
from runtime.settings import Settings
from schemas.topics import AVATAR_FRAMES, SIGNALS, Topic

BATCH: Final = 4_096


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay gave."""

    source: str
    """signals or media."""
    frames: Frames
    signals: int
    media: int
    seconds: float
    """Of recorded time, from the first capture to the last."""
    session_s: float
    """The same, summed over the sessions."""
    took_s: float
    """In this process: processor time; through roles: time on the clock."""
    difference: Difference | None
    """To the frames in the recording; None if it holds none."""
    entries: Sequence[Entry] = ()
    """Through roles: the frames, and from media the signals, as they stood in Kafka."""

    @property
    def speedup(self) -> float:
        """Recorded time over the time that it took."""
        return self.seconds / self.took_s if self.took_s > 0 else float("inf")

    @property
    def ok(self) -> bool:
        """From signals the frames must be the recorded ones; from media they are reported."""
        return self.source == "media" or self.difference is None or self.difference.identical

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        return {
            "speedup": round(self.speedup, 1),
            "sha256": self.frames.sha256,
            "from": self.source,
            "frames": len(self.frames),
            "signals": self.signals,
            "media": self.media,
            "recorded_s": round(self.seconds, 3),
            "session_s": round(self.session_s, 3),
            "took_s": round(self.took_s, 4),
            "identical": None if self.difference is None else self.difference.identical,
            "difference": None if self.difference is None else self.difference.keys(),
        }


def replay_in_process(recording: Recording) -> Replayed:
    """Fuse the recording's signals with the shard that production runs; RecordingError if the file is damaged.

    Time is the processor time of reading and fusing, without loading the compiled rules.
    """
    compile_all()
    began_s = time.process_time()
    shards: dict[int, Shard] = {}
    waiting: dict[int, list[Message]] = {}
    taken: dict[int, int] = {}
    frames: dict[bytes, list[bytes]] = {}
    recorded: list[Entry] = []
    signals = 0

    def fuse(partition: int) -> None:
        shard = shards.setdefault(partition, Shard(partition, partition + 1))
        for session, value in shard.step(waiting.pop(partition)).frames:
            frames.setdefault(session, []).append(value)

    for entry in recording.entries():
        if entry.topic == AVATAR_FRAMES:
            recorded.append(entry)
        elif entry.topic == SIGNALS:
            # Other sessions stood between in the log: a shard wants offsets without gaps.
            offset = taken.get(entry.partition, 0)
            taken[entry.partition] = offset + 1
            batch = waiting.setdefault(entry.partition, [])
            batch.append((offset, entry.session_id.encode(), entry.value))
            signals += 1
            if len(batch) >= BATCH:
                fuse(entry.partition)
    for partition in list(waiting):
        fuse(partition)
    took_s = time.process_time() - began_s
    decoder = FrameDecoder()
    made = {decoder.key(value): value for values in frames.values() for value in values}
    found = Frames(made)
    return Replayed(
        "signals", found, signals, 0, *_spans_s(found), took_s, _against(recorded, found),
        [Entry(AVATAR_FRAMES, 0, n, 0, key[0], made[key]) for n, key in enumerate(sorted(made))],
    )  # fmt: skip


def replay_through_roles(
    settings: Settings, recording: Recording, source: str, speed: float, progress: Progress
) -> Replayed:
    """Replay on topics of its own through real roles, ``speed`` times as fast (0: as fast as they go).

    Kafka's own timestamps are now, the records' times are those of the recording. From media, the workers infer at that
    speed, and fusion takes what they said in event order. Raises RecordingError if the recording holds no media where
    they are asked for, VerificationError if a role fails.
    """
    if source == "media" and not recording.has_media:
        raise RecordingError(f"{recording.path} holds no sound or pictures: storing them was not consented")
    entries = list(recording.entries())
    recorded = [entry for entry in entries if entry.topic == AVATAR_FRAMES]
    signals = _in_order([entry for entry in entries if entry.topic == SIGNALS])
    with ExitStack() as stack:
        own = stack.enter_context(own_topics(settings, "replay"))
        fusion = FusionProcess(own)
        stack.callback(fusion.kill)
        fusion.start()
        pieces, took_s = 0, 0.0
        if source == "media":
            inferred = infer(settings, entries, speed, progress)
            signals, pieces, took_s = list(inferred.signals), inferred.pieces, inferred.took_s
            speed = 0.0  # the workers have taken that time
        fusion.wait_working()
        progress("fusing")
        began_s = time.monotonic()
        writer = Writer(own, signals, speed=speed)
        writer.start()
        writer.finish()
        fusion.wait_caught_up()
        took_s += time.monotonic() - began_s
        fusion.stop()
        log = FrameLog(own)
        if log.conflicts:
            raise RecordingError(f"frames stand in the log with different bytes: {log.conflicts[:5]}")
        kept: list[Topic] = [SIGNALS, AVATAR_FRAMES] if source == "media" else [AVATAR_FRAMES]
        given = [_entry(topic, message) for topic in kept for message in messages(own, topic)]
    found = Frames(log.frames, log.repeated)
    return Replayed(
        source, found, len(signals), pieces, *_spans_s(found), took_s, _against(recorded, found),
        sorted(given, key=lambda entry: (entry.topic != SIGNALS, entry.partition, entry.offset)),
    )  # fmt: skip


def _entry(topic: Topic, message: Any) -> Entry:
    key = bytes(message.key() or b"").decode(errors="replace")
    place = int(message.partition() or 0), int(message.offset() or 0)
    return Entry(topic, *place, message.timestamp()[1], key, bytes(message.value() or b""))


def _spans_s(frames: Frames) -> tuple[float, float]:
    """Recorded time from the first frame to the last, and the same of each session, summed."""
    if not frames.values:
        return 0.0, 0.0
    instants = FrameDecoder().channels(list(frames.values.values()))[:, 0] / 1e6
    sessions: dict[str, list[float]] = {}
    for (session, _), at_s in zip(frames.values, instants.tolist(), strict=True):
        sessions.setdefault(session, []).append(at_s)
    return float(instants.max() - instants.min()), sum(max(each) - min(each) for each in sessions.values())


def _against(recorded: Sequence[Entry], found: Frames) -> Difference | None:
    return compare(FrameDecoder().collect(recorded), found) if recorded else None


def _in_order(signals: Sequence[Entry]) -> list[tuple[int, str, bytes]]:
    """(µs, session, value) as they were published: partitions merged, each in its own order."""
    partitions: dict[int, list[tuple[int, int, Entry]]] = {}
    for entry in signals:
        line = partitions.setdefault(entry.partition, [])
        # Publishers' clocks differ: within a partition time never goes back.
        at_ms = max(entry.published_at_ms, line[-1][0] if line else 0)
        line.append((at_ms, entry.partition, entry))
    merged = heapq.merge(*partitions.values(), key=lambda each: each[:2])
    return [(at_ms * 1_000, entry.session_id, entry.value) for at_ms, _, entry in merged]


def header_of(recording: Recording, replayed: Replayed, speed: float) -> Header:
    """The header of a replay's own recording: the replayed one's, and where it comes from."""
    origin = {"recorded_at_us": recording.header.recorded_at_us, "from": replayed.source, "speed": speed or "max"}
    return replace(recording.header, media=False, product=version("affectstream"), replay_of=origin)
