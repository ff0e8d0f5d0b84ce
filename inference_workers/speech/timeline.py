"""Chunks of sound on the axis of event time, cut into hops on the absolute 40 ms grid. Pure.

A position is a sample count since the Unix epoch: sample n was captured at n / 16,000 s. Hop k covers the positions
(k - 1)·640 to k·640 - 1, so it ends at k·40 ms, whoever cuts it: a restarted worker numbers its hops alike.

Chunks are laid end to end as long as their stamps agree with the count to within :data:`JITTER` samples: a stamp
says when a packet left, a count how long the sound lasts. Should the stamps drift away from the count (two clocks),
the sound is stretched or shrunk by at most one sample a chunk until they agree again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.features import SAMPLE_RATE_HZ
from schemas.vocabulary import Outcome

Samples = NDArray[np.float32]

HOP: Final = 640
HOP_US: Final = 40_000
JITTER: Final = 960
"""60 ms: stamps that differ less from the count of samples are jitter."""
CONCEAL: Final = 3_200
"""200 ms: a hole up to this long is filled with silence; a longer one starts the timeline anew."""
STEER_ABOVE: Final = 80
"""5 ms of lasting deviation: from there on the sound is stretched or shrunk."""
DEVIATION_WEIGHT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Hop:
    """40 ms of sound that end at ``number`` · 40 ms since the epoch."""

    number: int
    samples: Samples
    """640 values, -1..1."""
    first: bool
    """True if the sound does not continue the hop before: nothing may be remembered across."""

    @property
    def captured_at_us(self) -> int:
        """The hop's end."""
        return self.number * HOP_US

    @property
    def end(self) -> int:
        """Position after the hop's last sample."""
        return self.number * HOP


def position_of(captured_at_us: int) -> int:
    """The sample captured at an instant."""
    return captured_at_us * SAMPLE_RATE_HZ // 1_000_000


class Timeline:
    """The sound of one session. Holds less than one hop."""

    def __init__(self) -> None:
        self._next = -1  # position of the next sample; -1: not begun
        self._held: Samples = np.zeros(0, np.float32)
        self._last_sequence = -1
        self._deviation = 0.0
        self._first = True
        self._broken = False

    def add(self, captured_at_us: int, sequence: int, samples: Samples) -> tuple[Outcome, Sequence[Hop]]:
        """Lay a chunk at the end; returns what became of it and the hops that are now complete.

        ``used``; ``duplicate`` if the sequence does not rise; ``stale`` if the chunk belongs to a time that is
        already past: its hops are out.
        """
        if sequence <= self._last_sequence:
            return Outcome.DUPLICATE, ()
        lost = self._broken or (self._last_sequence >= 0 and sequence > self._last_sequence + 1)
        self._last_sequence = sequence
        stamped = position_of(captured_at_us)
        deviation = stamped - self._next
        if self._next < 0 or deviation > CONCEAL:
            self._begin(stamped)
        elif deviation < -JITTER:
            self._broken = True
            return Outcome.STALE, ()
        elif deviation >= JITTER or (lost and deviation > 0):
            self._append(np.zeros(deviation, np.float32))
            self._deviation = 0.0
        else:
            self._deviation += DEVIATION_WEIGHT * (deviation - self._deviation)
            samples = self._steered(samples)
        self._broken = False
        self._append(samples)
        return Outcome.USED, self._cut()

    def _begin(self, stamped: int) -> None:
        """Start at the first hop that the chunk covers from its beginning: what came before it stays unheard."""
        self._held = np.zeros(0, np.float32)
        self._next = stamped
        self._deviation = 0.0
        self._first = True

    def _append(self, samples: Samples) -> None:
        if self._first and not len(self._held):
            boundary = -(-self._next // HOP) * HOP
            skipped = min(boundary - self._next, len(samples))
            self._next += skipped
            samples = samples[skipped:]
        self._held = np.concatenate((self._held, samples))
        self._next += len(samples)

    def _steered(self, samples: Samples) -> Samples:
        if abs(self._deviation) <= STEER_ABOVE or len(samples) < 2:
            return samples
        wanted = len(samples) + (1 if self._deviation > 0 else -1)
        places = np.linspace(0.0, len(samples) - 1.0, wanted)
        return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)

    def _cut(self) -> Sequence[Hop]:
        hops = []
        start = self._next - len(self._held)
        while len(self._held) >= HOP:
            start += HOP
            hops.append(Hop(start // HOP, self._held[:HOP], self._first))
            self._held = self._held[HOP:]
            self._first = False
        return hops
