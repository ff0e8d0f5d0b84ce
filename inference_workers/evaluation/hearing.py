"""Recordings through the speech worker's own processor, as if they were said live; no Kafka, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.protocols import SpeechEmotion
from inference_workers.processing import Taken
from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech.processor import SpeechProcessor
from runtime.sealed_media import Media
from schemas.records import AudioChunk, Payload, SpeechSignal
from schemas.vocabulary import EMOTIONS, Outcome

Samples = NDArray[np.float32]

CHUNK: Final = SAMPLE_RATE_HZ // 50
START_US: Final = 1_800_000_000_000_000
"""On the grid of hops."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was published of the sound up to ``at_s`` from the recording's begin."""

    at_s: float
    signal: SpeechSignal


class Unfelt:
    """A speech engine that feels nothing: for evaluations that are not about emotion."""

    source: Final = "none@1"
    max_batch: Final = 64

    def warm_up(self) -> None:
        """Nothing to warm."""

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        nothing = SpeechEmotion((0.0,) * len(EMOTIONS), 1.0, confidence=0.0, valence=0.0, arousal=0.0, dominance=0.0)
        return [nothing] * len(windows)


class _Notebook:
    """An outbox that keeps what is published."""

    def __init__(self) -> None:
        self.heard: dict[str, list[Heard]] = {}

    def signal(
        self, item: Taken[Media], *, sequence: int, captured_at_us: int, payload: Payload, source: str = ""
    ) -> None:
        del sequence, source
        assert isinstance(payload, SpeechSignal)
        at_s = (captured_at_us - START_US) / 1e6
        self.heard.setdefault(item.record.session_id, []).append(Heard(at_s, payload))

    def account(self, item: Taken[Media], outcome: Outcome) -> None:
        assert outcome is Outcome.USED, (item.record.session_id, outcome)

    def note(self, session_id: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        raise AssertionError((session_id, outcome, sequence, count))

    def dead_letter(self, item: Taken[Media], error: str) -> None:
        raise AssertionError((item.record.session_id, error))


def hear(recordings: Mapping[str, Samples], processor: SpeechProcessor) -> Mapping[str, Sequence[Heard]]:
    """What the processor publishes of each recording, a session of its own each, spoken at the same time."""
    notebook = _Notebook()
    longest = max((len(samples) for samples in recordings.values()), default=0)
    for number in range(longest // CHUNK):
        at_us = START_US + number * CHUNK * 1_000_000 // SAMPLE_RATE_HZ
        for name, samples in recordings.items():
            piece = samples[number * CHUNK : (number + 1) * CHUNK]
            if len(piece) == CHUNK:
                pcm = np.round(piece.clip(-1.0, 1.0) * 32_767).astype("<i2").tobytes()
                chunk = AudioChunk(at_us, at_us, at_us, SAMPLE_RATE_HZ, number, name, pcm)
                processor.accept(Taken(chunk, 0, number, at_us))
        processor.settle(at_us, notebook)
    return {name: notebook.heard.get(name, []) for name in recordings}
