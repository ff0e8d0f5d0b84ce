"""Who watches what, and what each viewer gets. Pure: time is an argument, sockets are :class:`Sink`.

A viewer whose socket takes no more has a mailbox of one: the newest frame. What that replaces is skipped, and the
viewer is told how many were before it gets the next.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from egress.frames import Frame
from egress.projection import Instants, avatar_frame, emotion_update, has_emotion_update
from schemas.close_codes import CloseCode

Format = Literal["json", "cbor", "binary"]

STALLED_US: Final = 2_000_000
REMEMBERED_FRAMES: Final = 128
"""Of each session, whose acknowledgement is understood; a power of two."""
REMEMBERED_ENDS: Final = 10_000


class Sink(Protocol):
    """Where a viewer's bytes go."""

    def congested(self, now_us: int) -> bool:
        """Whether the viewer does not keep up: nothing more should be written now."""
        ...

    def write(self, wire: bytes) -> bool:
        """Write bytes that are framed already; never blocks. False: the connection is being closed, and takes nothing.

        A viewer of such a connection is about to leave: what it is not sent any more is no delivery.
        """
        ...


class Close(Protocol):
    """Ends a viewer's connection. Called in the midst of a round: the viewer may leave only after that."""

    def __call__(self, viewer: "Viewer", code: CloseCode, reason: str) -> None: ...


class Encoder(Protocol):
    """Turns messages into what goes over the wire, framing included; several go as one write."""

    def __call__(self, messages: Iterable[Mapping[str, Any]]) -> bytes:
        """Bytes for :meth:`Sink.write`."""
        ...


class Packer(Protocol):
    """Turns one frame into what goes over the wire, framing included, without a detour over messages."""

    def __call__(self, frame: Frame, relayed_at_us: int) -> bytes:
        """Bytes for :meth:`Sink.write`."""
        ...


@dataclass(frozen=True, slots=True)
class Wires:
    """How each format's bytes are made."""

    encoders: Mapping[Format, Encoder]
    """Messages; of every format."""
    packers: Mapping[Format, Packer]
    """Frames, of the formats that have a form of their own for them."""


@dataclass(eq=False, slots=True)
class Viewer:
    """One connection that watches a session."""

    viewer_id: str
    session_id: str
    format: Format
    sink: Sink
    expires_at_us: int
    ends_with_session: bool = True
    """Whether its connection closes when the session has ended: that of a wall does not."""
    variant: str = ""
    """``experiment/variant`` that it is shown, until it has told that it saw it; empty: none."""
    started_at_us: int | None = None
    """When its session started. None: where nothing comes, nobody looks whether the session has ended before."""
    pending: bytes | None = None
    skipped_untold: int = 0
    skipped: int = 0
    sent: int = 0


@dataclass(slots=True)
class Tally:
    """Deliveries of one session since the last :meth:`Hub.take_tallies`; a delivery is one frame to one viewer."""

    used: int = 0
    slow_client: int = 0
    duplicate: int = 0


_NOTHING: Final = Tally()


class _Relayed:
    """The newest frames of one session by their numbers: when they were captured and relayed.

    Numbers in one array, and no objects: of thousands of sessions those would be millions.
    """

    __slots__ = ("_ring",)

    def __init__(self) -> None:
        self._ring = array("q", [-1]) * (3 * REMEMBERED_FRAMES)

    def note(self, sequence: int, captured_at_us: int, now_us: int) -> None:
        ring, at = self._ring, 3 * (sequence & (REMEMBERED_FRAMES - 1))
        ring[at] = sequence
        ring[at + 1] = captured_at_us
        ring[at + 2] = now_us

    def find(self, sequence: int) -> tuple[int, int] | None:
        ring, at = self._ring, 3 * (sequence & (REMEMBERED_FRAMES - 1))
        return (ring[at + 1], ring[at + 2]) if ring[at] == sequence else None


@dataclass(slots=True)
class _Session:
    """A session that is watched."""

    viewers: list[Viewer] = field(default_factory=list)
    last_sequence: int = -1
    last_frame_us: int = 0
    stalled: bool = False
    ended: bool = False
    relayed: _Relayed = field(default_factory=_Relayed)
    tally: Tally = field(default_factory=Tally)


