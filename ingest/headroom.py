"""What the edge has left, measured, and what it gives up when that is too little. Pure: time is an argument.

There is no constant number of sessions that an edge can serve: that depends on the machine, on what else runs there,
and on what the sessions send. So the edge looks at itself several times a second (:class:`Load`), and takes the worst
of what it sees as its *pressure*: 1 is where clients begin to feel it.

What is given up, one after the other (:class:`Shedding`), each only when what came before was not enough:

1. single pictures: each session keeps at most :data:`KEPT_PER_S` a second, the rest is dropped here;
2. the rate of pictures: clients are asked to send no more than :data:`ASKED_PER_S` a second, and no more is kept;
3. new sessions.

Sound and control messages are never given up by this; every dropped picture is in the ledger as ``shed``.

Steps are taken up after :data:`UP_AFTER_US` of too much pressure, and back after a while of little. A step back that
proves wrong soon makes the next one wait twice as long, so that an edge at its limit does not swing to and fro.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from runtime.rates import TokenBucket
from runtime.smoothed import Smoothed

FULL_LAG_S: Final = 0.050
"""The event loop wakes so late: a twentieth of a second is half of what a frame may take to the client."""
BUSY_CPU: Final = 0.25
"""An edge that does less than this itself gains little by giving things up, however late a busy machine wakes it: its
lag counts in proportion."""
FULL_CPU: Final = 0.90
"""Of a core, by the event loop's thread, which can use one at most."""
FULL_QUEUE: Final = 0.25
"""Of the producer's queue. The rest is for sound, which waits while the broker is away."""
FULL_FUSION_LAG_S: Final = 0.5
"""From a tick's instant to its frame being in the log, where that is known."""

HIGH: Final = 1.0
LOW: Final = 0.75
UP_AFTER_US: Final = 400_000
DOWN_AFTER_US: Final = 1_000_000
CALM: Final = 0.5
"""At so little pressure no step back is wrong: earlier mistakes do not count any more."""
RELAPSE_US: Final = 5_000_000
MOST_PATIENT: Final = 16
"""The longest wait before a step back, in DOWN_AFTER_US."""

KEPT_PER_S: Final = 15.0
ASKED_PER_S: Final = 10.0
BURST: Final = 2.0


class Shedding(IntEnum):
    """What is given up: this, and everything before it."""

    NOTHING = 0
    FRAMES = 1
    RATE = 2
    SESSIONS = 3


@dataclass(frozen=True, slots=True)
class Load:
    """One look at the edge."""

    lag_s: float
    """How much later than asked for the event loop woke."""
    cpu: float
    """Share of a core that the event loop's thread used since the last look."""
    queue: float
    """Share of the producer's queue that is taken."""
    fusion_lag_s: float | None = None
    """None: not known here."""

    @property
    def pressure(self) -> float:
        """The worst of it; 1: too much."""
        return max(
            self.lag_s / FULL_LAG_S * min(1.0, self.cpu / BUSY_CPU),
            self.cpu / FULL_CPU,
            self.queue / FULL_QUEUE,
            0.0 if self.fusion_lag_s is None else self.fusion_lag_s / FULL_FUSION_LAG_S,
        )


class Headroom:
    """Decides what is given up. Call :meth:`look` about ten times a second."""

    def __init__(self) -> None:
        self.shedding = Shedding.NOTHING
        self._pressure = Smoothed()
        self._high_since_us: int | None = None
        self._low_since_us: int | None = None
        self._relaxed_us: int | None = None
        self._patience = 1

    @property
    def pressure(self) -> float:
        """The smoothed pressure."""
        return self._pressure.value

    def look(self, load: Load, now_us: int) -> Shedding:
        """Take one look in; returns what is given up from now on, at most one step from before."""
        self._pressure.take(load.pressure, now_us)
        if self.pressure >= HIGH:
            self._low_since_us = None
            if self._high_since_us is None:
                self._high_since_us = now_us
            if now_us - self._high_since_us >= UP_AFTER_US and self.shedding < Shedding.SESSIONS:
                self._step_up(now_us)
        elif self.pressure <= LOW:
            self._high_since_us = None
            if self.pressure <= CALM:
                self._patience = 1
            if self._low_since_us is None:
                self._low_since_us = now_us
            if now_us - self._low_since_us >= DOWN_AFTER_US * self._patience and self.shedding > Shedding.NOTHING:
                self.shedding = Shedding(self.shedding - 1)
                self._low_since_us = self._relaxed_us = now_us
        else:
            self._high_since_us = self._low_since_us = None
        return self.shedding

    def _step_up(self, now_us: int) -> None:
        self.shedding = Shedding(self.shedding + 1)
        self._high_since_us = now_us
        if self._relaxed_us is not None and now_us - self._relaxed_us <= RELAPSE_US * self._patience:
            self._patience = min(MOST_PATIENT, self._patience * 2)
        self._relaxed_us = None


class Pictures:
    """Which pictures of one session are kept."""

    __slots__ = ("_asked", "_kept")

    def __init__(self) -> None:
        self._kept = TokenBucket(KEPT_PER_S, BURST)
        self._asked = TokenBucket(ASKED_PER_S, BURST)

    def keep(self, shedding: Shedding, now_us: int) -> bool:
        """Whether a picture (or features of one) that comes now is kept."""
        if shedding is Shedding.NOTHING:
            return True
        return (self._kept if shedding is Shedding.FRAMES else self._asked).take(now_us)


def asked_per_s(shedding: Shedding) -> float | None:
    """How many pictures a second clients are asked to send at most; None: as many as they like."""
    return ASKED_PER_S if shedding >= Shedding.RATE else None
