"""Avatar frames as fusion would publish them."""

import struct

from runtime.clock import Clock
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.topics import murmur2_partition
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES
from schemas.vocabulary import BLENDSHAPES, EMOTIONS

NAN = float("nan")


def avatar_frame(session_id: str, sequence: int, *, start_us: int = 1_800_000_000_000_000) -> AvatarFrame:
    """A frame with a smile of 204/255 and happy on top."""
    blendshapes = bytearray(len(BLENDSHAPES))
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        blendshapes[BLENDSHAPES.index(name)] = 204
    blendshapes[BLENDSHAPES.index("browDownLeft")] = 51
    emotions = bytearray(len(EMOTIONS))
    emotions[EMOTIONS.index("happy")] = 199
    emotions[EMOTIONS.index("neutral")] = 56
    return AvatarFrame(
        captured_at_us=start_us + sequence * 1_000_000 // 30,
        face_hops_ms=(-20.0, -18.0, -17.5, -10.0, 5.0),
        speech_hops_ms=(NAN,) * 5,
        emotions=bytes(emotions),
        affect=struct.pack("<5h", 6_400, 3_200, -1_000, 200, -100),
        levels=bytes((219, 224, 204, 51, 230, 128, 51, 26)),
        aus=bytes(range(0, 200, 10)),
        angles=struct.pack("<8h", 320, -110, 20, 352, -121, 22, -110, 150),
        blendshapes=bytes(blendshapes),
        visemes=bytes((0,) * 10 + (224, 31, 0, 0, 0)),
        discontinuity=sequence == 0,
        face_live=True,
        speech_live=False,
        viseme_mouth=False,
        closed_by_max_wait=False,
        mapping="blend",
        sequence=sequence,
        session_id=session_id,
    )


class FramePublisher:
    """Publishes frames with the partition that fusion would use."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._publisher = Publisher(settings, linger_ms=0)
        self._partitions = settings.partitions
        self._clock = clock
        self._codec = Codec()

    def publish(self, session_id: str, *sequences: int) -> None:
        """Publish these frames, shown about now, and return when they are acknowledged."""
        for sequence in sequences:
            frame = avatar_frame(session_id, sequence, start_us=self._clock.now_us() - sequence * 1_000_000 // 30)
            self.raw(session_id, self._codec.encode(frame))
        self.flush()

    def raw(self, session_id: str, value: bytes) -> None:
        """Publish bytes; call :meth:`flush`."""
        partition = murmur2_partition(session_id.encode(), self._partitions)
        self._publisher.send(AVATAR_FRAMES, session_id, value, partition=partition)

    def flush(self) -> None:
        self._publisher.flush(10)
