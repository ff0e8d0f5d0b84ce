"""Frames to the sockets of their viewers, compiled.

Thousands of viewers of sessions of their own take 30 frames a second each, and the interpreter needs twice as long for
a message as the kernel does to send it. This writes where nothing waits (:mod:`egress.lines`), and leaves the rest to
the interpreter: what a socket did not take, viewers that are behind, everything but frames in binary.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from egress.frame_batches import FrameColumns
from egress.frames import HEAD, RELAYED
from egress.lines import FLAGS, SHUT, Lines, send
from egress.packed import FRAME_BYTES
from egress.watched import NONE, Watched, note
from runtime.compiled import CodeCache
from schemas.codec import Codec

CODE: Final = CodeCache(
    Path(__file__).parent,
    (
        "egress/fan_out.py",
        "egress/frames.py",
        "egress/lines.py",
        "egress/packed.py",
        "egress/watched.py",
        "runtime/compiled.py",
    ),
)

HEADER_BYTES: Final = 4
"""Of a WebSocket message of 126 to 65,535 bytes, not masked (RFC 6455, 5.2)."""
STAMP_AT: Final = HEADER_BYTES + HEAD.size
MESSAGE_ROOM: Final = 512
AT_ONCE: Final = 64
"""Messages with one moment of relaying: a third of a millisecond."""
FIN_BINARY: Final = 0x82
SIXTEEN_BITS: Final = 126
_send: Final = types.ExternalFunction("send", types.intp(types.int32, types.uintp, types.uintp, types.int32))


@overload(send)
def _compiled_send(descriptor: Any, data: Any, count: Any) -> Any:
    del descriptor, data, count

    def compiled(descriptor: Any, data: Any, count: Any) -> Any:
        return _send(descriptor, data, count, FLAGS)

    return compiled


_note: Final = CODE.compiled(note)


@CODE.compiled
def _to_all(place: int, viewers: Any, descriptors: Any, address: int, count: Any, left: Any) -> tuple[int, int]:
    """Send ``count`` bytes at ``address`` from ``place`` on: to how many viewers, and how many are in ``left``."""
    used, unfinished = 0, 0
    while place >= 0:
        viewer = viewers[place]
        line, taken = viewer["line"], 0
        if not viewer["waits"] and descriptors[line] >= 0:
            taken = send(descriptors[line], address, count)
        if taken == count:
            used += 1
        else:
            descriptors[line] = SHUT
            left[unfinished, 0], left[unfinished, 1] = place, max(taken, 0)
            unfinished += 1
        place = viewer["next"]
    return used, unfinished


@CODE.compiled
def _spread(sessions: Any, place: int, viewers: Any, descriptors: Any, wire: Any, left: Any) -> tuple[int, int]:
    """Send a message to the viewers of the session at ``place``: to how many, and how many are in ``left``."""
    return _to_all(sessions[place]["first"], viewers, descriptors, wire.ctypes.data, wire.size, left)


@CODE.compiled
def _fan_out(
    row: int,
    places: Any,
    frames: Any,
    heads: Any,
    names: Any,
    ends: Any,
    now_us: int,
    at_most: int,
    sessions: Any,
    relayed: Any,
    viewers: Any,
    descriptors: Any,
    message: Any,
    stamp: Any,
    left: Any,
) -> tuple[int, int, int]:
    """Send frames, from ``row`` on, to the viewers of their sessions.

    ``places`` are those of the frames' sessions (below 0: not one for this), ``frames`` their packed forms and
    ``heads`` the beginnings of these, ``names`` what comes behind them, all in one, and ``ends`` where each name ends.
    Goes on until ``at_most`` messages are sent, or one was not sent to all.

    Returns the row to go on with, how many viewers the row before that was not sent to (in ``left``), and the last row
    that was new (-1: none).
    """
    sent, newest = 0, -1
    address = message.ctypes.data
    while row < places.size and sent < at_most:
        at = row
        row += 1
        place = places[at]
        if place < 0:
            continue
        session, head = sessions[place], heads[at]
        captured_at_us = head["captured_at_us"]
        if not _note(sessions, relayed, place, np.int64(head["sequence"]), captured_at_us, now_us):
            continue
        newest = at

        end = ends[at]
        length = FRAME_BYTES + np.int64(head["name_length"])
        begin = end - np.int64(head["name_length"])
        message[0], message[1] = FIN_BINARY, SIXTEEN_BITS
        message[2], message[3] = length >> 8, length & 255
        for i in range(FRAME_BYTES):
            message[HEADER_BYTES + i] = frames[at, i]
        for i in range(begin, end):
            message[HEADER_BYTES + FRAME_BYTES + i - begin] = names[i]
        stamp[0] = (now_us - captured_at_us) / 1_000

        used, unfinished = _to_all(session["first"], viewers, descriptors, address, HEADER_BYTES + length, left)
        session["used"] += used
        sent += used
        if unfinished:
            return row, unfinished, newest
    return row, 0, newest


class FanOut:
    """Sends frames to the sockets of :class:`Lines`. Not thread-safe."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self._message = np.zeros(MESSAGE_ROOM, np.uint8)
        self._stamp = self._message[STAMP_AT : STAMP_AT + RELAYED.size].view("<f4")
        self._left = np.zeros((1, 2), np.int64)

    def send(
        self, watched: Watched, batch: FrameColumns, places: npt.NDArray[np.int64], row: int, now_us: int
    ) -> tuple[int, int, list[list[int]]]:
        """Send a batch's frames, from ``row`` on, to the viewers of the sessions at ``places`` (below 0: to nobody).

        Stops after some, so that the next ones get a new ``now_us``, and after one that not every viewer got.

        Returns the row to go on with; the last one that was new, or NONE; and of the row before the one to go on with
        the places of viewers that did not get it, and how many bytes of its message each got.
        """
        row, unfinished, newest = _fan_out(
            row, places, batch.packed, batch.heads, batch.names, batch.ends, now_us, AT_ONCE, watched.sessions,
            watched.relayed, watched.viewers, self.lines.descriptors, self._message, self._stamp, self._room(watched),
        )  # fmt: skip
        return row, newest, self._left[:unfinished].tolist()

    def spread(self, watched: Watched, place: int, wire: bytes) -> tuple[int, list[list[int]]]:
        """Send a message to all viewers of the session at ``place``.

        Returns how many got it, and the places of those that did not and how many bytes of it each got.
        """
        used, unfinished = _spread(
            watched.sessions, place, watched.viewers, self.lines.descriptors, np.frombuffer(wire, np.uint8),
            self._room(watched),
        )  # fmt: skip
        return used, self._left[:unfinished].tolist()

    def _room(self, watched: Watched) -> npt.NDArray[np.int64]:
        if len(self._left) < len(watched.viewers):
            self._left = np.zeros((len(watched.viewers), 2), np.int64)
        return self._left


def compile_all() -> None:
    """Compile, or load what was compiled before: less than a second."""
    packed, names = np.zeros((1, FRAME_BYTES), np.uint8), np.frombuffer(b"warm", np.uint8)
    nothing = FrameColumns(["warm"], packed, names, np.array([4]), [0], [b""], Codec())
    watched, fan_out = Watched(), FanOut(Lines())
    fan_out.send(watched, nothing, np.array([NONE]), 0, 0)
    fan_out.spread(watched, 0, b"warm")
    CODE.completed()
