"""An outbox that keeps signals and counts outcomes, without Kafka: what is measured is the worker's own work."""

from collections import Counter
from dataclasses import dataclass, field

from inference_workers.processing import Taken
from runtime.sealed_media import Media
from schemas.records import Payload
from schemas.vocabulary import Outcome


@dataclass
class Kept:
    """See :class:`inference_workers.processing.Outbox`."""

    signals: list[tuple[str, int, Payload]] = field(default_factory=list)
    """Session, µs of capture, what was said."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def signal(
        self, item: Taken[Media], *, sequence: int, captured_at_us: int, payload: Payload, source: str = ""
    ) -> None:
        del sequence, source
        self.signals.append((item.record.session_id, captured_at_us, payload))

    def account(self, item: Taken[Media], outcome: Outcome) -> None:
        del item
        self.outcomes[outcome] += 1

    def note(self, session_id: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        del session_id, sequence
        self.outcomes[outcome] += count

    def dead_letter(self, item: Taken[Media], error: str) -> None:
        del item, error
