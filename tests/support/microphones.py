"""Microphones without an edge: they write sound to ``media.audio`` as ingest would, in chunks of 20 ms."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AudioChunk
from schemas.topics import MEDIA_AUDIO
from tests.support.voices import RATE_HZ, chunks

CHUNK: int = 320
CHUNK_S = CHUNK / RATE_HZ


def publish(settings: Settings, records: Sequence[AudioChunk]) -> None:
    """Write chunks at once; returns when they are in the log."""
    publisher, codec = Publisher(settings), Codec()
    for record in records:
        publisher.send(MEDIA_AUDIO, record.session_id, codec.encode(record))
    publisher.flush()


class Microphones:
    """Records with every session's microphone in a thread, in real time, from entering to leaving; sound goes round."""

    def __init__(self, settings: Settings, sessions: Sequence[str], sound: NDArray[np.float32]) -> None:
        self.sent = 0
        """Chunks of each session."""
        self.start_us = SystemClock().now_us()
        self._sounds = [list(chunks(sound, session, 0)) for session in sessions]
        self._publisher = Publisher(settings)
        self._clock = SystemClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._record, name="microphones", daemon=True)

    def _record(self) -> None:
        codec = Codec()
        while True:
            captured_us = self.start_us + self.sent * 20_000
            ends_us = captured_us + 20_000
            if self._stop.wait(max(0.0, (ends_us - self._clock.now_us()) / 1e6)):
                return
            for sound in self._sounds:
                piece = sound[self.sent % len(sound)]
                now_us = self._clock.now_us()
                record = AudioChunk(captured_us, now_us, now_us, RATE_HZ, self.sent, piece.session_id, piece.pcm)
                self._publisher.send(MEDIA_AUDIO, record.session_id, codec.encode(record))
            self.sent += 1

    def stop(self) -> None:
        """Stop recording; returns when all sound is in the log."""
        self._stop.set()
        self._thread.join()
        self._publisher.flush()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
