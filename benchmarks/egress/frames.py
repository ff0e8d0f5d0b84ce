"""Frames in ``avatar.frames`` at the speed of life, as fusion writes them, but for nothing: bytes made beforehand.

A frame's ``captured_at_us`` is the instant at which it was handed to Kafka's client. So whoever receives it knows how
long it was under way.
"""

import time
from dataclasses import replace
from typing import Final

from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import producer
from benchmarks.fusion.signals import FACE_HZ, US, session_ids
from runtime.settings import Settings
from runtime.topics import murmur2_partition
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES
from schemas.varints import varint

STEP_S: Final = 0.005
EXAMPLE: Final = ROOT / "schemas/examples/avatar.frames/frame.avro"
INSTANT: Final = slice(10, 18)
"""Where ``captured_at_us`` stands, in single-object encoding."""


def example() -> AvatarFrame:
    """A frame of the product."""
    return Codec().decode(AvatarFrame, EXAMPLE.read_bytes())


class FramePacer:
    """Writes every session's frames as they fall due, the sessions spread over a tick as cameras are."""

    def __init__(self, settings: Settings, sessions: int) -> None:
        self._topic = settings.topic(AVATAR_FRAMES)
        self._producer = producer(settings, **{"linger.ms": 1, "acks": "all"})
        self.ids = session_ids(sessions)
        self._keys = [name.encode() for name in self.ids]
        self._partitions = [murmur2_partition(key, settings.partitions) for key in self._keys]
        whole = Codec().encode(replace(example(), session_id="", sequence=0))
        assert whole[-2:] == b"\x00\x00"
        self._begin, self._middle = whole[: INSTANT.start], whole[INSTANT.stop : -2]
        self._ends = [varint(len(key)) + key for key in self._keys]
        self.started_us = 0
        self.sent = 0
        self.late_us: list[int] = []
        """Of each step, how late its first frame was."""

    def start(self, now_us: int) -> None:
        """The first frame of the first session is due now."""
        self.started_us = now_us

    def step(self, now_us: int) -> None:
        """Send what is due."""
        count = len(self._keys)
        due = (now_us - self.started_us) * FACE_HZ * count // US + 1
        if due <= self.sent:
            return
        self.late_us.append(now_us - self.started_us - self.sent * US // (FACE_HZ * count))
        begin = self._begin + varint(now_us) + self._middle
        produce, topic = self._producer.produce, self._topic
        for number in range(self.sent, due):
            tick, session = divmod(number, count)
            value = begin + varint(tick) + self._ends[session]
            produce(topic, value, self._keys[session], self._partitions[session])
        self.sent = due
        self._producer.poll(0)

    def run(self, until_s: float) -> None:
        """Go on until an instant, s since the epoch."""
        while (now := time.time()) < until_s:
            self.step(int(now * US))
            time.sleep(STEP_S)

    def close(self) -> None:
        """Return when everything sent is acknowledged."""
        self._producer.flush(60)
