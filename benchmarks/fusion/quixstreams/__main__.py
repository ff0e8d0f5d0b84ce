"""Quix Streams as its documentation shows it: a tumbling window reduced to its newest samples, then stateful apply.

``python -m benchmarks.fusion.quixstreams BOOTSTRAP SIGNALS FRAMES PARTITIONS STATE_DIR``. Tuned: windows close by
key, no changelog topics, commits every 10 s instead of 5, state kept as pickles instead of JSON texts.
"""

import pickle
import sys
from typing import Any, Final

import numpy as np
from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.models import Deserializer, SerializationContext, TopicConfig  # type: ignore[import-not-found]
from quixstreams.state.rocksdb import RocksDBOptions  # type: ignore[import-not-found]

from benchmarks.fusion.windowed import GRACE_MS, WINDOW_MS, Sample, Session, Window, decode, event_time_ms, warm
from dataflows import layout

COMMIT_S: Final = 10.0


class SignalDeserializer(Deserializer):  # type: ignore[misc]  # its package is in another environment
    """Values of ``signals``."""

    def __call__(self, value: bytes, ctx: SerializationContext) -> Sample:
        del ctx
        return decode(value)


def reducer(window: tuple[Any, ...], sample: Sample) -> tuple[Any, ...]:
    """The newest sample of each modality."""
    content = _window(window).add(sample)
    return (content.started, content.face, content.speech)


def initializer(sample: Sample) -> tuple[Any, ...]:
    return reducer((None, None, None), sample)


def _window(parts: tuple[Any, ...]) -> Window:
    content = Window()
    content.started, content.face, content.speech = parts
    return content


def tick(closed: dict[str, Any], key: Any, _timestamp: int, _headers: Any, state: Any) -> bytes | None:
    """The frame of a closed window. The session's state goes to the store and comes from it, as bytes."""
    session = Session()
    kept = state.get_bytes("session")
    if kept is not None:
        session = restored(kept)
    value = session.tick(key, closed["start"] // WINDOW_MS, _window(closed["value"]))
    state.set_bytes("session", packed(session))
    return value


_SIZES: Final = (layout.ROW.itemsize, 8 * layout.N_HOPS, 4 * layout.S_WIDTH, 8 * layout.N_HOPS, 4 * layout.F_WIDTH)


def packed(session: Session) -> bytes:
    """A session's row and the samples that it holds."""
    state = session.state
    return b"".join(
        (
            session.first_window.to_bytes(8, "little", signed=True),
            state.rows.tobytes(),
            state.speech_stamps[0, 0].tobytes(),
            state.speech_values[0, 0].tobytes(),
            state.face_stamps[0, 0].tobytes(),
            state.face_values[0, 0].tobytes(),
        )
    )


def restored(data: bytes) -> Session:
    """The inverse of :func:`packed`."""
    session = Session(first_window=int.from_bytes(data[:8], "little", signed=True))
    state, at = session.state, 8
    parts = []
    for size in _SIZES:
        parts.append(data[at : at + size])
        at += size
    state.rows[0] = np.frombuffer(parts[0], layout.ROW)[0]
    state.speech_stamps[0, 0] = np.frombuffer(parts[1], np.int64)
    state.speech_values[0, 0] = np.frombuffer(parts[2], np.float32)
    state.face_stamps[0, 0] = np.frombuffer(parts[3], np.int64)
    state.face_values[0, 0] = np.frombuffer(parts[4], np.float32)
    return session


def main(bootstrap: str, signals: str, frames: str, partitions: int, state_dir: str) -> None:
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{signals}",
        auto_offset_reset="earliest",
        commit_interval=COMMIT_S,
        consumer_extra_config={"broker.address.family": "v4"},
        producer_extra_config={
            "broker.address.family": "v4",
            "linger.ms": 5,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "enable.idempotence": True,
        },
        state_dir=state_dir,
        rocksdb_options=RocksDBOptions(dumps=pickle.dumps, loads=pickle.loads, use_fsync=False),
        use_changelog_topics=False,
        loglevel="WARNING",
    )
    config = TopicConfig(num_partitions=partitions, replication_factor=1)
    source = app.topic(
        signals,
        value_deserializer=SignalDeserializer(),
        key_deserializer="str",
        timestamp_extractor=lambda sample, _headers, _timestamp, _type: event_time_ms(sample),
        config=config,
    )
    sink = app.topic(frames, value_serializer="bytes", key_serializer="str", config=config)
    stream = app.dataframe(source)
    stream = stream.tumbling_window(WINDOW_MS, grace_ms=GRACE_MS).reduce(reducer, initializer).final()
    stream = stream.apply(tick, stateful=True, metadata=True)
    stream = stream.filter(lambda value: value is not None)
    stream.to_topic(sink)
    print("READY", flush=True)
    app.run()


if __name__ == "__main__":
    warm()
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
