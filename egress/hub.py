"""Who watches what, and what each viewer gets. Pure: time is an argument, sockets are :class:`Sink`.

A viewer whose socket takes no more has a mailbox of one: the newest frame. What that replaces is skipped, and the
viewer is told how many were before it gets the next.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from egress.frame_batches import FrameColumns
from egress.frames import Frame
from egress.projection import Instants, avatar_frame, emotion_update, has_emotion_update
from egress.watched import NONE, Watched
from schemas.close_codes import CloseCode

if TYPE_CHECKING:
    from egress.fan_out import FanOut  # compiled: only those who use it need the compiler

Format = Literal["json", "cbor", "binary"]

STALLED_US: Final = 2_000_000
TOGETHER_FROM: Final = 4
"""With fewer viewers of a session, one by one is quicker."""
REMEMBERED_ENDS: Final = 10_000


class Sink(Protocol):
    """Where a viewer's bytes go."""

    line: int
    """Of :class:`egress.lines.Lines`; NONE: whole messages can be written by :meth:`write` only."""

    def congested(self, now_us: int) -> bool:
        """Whether the viewer does not keep up: nothing more should be written now."""
        ...

    def write(self, wire: bytes) -> bool:
        """Write bytes that are framed already; never blocks. False: the connection is being closed, and takes nothing.

        A viewer of such a connection is about to leave: what it is not sent any more is no delivery.
        """
        ...

    def finish(self, rest: bytes) -> None:
        """Write what its line did not take of a message."""
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
    place: int = NONE
    """In :class:`egress.watched.Watched`."""


@dataclass(slots=True)
class Tally:
    """Deliveries of one session since the last :meth:`Hub.take_tallies`; a delivery is one frame to one viewer."""

    used: int = 0
    slow_client: int = 0
    duplicate: int = 0


@dataclass(slots=True)
class _Session:
    """A session that is watched; the rest of it is in :class:`egress.watched.Watched`, at ``place``."""

    session_id: str
    place: int
    ended: bool
    viewers: list[Viewer] = field(default_factory=list)
    indirect: int = 0
    """How many of them have to be written to by the interpreter."""


