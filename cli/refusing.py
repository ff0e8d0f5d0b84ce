"""Recorded signals fused again under configurations that they were not recorded with. In this process."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analytics.experiments.tracks import Track, openness_of, track_of_channels
from analytics.recordings.container import EXTENSION, RecordingError
from analytics.recordings.frames import FrameDecoder
from analytics.recordings.reading import Recording, open_recording
from dataflows.shard import Message, Shard
from dataflows.warm import compile_all
from runtime.keystore import KeyStore
from schemas.codec import Codec, DecodeError
from schemas.experiments import Experiment
from schemas.fusion_config import FusionConfig
from schemas.records import SessionStarted, Signal, SpeechSignal
from schemas.topics import SIGNALS


@dataclass(frozen=True, slots=True)
class RecordedSignals:
    """A session's signals as they stood in the log, its start first apart."""

    session_id: str
    started: Signal
    values: Sequence[bytes]
    """All, the start's among them, in log order."""
    start_at: int
    """Where the start stands in ``values``."""
    hops_us: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    openness: "np.ndarray[tuple[int], np.dtype[np.float64]]"

    @classmethod
    def of(cls, session_id: str, values: Sequence[bytes], codec: Codec) -> "RecordedSignals":
        """From what stood in the log; RecordingError without a start. What cannot be read stays in it."""
        return cls._told(session_id, values, [_decoded(codec, value) for value in values])

    @classmethod
    def made(cls, session_id: str, signals: Sequence[Signal], codec: Codec) -> "RecordedSignals":
        """From signals that were never in a log."""
        return cls._told(session_id, [codec.encode(signal) for signal in signals], signals)

    @classmethod
    def _told(cls, session_id: str, values: Sequence[bytes], signals: Sequence[Signal | None]) -> "RecordedSignals":
        started: Signal | None = None
        start_at = 0
        heard: dict[int, Sequence[float]] = {}
        for i, signal in enumerate(signals):
            if signal is None:
                continue
            if isinstance(signal.payload, SessionStarted) and started is None:
                started, start_at = signal, i
            elif isinstance(signal.payload, SpeechSignal):
                heard.setdefault(signal.captured_at_us, signal.payload.viseme_scores)
        if started is None:
            raise RecordingError(f"session {session_id} has no start in the recording: it cannot be fused")
        hops = sorted(heard)
        visemes = np.array([heard[hop] for hop in hops]).reshape(len(hops), -1)
        openness = openness_of(visemes) if hops else np.zeros(0)
        return cls(session_id, started, values, start_at, np.array(hops, np.int64), openness)


def _decoded(codec: Codec, value: bytes) -> Signal | None:
    try:
        return codec.decode(Signal, value)
    except DecodeError:
        return None


def recorded_signals(recording: Recording) -> Iterator[RecordedSignals]:
    """The sessions of a recording; raises RecordingError if the file is damaged."""
    values: dict[str, list[bytes]] = defaultdict(list)
    for entry in recording.of(SIGNALS):
        values[entry.session_id].append(entry.value)
    codec = Codec()
    for session_id, its_values in values.items():
        yield RecordedSignals.of(session_id, its_values, codec)


def fuse_under(config: FusionConfig, sessions: Iterable[RecordedSignals]) -> Mapping[str, Track]:
    """The tracks that the sessions' signals make under ``config``: the shard that production runs fuses them.

    Calibration that a session was given stands; only its configuration is another.
    """
    compile_all()
    codec, decoder = Codec(), FrameDecoder()
    tracks: dict[str, Track] = {}
    for session in sessions:
        payload = session.started.payload
        assert isinstance(payload, SessionStarted)
        start = codec.encode(replace(session.started, payload=replace(payload, config=config, experiment=None)))
        key = session.session_id.encode()
        messages: list[Message] = [
            (n, key, start if n == session.start_at else value) for n, value in enumerate(session.values)
        ]
        found = dict(_keyed(decoder, Shard(0, 1).step(messages).frames))
        order = sorted(found)
        channels = decoder.channels([found[sequence] for sequence in order])
        tracks[session.session_id] = track_of_channels(
            np.array(order, np.int64), channels, session.hops_us, session.openness
        )
    return tracks


def recordings_in(paths: Iterable[Path]) -> list[Path]:
    """The recordings that files and folders name, each once; RecordingError if a folder holds none."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob(f"*{EXTENSION}")) if path.is_dir() else [path]
        if not inside:
            raise RecordingError(f"{path} holds no recording (*{EXTENSION})")
        found += [each for each in inside if each not in found]
    return found


def tracks_under(
    experiment: Experiment, paths: Sequence[Path], progress: Callable[[str], None], keys: KeyStore | None = None
) -> dict[str, dict[str, Track]]:
    """By variant, the tracks of every session in the recordings; a session that stands in two counts once.

    ``keys`` open those that are sealed. Raises RecordingError if a recording cannot be read.
    """
    tracks: dict[str, dict[str, Track]] = {variant.name: {} for variant in experiment.variants}
    for path in paths:
        found = recorded_signals(open_recording(path, keys))
        fresh = [s for s in found if s.session_id not in tracks[experiment.control]]
        for variant in experiment.variants:
            tracks[variant.name].update(fuse_under(variant.config, fresh))
        progress(f"{path.name}: {len(fresh)} session{'' if len(fresh) == 1 else 's'}")
    return tracks


def _keyed(decoder: FrameDecoder, frames: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, bytes]]:
    for _, value in frames:
        yield decoder.key(value)[1], value
