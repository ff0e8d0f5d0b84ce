"""What became of every item that came in: runs of outcomes for ``ledger``, unreadable records for ``dead.letters``."""

import logging
from collections.abc import Sequence

from runtime.clock import Clock
from runtime.kafka import Message, Publisher
from runtime.metrics import Metrics
from schemas.codec import Codec
from schemas.records import DeadLetter, LedgerEntry
from schemas.topics import DEAD_LETTERS, LEDGER, Topic
from schemas.vocabulary import Stage

log = logging.getLogger(__name__)


class DeadLetterBox:
    """Sets unreadable records aside on ``dead.letters``, counted."""

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, stage: Stage, metrics: Metrics) -> None:
        self._publisher = publisher
        self._codec = codec
        self._clock = clock
        self._stage = stage
        self._metrics = metrics

    def put(self, message: Message, topic: Topic, error: str) -> None:
        """Set ``message`` aside; it counts as handled once the publisher is flushed."""
        key = message.key() or b""
        self.put_bytes(
            topic,
            partition=int(message.partition() or 0),
            offset=int(message.offset() or 0),
            key=key if isinstance(key, bytes) else key.encode(),
            value=bytes(message.value() or b""),
            error=error,
        )

    def put_bytes(self, topic: Topic, *, partition: int, offset: int, key: bytes, value: bytes, error: str) -> None:
        """Like :meth:`put`, for a record whose message is no longer at hand."""
        letter = DeadLetter(
            recorded_at_us=self._clock.now_us(),
            stage=self._stage.value,
            topic=topic,
            partition=partition,
            offset=offset,
            error=error,
            key=key,
            value=value,
        )
        self._publisher.send_waiting(DEAD_LETTERS, key, self._codec.encode(letter))
        self._metrics.count("dead_letters_total", topic=topic)
        log.warning("dead letter: %s[%d]@%d: %s", topic, partition, offset, error)


class Ledger:
    """Collects what became of each item, and writes runs of equal outcomes to ``ledger``.

    Consecutive sequences of one session, modality and outcome become one entry. Not thread-safe: one a thread.
    """

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, stage: Stage, metrics: Metrics) -> None:
        self._publisher = publisher
        self._codec = codec
        self._clock = clock
        self._stage = stage
        self._metrics = metrics
        self._open: dict[tuple[str, str, str], list[int]] = {}
        self._closed: list[tuple[tuple[str, str, str], list[int]]] = []

    def note(self, session_id: str, modality: str, outcome: str, sequence: int = -1, count: int = 1) -> None:
        """Note that ``count`` items from ``sequence`` on (-1: unnumbered) had this outcome."""
        if outcome != "used":
            self._metrics.count("dropped_total", count, modality=modality, outcome=outcome)
        key = (session_id, modality, outcome)
        run = self._open.get(key)
        last = sequence + count - 1 if sequence >= 0 else -1
        if run is not None and (run[1] + 1 == sequence or (sequence < 0 and run[1] < 0)):
            run[1] = last
            run[2] += count
            return
        if run is not None:
            self._closed.append((key, run))
        self._open[key] = [sequence, last, count]

    def flush(self) -> None:
        """Queue every run; durable once the publisher is flushed. The only method that may block (on a full queue)."""
        closed, self._closed = self._closed, []
        for key, run in [*closed, *self._open.items()]:
            self._write(key, run)
        self._open.clear()

    def _write(self, key: tuple[str, str, str], run: Sequence[int]) -> None:
        session_id, modality, outcome = key
        entry = LedgerEntry(
            recorded_at_us=self._clock.now_us(),
            stage=self._stage.value,
            modality=modality,
            outcome=outcome,
            count=run[2],
            first_sequence=run[0],
            last_sequence=run[1],
            session_id=session_id,
        )
        self._publisher.send_waiting(LEDGER, session_id, self._codec.encode(entry))
