"""When an engine that fails is passed over, and when it is tried again. Pure: time is an argument.

An engine is *healthy* until it fails once; then it is *suspended* for a pause, after which one probe is made beside the
work of its stand-in. The pause doubles with every failure that follows, and begins anew after a steady half minute.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_PAUSE_US: Final = 500_000
LONGEST_PAUSE_US: Final = 30_000_000
STEADY_US: Final = 30_000_000


class Ask(StrEnum):
    """Who is to answer the windows at hand."""

    PRIMARY = "primary"
    STAND_IN = "stand_in"
    STAND_IN_AND_PROBE = "stand_in_and_probe"
    """The stand-in answers; the primary is given the same windows, to see how it is."""


class State(StrEnum):
    """What is known of the primary."""

    HEALTHY = "healthy"
    SUSPENDED = "suspended"
    PROBED = "probed"
    """A probe is under way."""


@dataclass(slots=True)
class Failover:
    """The state of one primary engine; instants are µs of one clock, which does not run backwards."""

    state: State = State.HEALTHY
    _healthy_since_us: int = 0
    _probe_at_us: int = 0
    _pause_us: int = FIRST_PAUSE_US

    def ask(self, now_us: int) -> Ask:
        """Whom to ask now. After a probe was told, say how it went before the next one is."""
        if self.state is State.HEALTHY:
            return Ask.PRIMARY
        if self.state is State.SUSPENDED and now_us >= self._probe_at_us:
            self.state = State.PROBED
            return Ask.STAND_IN_AND_PROBE
        return Ask.STAND_IN

    def failed(self, now_us: int) -> None:
        """The primary, or the probe of it, failed or was too slow. Late news of a suspended one changes nothing."""
        if self.state is State.SUSPENDED:
            return
        if self.state is State.HEALTHY and now_us - self._healthy_since_us >= STEADY_US:
            self._pause_us = FIRST_PAUSE_US
        self.state = State.SUSPENDED
        self._probe_at_us = now_us + self._pause_us
        self._pause_us = min(2 * self._pause_us, LONGEST_PAUSE_US)

    def recovered(self, now_us: int) -> None:
        """The probe was answered in time."""
        if self.state is State.PROBED:
            self.state = State.HEALTHY
            self._healthy_since_us = now_us