class Hub:
    """The viewers of one egress process. Used in the event loop's thread only."""

    def __init__(self, wires: Wires) -> None:
        self._encoders = wires.encoders
        self._packers = wires.packers
        self._fan_out: FanOut | None = None
        self._watched = Watched()
        self._sessions: dict[str, _Session] = {}
        self._direct: dict[str, int] = {}
        """Places of the sessions whose viewers all can be written to by ``fan_out``."""
        self._session_at: dict[int, _Session] = {}
        self._viewer_at: dict[int, Viewer] = {}
        self._waiting: dict[Viewer, None] = {}
        """Those for whom a frame waits."""
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._left: list[tuple[str, Tally]] = []
        """What was counted of sessions that nobody watches any more."""
        self._unheard: dict[str, int] = {}
        self.count = 0

    @property
    def compiled(self) -> bool:
        """Whether compiled code sends frames."""
        return self._fan_out is not None

    def send_by(self, fan_out: "FanOut") -> None:
        """From now on frames go through ``fan_out`` to viewers that have a line and take binary messages."""
        self._fan_out = fan_out
        for session in self._sessions.values():
            self._choose_way(session)

    def join(self, viewer: Viewer, now_us: int) -> None:
        """Send the viewer every frame of its session from now on."""
        session = self._sessions.get(viewer.session_id)
        if session is None:
            place = self._watched.add_session(now_us)
            session = _Session(viewer.session_id, place, viewer.session_id in self._ended)
            self._sessions[viewer.session_id] = self._session_at[place] = session
        session.viewers.append(viewer)
        session.indirect += _is_indirect(viewer)
        viewer.place = self._watched.add_viewer(session.place, viewer.sink.line, viewer.expires_at_us)
        self._viewer_at[viewer.place] = viewer
        self._choose_way(session)
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
            self._watched.sessions[session.place]["stalled"] = False

    def leave(self, viewer: Viewer) -> None:
        """Send it nothing more; what waited for it counts as skipped."""
        session = self._sessions[viewer.session_id]
        session.viewers.remove(viewer)
        session.indirect -= _is_indirect(viewer)
        self.count -= 1
        if viewer.pending is not None:
            self._skip(session, viewer)
            self._waiting.pop(viewer)
        self._watched.drop_viewer(session.place, viewer.place)
        del self._viewer_at[viewer.place]
        if session.viewers:
            self._choose_way(session)
            return
        used, slow_client, duplicate = self._watched.drop_session(session.place)
        if used or slow_client or duplicate:
            self._left.append((viewer.session_id, Tally(used, slow_client, duplicate)))
        del self._sessions[viewer.session_id], self._session_at[session.place]
        self._direct.pop(viewer.session_id, None)

    def _choose_way(self, session: _Session) -> None:
        if session.indirect or self._fan_out is None:
            self._direct.pop(session.session_id, None)
        else:
            self._direct[session.session_id] = session.place

    def deliver_all(self, batch: FrameColumns | Sequence[Frame], now_us: Callable[[], int]) -> tuple[Frame, int] | None:
        """Send frames to their sessions' viewers; returns one of those that went out, if any did, and when."""
        if not isinstance(batch, FrameColumns):
            delivered = None
            for frame in batch:
                now = now_us()
                if self.deliver(frame, now):
                    delivered = frame, now
            return delivered
        newest, newest_us = NONE, 0
        places = np.fromiter(map(self._direct.get, batch.ids, repeat(NONE)), np.int64, len(batch))
        if self._fan_out is not None:
            row = 0
            while row < len(batch):
                now = now_us()
                row, new, unfinished = self._fan_out.send(self._watched, batch, places, row, now)
                if unfinished:
                    frame = batch.frame(row - 1)
                    session = self._sessions[frame.session_id]
                    self._count_used(session, self._finish(session, unfinished, self._wire("binary", frame, now), now))
                if new != NONE:
                    newest, newest_us = new, now
        for row in np.flatnonzero(places == NONE).tolist():
            if batch.ids[row] in self._sessions:
                now = now_us()
                if self.deliver(batch.frame(row), now):
                    newest, newest_us = row, now
        return None if newest == NONE else (batch.frame(newest), newest_us)

    def _finish(self, session: _Session, unfinished: Iterable[Sequence[int]], wire: bytes, now_us: int) -> int:
        """Send a message to viewers whose sockets took only so many bytes of it; returns how many got it."""
        used = 0
        for place, taken in unfinished:
            viewer = self._viewer_at[place]
            if taken:
                viewer.sink.finish(wire[taken:])
                used += 1
            else:
                used += self._send(session, viewer, wire, now_us)
        return used

    def _count_used(self, session: _Session, used: int) -> None:
        self._watched.sessions[session.place]["used"] += used

    def deliver(self, frame: Frame, now_us: int) -> bool:
        """Send a frame to the session's viewers; False if nobody watches or the frame was sent before.

        After a crash fusion publishes some frames again: each sequence goes out once, in rising order.
        """
        session = self._sessions.get(frame.session_id)
        if session is None:
            return False
        if not self._watched.note(session.place, frame.sequence, frame.captured_at_us, now_us):
            return False
        if self._fan_out is not None and not session.indirect and len(session.viewers) >= TOGETHER_FROM:
            wire = self._wire("binary", frame, now_us)
            used, unfinished = self._fan_out.spread(self._watched, session.place, wire)
            used += self._finish(session, unfinished, wire, now_us)
        else:
            # Once a frame and format, however many watch.
            wires: dict[Format, bytes] = {}
            used = 0
            for viewer in session.viewers:
                if viewer.format not in wires:
                    wires[viewer.format] = self._wire(viewer.format, frame, now_us)
                used += self._send(session, viewer, wires[viewer.format], now_us)
        if used:
            self._count_used(session, used)
        return True

    def _send(self, session: _Session, viewer: Viewer, wire: bytes, now_us: int) -> int:
        """Send the viewer a frame, or have it wait; returns how many frames were written."""
        if viewer.pending is None and not viewer.sink.congested(now_us):
            # As nearly always: nothing waits, and nothing has to be told.
            return int(viewer.sink.write(wire))
        if viewer.pending is not None:
            self._skip(session, viewer)
        viewer.pending = wire
        self._waiting[viewer] = None
        self._watched.viewers[viewer.place]["waits"] = True
        return 0 if viewer.sink.congested(now_us) else self._flush(viewer)

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
        return None if session is None else self._watched.find(session.place, sequence)

    def sweep(self, now_us: int, close: Close) -> None:
        """Look after viewers between frames: call it several times a second.

        Sends what waited for viewers that can take it again, says ``stalled`` where no frame has come for 2 s, and
        closes viewers whose token has expired or whose session is over.
        """
        for place in self._watched.expired(now_us):
            close(self._viewer_at[place], CloseCode.BAD_TOKEN, "the token has expired")
        for viewer in list(self._waiting):
            if now_us < viewer.expires_at_us and not viewer.sink.congested(now_us):
                self._count_used(self._sessions[viewer.session_id], self._flush(viewer))
        for place in self._watched.newly_stalled(now_us, STALLED_US):
            session = self._session_at[place]
            row = self._watched.sessions[place]
            if not session.ended and row["newest"] == NONE:
                starts = [viewer.started_at_us for viewer in session.viewers if viewer.started_at_us is not None]
                if starts:
                    self._unheard[session.session_id] = min(starts)
            quiet_ms = (now_us - int(row["heard_us"])) // 1_000
            stalled = {"type": "stalled", "session_id": session.session_id, "quiet_ms": quiet_ms}
            for viewer in session.viewers:
                if now_us >= viewer.expires_at_us:
                    continue
                if session.ended and viewer.ends_with_session:
                    close(viewer, CloseCode.SESSION_ENDED, "the session has ended")
                elif not viewer.sink.congested(now_us):
                    viewer.sink.write(self._encoders[viewer.format]([stalled]))

    def take_unheard(self) -> Mapping[str, int]:
        """Sessions of which no frame has come since they are watched, and their starts: they may have ended before."""
        taken, self._unheard = self._unheard, {}
        return taken

    def take_tallies(self) -> list[tuple[str, Tally]]:
        """Deliveries by session since the last call, of sessions of which there were any."""
        taken, self._left = self._left, []
        taken += [
            (self._session_at[place].session_id, Tally(*counts)) for place, counts in self._watched.take_tallies()
        ]
        return taken

    def _flush(self, viewer: Viewer) -> int:
        """Write what waits; returns how many frames were written."""
        assert viewer.pending is not None
        if viewer.skipped_untold:
            told = {"type": "skipped", "session_id": viewer.session_id, "count": viewer.skipped_untold}
            viewer.sink.write(self._encoders[viewer.format]([told]))
            viewer.skipped_untold = 0
        written = viewer.sink.write(viewer.pending)
        viewer.pending = None
        del self._waiting[viewer]
        self._watched.viewers[viewer.place]["waits"] = False
        return int(written)

    def _skip(self, session: _Session, viewer: Viewer) -> None:
        """What waited is replaced, or waits no longer."""
        viewer.pending = None
        viewer.skipped += 1
        viewer.skipped_untold += 1
        self._watched.sessions[session.place]["slow_client"] += 1


def _is_indirect(viewer: Viewer) -> bool:
    return viewer.sink.line == NONE or viewer.format != "binary"
