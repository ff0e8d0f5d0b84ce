"""Thirty avatar frames a second of each session, written to Kafka: what the edge sends over its data channels."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.fusion.kafka_log import producer
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES

RATE_HZ: Final = 30
EXAMPLE: Final = Path(__file__).resolve().parents[2] / "schemas" / "examples" / "avatar.frames" / "frame.avro"


class AvatarWriter:
    """Writes from a thread of its own, as a context."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic(AVATAR_FRAMES)
        self._producer = producer(settings, **{"linger.ms": 1})
        self._codec = Codec()
        self._pattern = self._codec.decode(AvatarFrame, EXAMPLE.read_bytes())
        self._sessions: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="avatars", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.flush(10)

    def follow(self, sessions: Sequence[str]) -> None:
        """Write for these sessions from now on."""
        self._sessions = list(sessions)

    def _run(self) -> None:
        tick = time.time_ns() * RATE_HZ // 1_000_000_000
        while not self._stop.is_set():
            tick += 1
            due_ns = tick * 1_000_000_000 // RATE_HZ
            self._stop.wait(max(0.0, (due_ns - time.time_ns()) / 1e9))
            for session_id in self._sessions:
                frame = replace(
                    self._pattern, captured_at_us=due_ns // 1_000, sequence=tick & 0xFFFFFF, session_id=session_id
                )
                self._producer.produce(self._topic, self._codec.encode(frame), key=session_id)
            self._producer.poll(0)
