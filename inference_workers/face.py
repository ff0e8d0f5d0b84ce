"""What the face worker does with pictures: wait for a batch, decode, infer, describe. Pure of Kafka and of clocks."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference_workers.batching import BatchPolicy, MicroBatcher
from inference_workers.engines.protocols import FaceEngine, FaceInput, FaceOutput
from inference_workers.pictures import UndecodableError, decode
from inference_workers.processing import Outbox, Taken
from runtime.guardian import Watch
from runtime.metrics import Metrics, Stopwatch
from schemas.records import VideoFrame
from schemas.vocabulary import Outcome

log = logging.getLogger(__name__)

MAX_WAIT_US: Final = 5_000
STALE_AFTER_US: Final = 200_000
"""Fusion waits 120 ms for the face by default: a picture that is later than this is of no use to a live session."""
CAPACITY: Final = 128
FORGET_AFTER_US: Final = 60_000_000
SWEEP_EVERY_US: Final = 10_000_000

Frame = Taken[VideoFrame]


@dataclass(slots=True)
class _Session:
    partition: int
    used_at_us: int
    state: Any = None


def _key(item: Frame) -> str:
    """Which picture it is: the same after a restart."""
    return f"{item.record.session_id} {item.record.sequence}"


class FaceProcessor:
    """A :class:`~inference_workers.processing.Processor` of pictures.

    Every picture is used, stale, undecodable or an engine error. Stale are those that a live session's newer pictures
    have overtaken (:mod:`inference_workers.batching`); pictures of a recording that is played faster than real time,
    known by being captured after they were received, are never stale.
    """

    def __init__(self, engine: FaceEngine, metrics: Metrics, watch: Watch | None = None) -> None:
        """``watch``: told what the engine is at; a picture that a predecessor ended on is an engine error at once."""
        self._watch = watch or Watch()
        self._engine = engine
        self._metrics = metrics
        self._batcher: MicroBatcher[Frame] = MicroBatcher(
            BatchPolicy(engine.max_batch, MAX_WAIT_US if engine.max_batch > 1 else 0, STALE_AFTER_US, CAPACITY)
        )
        self._stale: list[Frame] = []
        self._sessions: dict[str, _Session] = {}
        self._swept_at_us = 0

    def room(self) -> int:
        return self._batcher.room()

    def accept(self, item: Frame) -> None:
        record = item.record
        self._stale += self._batcher.add(
            record.session_id,
            item,
            arrived_at_us=record.received_at_us,
            taken_at_us=item.consumed_at_us,
            lossless=record.captured_at_us > record.received_at_us,
        )

    def run(self, now_us: int, outbox: Outbox) -> int | None:
        self._account_stale(outbox)
        self._sweep(now_us)
        due_us = self._batcher.due_at_us()
        if due_us is not None and due_us <= now_us:
            self._infer(self._batcher.take(), now_us, outbox)
            due_us = self._batcher.due_at_us()
        return due_us

    def needed_from(self, partition: int) -> int | None:
        del partition  # settle() leaves nothing waiting, and a track is found again in one picture
        return None

    def settle(self, now_us: int, outbox: Outbox) -> None:
        self._account_stale(outbox)
        while len(self._batcher):
            self._infer(self._batcher.take(), now_us, outbox)

    def forget(self, partitions: Sequence[int]) -> None:
        gone = set(partitions)
        self._sessions = {name: held for name, held in self._sessions.items() if held.partition not in gone}

    def erase(self, gone: Callable[[str], bool], outbox: Outbox) -> None:
        self._account_stale(outbox)
        for item in self._batcher.discard(lambda session: gone(str(session))):
            outbox.account(item, Outcome.ERASED)
        self._sessions = {name: held for name, held in self._sessions.items() if not gone(name)}

    def _account_stale(self, outbox: Outbox) -> None:
        for item in self._stale:
            outbox.account(item, Outcome.STALE)
        self._stale.clear()

    def _sweep(self, now_us: int) -> None:
        """Free sessions that sent nothing for a minute; one that goes on is searched for its face again."""
        if now_us - self._swept_at_us < SWEEP_EVERY_US:
            return
        self._swept_at_us = now_us
        self._sessions = {
            name: held for name, held in self._sessions.items() if now_us - held.used_at_us < FORGET_AFTER_US
        }
        self._metrics.set("sessions_active", len(self._sessions))

    def _infer(self, batch: Sequence[Frame], now_us: int, outbox: Outbox) -> None:
        items: list[Frame] = []
        inputs: list[FaceInput] = []
        for item in batch:
            self._metrics.observe(
                "queue_seconds", max(now_us - item.consumed_at_us, 0) / 1e6, engine=self._engine.source
            )
            if self._watch.suspected(_key(item)):
                outbox.account(item, Outcome.ENGINE_ERROR)
                continue
            try:
                with self._watch.over([_key(item)]):
                    picture = decode(item.record.jpeg)
            except UndecodableError as error:
                outbox.account(item, Outcome.UNDECODABLE)
                if not item.accounted:
                    outbox.dead_letter(item, f"{len(item.record.jpeg)} bytes: {error}")
                continue
            session = self._sessions.setdefault(item.record.session_id, _Session(item.partition, now_us))
            session.used_at_us = now_us
            items.append(item)
            inputs.append(FaceInput(picture, item.record.captured_at_us, session.state))
        if not items:
            return
        watch = Stopwatch()
        outputs = self._attempt(inputs, [_key(item) for item in items])
        self._metrics.observe("inference_seconds", watch.seconds(), engine=self._engine.source)
        self._metrics.observe("batch_size", len(items), engine=self._engine.source)
        for item, output in zip(items, outputs, strict=True):
            session = self._sessions[item.record.session_id]
            session.state = None if output is None else output.state
            if output is None:
                outbox.account(item, Outcome.ENGINE_ERROR)
                continue
            record = item.record
            outbox.signal(
                item,
                sequence=record.sequence,
                captured_at_us=record.captured_at_us,
                payload=output.signal,
                source=output.source,
            )
            outbox.account(item, Outcome.USED)

    def _attempt(self, inputs: Sequence[FaceInput], keys: Sequence[str]) -> Sequence[FaceOutput | None]:
        """The engine's answers; None for a picture that it fails on. A batch that fails is tried one by one."""
        try:
            with self._watch.over(keys):
                return self._engine.infer(inputs)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything: the picture is lost, the worker is not
            if len(inputs) > 1:
                pairs = zip(inputs, keys, strict=True)
                return [output for each, key in pairs for output in self._attempt([each], [key])]
            log.warning("%s fails on a picture: %s: %s", self._engine.source, type(error).__name__, error)
            return [None]
