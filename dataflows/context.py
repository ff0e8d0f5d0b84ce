"""What the parts of one dataflow share in its process."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataflows.ownership import Ownership
from runtime import registry
from runtime.clock import Clock
from runtime.errors import RecoveryError, TopicMismatch
from runtime.kafka import Publisher
from runtime.ledger import DeadLetterBox
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.topics import partition_count
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES, SIGNALS
from schemas.vocabulary import Stage


class Interrupted(Exception):  # noqa: N818 - a condition, not an error
    """The role was asked to stop while the broker did not answer: the open epoch is given up, and done again later."""


@dataclass(slots=True)
class Context:
    """One process's dataflow: what it works on and with."""

    settings: Settings
    metrics: Metrics
    clock: Clock
    stop: threading.Event
    partitions: int
    """Partitions of the topic."""
    owned: Sequence[int]
    """Those that this process fuses."""
    codec: Codec
    publisher: Publisher
    dead_letters: DeadLetterBox
    ownership: Ownership | None = None
    """The claim on ``owned``; None for a dataflow that is run by hand, keeps no state and so owns nothing."""
    sessions: dict[int, int] = field(default_factory=dict)
    """Sessions that each partition holds."""

    @classmethod
    def build(
        cls,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        stop: threading.Event,
        owned: Sequence[int] | None = None,
    ) -> "Context":
        """Look at the topics and connect; ``owned`` defaults to every partition.

        Raises BrokerError if Kafka does not answer, TopicMismatch if the topics differ in their partitions,
        RecoveryError if a partition is asked for that does not exist.
        """
        partitions = partition_count(settings, SIGNALS)
        frames = partition_count(settings, AVATAR_FRAMES)
        if frames != partitions:
            raise TopicMismatch(f"{SIGNALS} has {partitions} partitions, {AVATAR_FRAMES} has {frames}")
        owned = range(partitions) if owned is None else sorted(set(owned))
        if not owned or not 0 <= owned[0] <= owned[-1] < partitions:
            raise RecoveryError(f"{SIGNALS} has the partitions 0 to {partitions - 1}, not all of {list(owned)}")
        codec = registry.codec(settings)
        publisher = Publisher(settings, metrics, quiet=True)
        return cls(
            settings=settings,
            metrics=metrics,
            clock=clock,
            stop=stop,
            partitions=partitions,
            owned=owned,
            codec=codec,
            publisher=publisher,
            dead_letters=DeadLetterBox(publisher, codec, clock, Stage.FUSION, metrics),
        )