class Hub:
    """The viewers of one egress process. Used in the event loop's thread only."""

    def __init__(self, wires: Wires) -> None:
        self._encoders = wires.encoders
        self._packers = wires.packers
        self._sessions: dict[str, _Session] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._left: list[tuple[str, Tally]] = []
        """What was counted of sessions that nobody watches any more."""
        self._unheard: dict[str, int] = {}
        self.count = 0

    def join(self, viewer: Viewer, now_us: int) -> None:
        """Send the viewer every frame of its session from now on."""
        session = self._sessions.setdefault(
            viewer.session_id, _Session(last_frame_us=now_us, ended=viewer.session_id in self._ended)
        )
        session.viewers.append(viewer)
        self.count += 1

    def end(self, session_id: str) -> None:
        """The session has ended: its viewers go as soon as its last frames are through, which 2 s without one tell.

        Those that come later are told likewise, unless very many sessions have ended since.
        """
        self._ended[session_id] = None
        if len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)
        session = self._sessions.get(session_id)
        if session is not None:
            session.ended = True
            session.stalled = False

    def leave(self, viewer: Viewer) -> None:
        """Send it nothing more; what waited for it counts as skipped."""
        session = self._sessions[viewer.session_id]
        session.viewers.remove(viewer)
        self.count -= 1
        if viewer.pending is not None:
            viewer.pending = None
            _skipped(session, viewer)
        if not session.viewers:
            del self._sessions[viewer.session_id]
            if session.tally != _NOTHING:
                self._left.append((viewer.session_id, session.tally))

    def deliver(self, frame: Frame, now_us: int) -> bool:
        """Send a frame to the session's viewers; False if nobody watches or the frame was sent before.

        After a crash fusion publishes some frames again: each sequence goes out once, in rising order.
        """
        session_id, sequence = frame.session_id, frame.sequence
        session = self._sessions.get(session_id)
        if session is None:
            return False
        if sequence <= session.last_sequence:
            session.tally.duplicate += 1
            return False
        session.last_sequence = sequence
        session.last_frame_us = now_us
        session.stalled = False
        session.relayed.note(sequence, frame.captured_at_us, now_us)
        wires: dict[Format, bytes] = {}
        sent = 0
        for viewer in session.viewers:
            wire = wires.get(viewer.format)
            if wire is None:
                # Once a frame and format, however many watch.
                wire = wires[viewer.format] = self._wire(viewer.format, frame, now_us)
            if viewer.pending is None and not viewer.skipped_untold and not viewer.sink.congested(now_us):
                # As nearly always: nothing waits, and nothing has to be told.
                if viewer.sink.write(wire):
                    viewer.sent += 1
                    sent += 1
            else:
                self._offer(session, viewer, wire, now_us)
        session.tally.used += sent
        return True

    def _wire(self, wanted: Format, frame: Frame, now_us: int) -> bytes:
        packer = self._packers.get(wanted)
        if packer is not None:
            return packer(frame, now_us)
        record = frame.record()
        messages = [avatar_frame(record, Instants(frame.fused_at_us, now_us))]
        if has_emotion_update(record):
            messages.append(emotion_update(record))
        return self._encoders[wanted](messages)

    def relayed(self, session_id: str, sequence: int) -> tuple[int, int] | None:
        """``captured_at_us`` and moment of relaying of a recent frame."""
        session = self._sessions.get(session_id)
        return None if session is None else session.relayed.find(sequence)

    def sweep(self, now_us: int, close: Close) -> None:
        """Look after viewers between frames: call it several times a second.

        Sends what waited for viewers that can take it again, says ``stalled`` where no frame has come for 2 s, and
        closes viewers whose token has expired or whose session is over.
        """
        for session_id, session in self._sessions.items():
            quiet_us = now_us - session.last_frame_us
            newly_stalled = not session.stalled and quiet_us >= STALLED_US
            session.stalled = session.stalled or newly_stalled
            if newly_stalled and not session.ended and session.last_sequence < 0:
                starts = [viewer.started_at_us for viewer in session.viewers if viewer.started_at_us is not None]
                if starts:
                    self._unheard[session_id] = min(starts)
            for viewer in session.viewers:
                if now_us >= viewer.expires_at_us:
                    close(viewer, CloseCode.BAD_TOKEN, "the token has expired")
                elif newly_stalled and session.ended and viewer.ends_with_session:
                    close(viewer, CloseCode.SESSION_ENDED, "the session has ended")
                elif (newly_stalled or viewer.pending is not None) and not viewer.sink.congested(now_us):
                    self._flush(session, viewer)
                    if newly_stalled:
                        viewer.sink.write(
                            self._encoders[viewer.format](
                                [{"type": "stalled", "session_id": session_id, "quiet_ms": quiet_us // 1_000}]
                            )
                        )

    def take_unheard(self) -> Mapping[str, int]:
        """Sessions of which no frame has come since they are watched, and their starts: they may have ended before."""
        taken, self._unheard = self._unheard, {}
        return taken

    def take_tallies(self) -> list[tuple[str, Tally]]:
        """Deliveries by session since the last call, of sessions of which there were any."""
        taken, self._left = self._left, []
        for session_id, session in self._sessions.items():
            if session.tally != _NOTHING:
                taken.append((session_id, session.tally))
                session.tally = Tally()
        return taken

    def _offer(self, session: _Session, viewer: Viewer, wire: bytes, now_us: int) -> None:
        if viewer.pending is not None:
            viewer.pending = None
            _skipped(session, viewer)
        viewer.pending = wire
        if not viewer.sink.congested(now_us):
            self._flush(session, viewer)

    def _flush(self, session: _Session, viewer: Viewer) -> None:
        if viewer.pending is None:
            return
        if viewer.skipped_untold:
            told = {"type": "skipped", "session_id": viewer.session_id, "count": viewer.skipped_untold}
            viewer.sink.write(self._encoders[viewer.format]([told]))
            viewer.skipped_untold = 0
        if viewer.sink.write(viewer.pending):
            viewer.sent += 1
            session.tally.used += 1
        viewer.pending = None


def _skipped(session: _Session, viewer: Viewer) -> None:
    viewer.skipped += 1
    viewer.skipped_untold += 1
    session.tally.slow_client += 1
