"""Recordings that no Kafka has seen: signals of a made-up busy log, and the frames of today."""

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

from analytics.recordings.container import Entry, Header, RecordedSession
from analytics.recordings.reading import open_recording
from analytics.recordings.writing import writing
from cli.replaying import replay_in_process
from cli.synthetic import START_US, US, Arrival, synthetic_log
from schemas.codec import Codec, DecodeError
from schemas.records import SessionEnded, SessionStarted, Signal
from schemas.topics import AVATAR_FRAMES, SIGNALS


def write_recording(path: Path, entries: Sequence[Entry], header: Header | None = None) -> Path:
    """A recording of these entries."""
    with writing(path, header or Header("test", START_US, [], [])) as writer:
        for entry in entries:
            writer.add(entry)
    return path


def synthetic_recording(path: Path, arrivals: Sequence[Arrival]) -> None:
    """Signals that Kafka has never seen, and the frames of today."""
    signals = [
        Entry(SIGNALS, 0, n, arrival.at_us // 1_000, arrival.session_id, arrival.value)
        for n, arrival in enumerate(arrivals)
    ]
    header = Header(version("affectstream"), START_US, _sessions(arrivals), ["synthetic@1"])
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw.afr"
        write_recording(raw, signals, header)
        frames = [entry for entry in replay_in_process(open_recording(raw)).entries if entry.topic == AVATAR_FRAMES]
    write_recording(path, [*signals, *frames], header)


def synthetic_arrivals(sessions: int, seconds: float, seed: int) -> list[Arrival]:
    """Some seconds of a busy log, with late, repeated and broken records."""
    until_us = START_US + round(seconds * US)
    return list(takewhile(lambda arrival: arrival.at_us < until_us, synthetic_log(sessions, seed)))


def _sessions(arrivals: Sequence[Arrival]) -> list[RecordedSession]:
    codec, ended = Codec(), set()
    found: dict[str, Signal] = {}
    for arrival in arrivals:
        try:
            signal = codec.decode(Signal, arrival.value)
        except DecodeError:
            continue
        if isinstance(signal.payload, SessionStarted):
            found[signal.session_id] = signal
        elif isinstance(signal.payload, SessionEnded):
            ended.add(signal.session_id)
    return [
        RecordedSession(
            name, signal.captured_at_us, "live", {"mapping": signal.payload.config.mapping},
            {"audio": True, "video": True, "store_raw": False}, ended=name in ended,
        )
        for name, signal in found.items()
    ]  # fmt: skip
