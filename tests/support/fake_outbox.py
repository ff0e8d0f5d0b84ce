"""An outbox that keeps what it is given."""

from dataclasses import dataclass, field

from inference_workers.processing import Taken
from runtime.sealed_media import Media
from schemas.records import Payload
from schemas.vocabulary import Outcome


@dataclass(frozen=True)
class Sent:
    """A signal as a processor sent it."""

    session_id: str
    sequence: int
    captured_at_us: int
    payload: Payload
    source: str = ""


@dataclass
class FakeOutbox:
    """Everything by kind, in order."""

    signals: list[Sent] = field(default_factory=list)
    accounts: list[tuple[str, int, Outcome]] = field(default_factory=list)
    notes: list[tuple[str, Outcome, int, int]] = field(default_factory=list)
    letters: list[tuple[int, str]] = field(default_factory=list)

    def signal(
        self, item: Taken[Media], *, sequence: int, captured_at_us: int, payload: Payload, source: str = ""
    ) -> None:
        self.signals.append(Sent(item.record.session_id, sequence, captured_at_us, payload, source))

    def account(self, item: Taken[Media], outcome: Outcome) -> None:
        if not item.accounted:
            self.accounts.append((item.record.session_id, item.record.sequence, outcome))

    def note(self, session_id: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        self.notes.append((session_id, outcome, sequence, count))

    def dead_letter(self, item: Taken[Media], error: str) -> None:
        self.letters.append((item.offset, error))
