"""Cameras without an edge: they write pictures to ``media.video`` as ingest would, at 30 a second."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import VideoFrame
from schemas.topics import MEDIA_VIDEO

PERIOD_S = 1 / 30


def frame(session_id: str, sequence: int, data: bytes, now_us: int) -> VideoFrame:
    """A picture captured 20 ms and received 1 ms before ``now_us``."""
    return VideoFrame(now_us - 20_000, now_us - 1_000, now_us, 640, 480, sequence, session_id, data)


class Cameras:
    """Films with every session's camera in a thread, from entering to leaving; the pictures go round."""

    def __init__(self, settings: Settings, sessions: Sequence[str], pictures: Sequence[bytes]) -> None:
        self.sessions = sessions
        self.sent = 0
        """Pictures of each session."""
        self._pictures = pictures
        self._publisher = Publisher(settings)
        self._clock = SystemClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._film, name="cameras", daemon=True)

    def _film(self) -> None:
        codec = Codec()
        while not self._stop.wait(PERIOD_S):
            data = self._pictures[self.sent % len(self._pictures)]
            for session in self.sessions:
                record = frame(session, self.sent, data, self._clock.now_us())
                self._publisher.send(MEDIA_VIDEO, session, codec.encode(record))
            self.sent += 1

    def stop(self) -> None:
        """Stop filming; returns when every picture is in the log."""
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
