"""What is known of watched sessions and their viewers, in columns.

Compiled code and the interpreter both deal with frames: they share these and nothing is kept twice. And a frame of one
of thousands of sessions touches two cache lines instead of a dozen objects that were last used 33 ms ago.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from egress.places import Places

REMEMBERED_FRAMES: Final = 128
"""Of each session, whose acknowledgement is understood; a power of two."""
NONE: Final = -1
NEVER_US: Final = (1 << 63) - 1

SESSION: Final = np.dtype(
    [
        ("newest", np.int64),  # number of the newest frame that went out; NONE: none yet
        ("heard_us", np.int64),  # when that was, or when the first viewer came; NEVER_US: nobody watches
        ("used", np.int64),  # deliveries that were not told the ledger yet, by what came of them
        ("slow_client", np.int64),
        ("duplicate", np.int64),
        ("first", np.int32),  # its viewers are a list
        ("stalled", np.bool_),
    ],
    align=True,
)
VIEWER: Final = np.dtype(
    [
        ("expires_us", np.int64),  # NEVER_US: there is no such viewer
        ("next", np.int32),
        ("before", np.int32),
        ("line", np.int32),  # see egress.lines; NONE: it has none
        ("waits", np.bool_),  # a frame waits for it
    ],
    align=True,
)
_NO_SESSION: Final = np.array((NONE, NEVER_US, 0, 0, 0, NONE, False), SESSION)
_NO_VIEWER: Final = np.array((NEVER_US, NONE, NONE, NONE, False), VIEWER)
TALLIES: Final = ("used", "slow_client", "duplicate")

Rows = npt.NDArray[Any]


def note(  # noqa: PLR0917 - by position, as compiled functions are called
    sessions: Any, relayed: Any, place: int, sequence: Any, captured_at_us: int, now_us: int
) -> bool:
    """Note that a frame of the session at ``place`` is relayed; False: it was before, or a later one, which is counted.

    Compiled, too (:mod:`egress.fan_out`).
    """
    session = sessions[place]
    if sequence <= session["newest"]:
        session["duplicate"] += 1
        return False
    session["newest"] = sequence
    session["heard_us"] = now_us
    session["stalled"] = False
    at = sequence & (REMEMBERED_FRAMES - 1)
    relayed[place, at, 0] = sequence
    relayed[place, at, 1] = captured_at_us
    relayed[place, at, 2] = now_us
    return True


class Watched:
    """Sessions and viewers by their places. Arrays are replaced when they grow: do not keep them."""

    def __init__(self) -> None:
        self._sessions, self._viewers = Places(_NO_SESSION), Places(_NO_VIEWER)
        self.relayed: npt.NDArray[np.int64] = _nothing_relayed(len(self.sessions))
        """The newest frames of each session by their numbers: number, when captured, when relayed (µs)."""

    @property
    def sessions(self) -> Rows:
        """As SESSION."""
        return self._sessions.rows

    @property
    def viewers(self) -> Rows:
        """As VIEWER."""
        return self._viewers.rows

    def add_session(self, now_us: int) -> int:
        """The place of a new session without viewers."""
        place = self._sessions.take()
        missing = len(self.sessions) - len(self.relayed)
        if missing:
            self.relayed = np.concatenate([self.relayed, _nothing_relayed(missing)])
        self.sessions[place]["heard_us"] = now_us
        self.relayed[place] = NONE
        return place

    def drop_session(self, place: int) -> list[int]:
        """Nobody watches it; returns how often what of TALLIES was counted and not taken."""
        counts = [int(self.sessions[place][name]) for name in TALLIES]
        self._sessions.give_back(place)
        return counts

    def add_viewer(self, session: int, line: int, expires_us: int) -> int:
        """The place of a new viewer of the session at ``session``."""
        place = self._viewers.take()
        following = int(self.sessions[session]["first"])
        self.viewers[place] = (min(expires_us, NEVER_US - 1), following, NONE, line, False)
        if following != NONE:
            self.viewers[following]["before"] = place
        self.sessions[session]["first"] = place
        return place

    def drop_viewer(self, session: int, place: int) -> None:
        """It has gone."""
        following, before = int(self.viewers[place]["next"]), int(self.viewers[place]["before"])
        if following != NONE:
            self.viewers[following]["before"] = before
        if before != NONE:
            self.viewers[before]["next"] = following
        else:
            self.sessions[session]["first"] = following
        self._viewers.give_back(place)

    def note(self, session: int, sequence: int, captured_at_us: int, now_us: int) -> bool:
        """See :func:`note`."""
        return note(self.sessions, self.relayed, session, sequence, captured_at_us, now_us)

    def find(self, session: int, sequence: int) -> tuple[int, int] | None:
        """When a recent frame was captured and relayed."""
        number, captured_at_us, relayed_at_us = self.relayed[session, sequence & (REMEMBERED_FRAMES - 1)].tolist()
        return (captured_at_us, relayed_at_us) if number == sequence else None

    def newly_stalled(self, now_us: int, after_us: int) -> list[int]:
        """Sessions of which nothing has come for so long, and which are marked as stalled from now on."""
        rows = self.sessions
        found = np.flatnonzero((rows["heard_us"] <= now_us - after_us) & ~rows["stalled"])
        rows["stalled"][found] = True
        return found.tolist()

    def expired(self, now_us: int) -> list[int]:
        """Viewers whose tokens have expired."""
        return np.flatnonzero(self.viewers["expires_us"] <= now_us).tolist()

    def take_tallies(self) -> list[tuple[int, list[int]]]:
        """Sessions of which something was counted, and how often what of TALLIES was; counts anew from now on."""
        columns = [self.sessions[name] for name in TALLIES]
        found = np.flatnonzero(columns[0] | columns[1] | columns[2])
        counts = np.stack([column[found] for column in columns], axis=1).tolist()
        for column in columns:
            column[found] = 0
        return list(zip(found.tolist(), counts, strict=True))


def _nothing_relayed(sessions: int) -> npt.NDArray[np.int64]:
    return np.full((sessions, REMEMBERED_FRAMES, 3), NONE, np.int64)
