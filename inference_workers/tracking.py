"""Which of the faces seen now is which of those seen before. Pure: time is an argument.

Every face in sight is a :class:`Track`: its number, its box, how fast it moves. A look at the picture gives boxes
without names; they are given to the tracks so that the whole of it costs least (the Hungarian method). The cost of a
pair is how little the boxes overlap, how far apart their centres are for their size, and how much their sizes differ.
Compared is with where a track should be by now, at the speed that it had: so faces that cross keep their numbers, for
each goes on in its own direction although they stand in one place for a moment.

A track that is not seen goes on as it moved, and is given up after :data:`LOST_US`; a face that appears
after that is a new one. A number is never used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from inference_workers.engines.face_geometry import Box

LOST_US: Final = 1_000_000
"""A face that was hidden for as long is another one when it comes back."""
REACH: Final = 0.8
"""A face is looked for within so many of its own sizes of where it should be."""
SIZES: Final = 2.0
"""The same face is at most so many times larger or smaller than it was."""
SIZE_WEIGHT: Final = 0.5
POSITION_GAIN: Final = 0.7
SPEED_GAIN: Final = 0.3
"""How much of a surprise is believed at once: detectors' boxes tremble by a few per cent of their size."""
_NEVER: Final = 1e6


@dataclass(frozen=True, slots=True)
class Track:
    """One face: its box in pixels when it was last seen, and the speed of its centre, pixels a second."""

    track_id: int
    box: Box
    seen_at_us: int
    since_us: int
    """When it was seen first."""
    sightings: int = 1
    speed_x: float = 0.0
    speed_y: float = 0.0

    def at(self, now_us: int) -> Box:
        """Where it should be by now."""
        on_s = min(max(now_us - self.seen_at_us, 0), LOST_US) / 1e6
        return replace(self.box, x=self.box.x + on_s * self.speed_x, y=self.box.y + on_s * self.speed_y)

    def seen(self, box: Box, now_us: int) -> "Track":
        """The track, now that its face was seen here.

        An alpha-beta filter whose gains begin as those of a line fitted to the sightings so far (Brookner, Tracking and
        Kalman Filtering Made Easy, 1998, growing-memory filter).
        """
        gap_s = (now_us - self.seen_at_us) / 1e6
        if gap_s <= 0.0:
            return replace(self, box=box)
        n = self.sightings + 1
        position_gain = max(2 * (2 * n - 1) / (n * (n + 1)), POSITION_GAIN)
        speed_gain = max(6 / (n * (n + 1)), SPEED_GAIN)
        expected = self.at(now_us)
        off_x, off_y = box.centre_x - expected.centre_x, box.centre_y - expected.centre_y
        rest = 1.0 - position_gain
        return Track(
            self.track_id,
            replace(box, x=box.x - rest * off_x, y=box.y - rest * off_y),
            now_us,
            self.since_us,
            n,
            self.speed_x + speed_gain * off_x / gap_s,
            self.speed_y + speed_gain * off_y / gap_s,
        )


@dataclass(frozen=True, slots=True)
class Tracks:
    """The faces of one session."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 0
    sighted: frozenset[int] = frozenset()
    """The numbers of those that were seen at the last look, or since by other means."""

    def get(self, track_id: int) -> Track | None:
        """The track of this number, if it is still known."""
        return next((track for track in self.tracks if track.track_id == track_id), None)

    def in_sight(self) -> tuple[Track, ...]:
        """The tracks that were seen at the last look, or since by other means."""
        return tuple(track for track in self.tracks if track.track_id in self.sighted)

    def seen(self, track_id: int, box: Box, now_us: int) -> "Tracks":
        """With one face, if it is known, seen here by other means than a look."""
        if self.get(track_id) is None:
            return self
        tracks = tuple(track.seen(box, now_us) if track.track_id == track_id else track for track in self.tracks)
        return replace(self, tracks=tracks, sighted=self.sighted | {track_id})

    def looked(self, boxes: Sequence[Box], now_us: int, most: int) -> "Tracks":
        """With every face that a look found, in the order of the boxes' importance; at most ``most`` are known.

        Faces that are known come before new ones, and a hidden one gives way to one that is there.
        """
        known = [track for track in self.tracks if abs(now_us - track.seen_at_us) < LOST_US]
        pairs = assign([track.at(now_us) for track in known], boxes)
        found = [known[i].seen(boxes[j], now_us) for i, j in pairs.items()]
        taken = set(pairs.values())
        new = [box for number, box in enumerate(boxes) if number not in taken][: max(most - len(found), 0)]
        found += [Track(self.next_id + number, box, now_us, now_us) for number, box in enumerate(new)]
        hidden = sorted((track for i, track in enumerate(known) if i not in pairs), key=lambda track: -track.seen_at_us)
        kept = [*found, *hidden[: max(most - len(found), 0)]]
        return Tracks(
            tuple(sorted(kept, key=lambda track: track.track_id)),
            self.next_id + len(new),
            frozenset(track.track_id for track in found),
        )


def assign(expected: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Which box is which expected one: indices of ``expected`` to indices of ``boxes``. What is too far stays alone."""
    if not expected or not boxes:
        return {}
    costs = np.array([[_cost(one, other) for other in boxes] for one in expected])
    rows, columns = linear_sum_assignment(costs)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if costs[i, j] < _NEVER}


def _cost(expected: Box, found: Box) -> float:
    one, other = _size(expected), _size(found)
    apart = float(np.hypot(expected.centre_x - found.centre_x, expected.centre_y - found.centre_y)) / one
    larger = max(one, other) / min(one, other)
    if apart > REACH or larger > SIZES:
        return _NEVER
    return 1.0 - expected.overlap(found) + apart + SIZE_WEIGHT * float(np.log(larger))


def _size(box: Box) -> float:
    return max(float(np.sqrt(box.width * box.height)), 1.0)
