"""What a client holds of its media until the service has it. Pure.

A lane numbers its messages, keeps those that the service has not acknowledged, and after a reconnect sends them again.
Its bound is a number of messages; ``full`` says what then happens: pictures of a live session give way to newer ones
before they are sent, everything else makes the sender wait or, for live sound, gives up the oldest and counts it.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from schemas.media_framing import MediaKind, MediaMessage

LIVE_AUDIO_MESSAGES: Final = 500
"""10 s of 20 ms chunks."""

LIVE_VIDEO_MESSAGES: Final = 3
"""A tenth of a second: a hiccup of the event loop costs no picture."""

RECORDED_MESSAGES: Final = 256

Full = Literal["drop_oldest", "wait"]


@dataclass(slots=True)
class LaneCounts:
    """What became of a lane's messages."""

    offered: int = 0
    sent: int = 0
    dropped: int = 0
    resent: int = 0


class Lane:
    """Messages of one modality on their way to the service.

    ``keep_unacknowledged`` false: a message is forgotten once it was written to the socket (live pictures).
    """

    def __init__(self, capacity: int, full: Full, *, keep_unacknowledged: bool) -> None:
        self._capacity = capacity
        self._full = full
        self._keep = keep_unacknowledged
        self._waiting: deque[MediaMessage] = deque()
        self._unacknowledged: deque[MediaMessage] = deque()
        self._next_sequence = 0
        self.counts = LaneCounts()

    def held(self) -> int:
        """Messages that wait or are not acknowledged."""
        return len(self._waiting) + len(self._unacknowledged)

    def room(self) -> bool:
        """Whether :meth:`put` takes a message now."""
        return self._full == "drop_oldest" or self.held() < self._capacity

    def put(self, kind: MediaKind, captured_at_us: int, payload: bytes) -> int:
        """Number a message and let it wait; returns its sequence. Call it only while there is room."""
        message = MediaMessage(kind, self._next_sequence, captured_at_us, payload)
        self._next_sequence += 1
        self.counts.offered += 1
        while self._full == "drop_oldest" and self.held() >= self._capacity:
            # The oldest goes: of what was sent already, nothing is lost unless the connection breaks.
            if self._unacknowledged:
                self._unacknowledged.popleft()
            else:
                self._waiting.popleft()
                self.counts.dropped += 1
        self._waiting.append(message)
        return message.sequence

    def take(self) -> MediaMessage | None:
        """The next message to write to the socket."""
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        if self._keep:
            self._unacknowledged.append(message)
        self.counts.sent += 1
        return message

    def acknowledged(self, sequence: int) -> None:
        """The service has everything up to ``sequence``."""
        while self._unacknowledged and self._unacknowledged[0].sequence <= sequence:
            self._unacknowledged.popleft()

    def clear(self) -> None:
        """Forget everything: it may not be sent any more."""
        self._waiting.clear()
        self._unacknowledged.clear()

    def reconnected(self, received: int | None) -> None:
        """A new connection: what the service has not received (None: it does not know) is to be sent again."""
        if received is not None:
            self.acknowledged(received)
        again = len(self._unacknowledged)
        self.counts.resent += again
        self.counts.sent -= again
        self._waiting.extendleft(reversed(self._unacknowledged))
        self._unacknowledged.clear()
