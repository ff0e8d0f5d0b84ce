"""Does every hop account for all that came in? Counts from the log, beside what the clients sent and got."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Message

from benchmarks.fusion.kafka_log import read_topic
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AvatarFrame, FaceSignal, LedgerEntry, Signal, SpeechSignal
from schemas.topics import AVATAR_FRAMES, LEDGER, SIGNALS, Topic
from schemas.vocabulary import Outcome, Stage

NO_ITEMS: Final = frozenset({Outcome.GAP.value})
"""Outcomes that count what is missing, not what came in."""


@dataclass
class Log:
    """What stands in the log: counts."""

    ledger: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By stage, modality and outcome."""
    signals: Counter[str] = field(default_factory=Counter)
    """By modality."""
    frames: int = 0


def read(settings: Settings) -> Log:
    """Read the ledger, the signals and the frames."""
    found, codec = Log(), Codec()

    def ledger(message: Message) -> None:
        entry = codec.decode(LedgerEntry, message.value())
        if entry.outcome not in NO_ITEMS:
            found.ledger[entry.stage, entry.modality, entry.outcome] += entry.count

    def signal(message: Message) -> None:
        payload = codec.decode(Signal, message.value()).payload
        found.signals["face"] += isinstance(payload, FaceSignal)
        found.signals["speech"] += isinstance(payload, SpeechSignal)

    def frame(message: Message) -> None:
        codec.decode(AvatarFrame, message.value())
        found.frames += 1

    takers: Mapping[Topic, Any] = {LEDGER: ledger, SIGNALS: signal, AVATAR_FRAMES: frame}
    for topic, take in takers.items():
        read_topic(settings, topic, lambda messages, take=take: [take(message) for message in messages])  # type: ignore[misc]
    return found


def mistakes(log: Log, sent: Mapping[str, int], got: int) -> list[str]:
    """Where a hop does not account for what came in, in words; ``sent`` by modality, ``got`` frames at the clients."""
    wrong = []

    def compare(what: str, came_in: int, accounted: int) -> None:
        if came_in != accounted:
            wrong.append(f"{what}: {came_in:,} came in, {accounted:,} are accounted for")

    for modality, count in sent.items():
        compare(f"edge, {modality}", count, _all(log, Stage.INGEST, modality))
        used = log.ledger[Stage.INGEST.value, modality, Outcome.USED.value]
        compare(f"signals, {modality}", used, log.signals[modality])
        compare(f"fusion, {modality}", log.signals[modality], _all(log, Stage.FUSION, modality))
    shown = log.ledger[Stage.EGRESS.value, "avatar", Outcome.USED.value]
    compare("frames at the clients", shown, got)
    return wrong


def _all(log: Log, stage: Stage, modality: str) -> int:
    return sum(count for (at, of, _), count in log.ledger.items() if at == stage.value and of == modality)


def dropped(log: Log) -> Mapping[str, int]:
    """What was dropped, by stage, modality and reason."""
    return {
        f"{stage} {modality} {outcome}": count
        for (stage, modality, outcome), count in sorted(log.ledger.items())
        if outcome != Outcome.USED.value
    }
