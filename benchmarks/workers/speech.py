"""Sound to visemes, voice activity and emotion: CPU-seconds a second of one session's sound.

The worker's own processor with its real engines, without Kafka, for one session alone and for many whose hops are
inferred together. The sample's sound: somebody speaks during half of it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.processes import CandidateError
from benchmarks.workers.media import CHUNK_MS, EPOCH_US, Recorded, chunk
from benchmarks.workers.outbox import Kept
from cli.sample import GroundTruth
from inference_workers.processing import Taken
from inference_workers.speech.processor import SpeechProcessor
from inference_workers.speech.timeline import HOP_US
from schemas.records import SpeechSignal

AGREED: Final = 0.9
"""Share of the hops in which the voice must be heard exactly if somebody speaks: words have pauses between them."""
EDGE_S: Final = 0.4


@dataclass(frozen=True)
class SpeechCost:
    """CPU-seconds a second of one session's sound."""

    sessions: int
    rtf: float
    """Median of the runs."""
    spread: tuple[float, float]


def cost_of(make: Callable[[], SpeechProcessor], recorded: Recorded, sessions: int, repeats: int) -> SpeechCost:
    """What ``sessions`` at once cost; CandidateError if hops are missing or the voice is not heard where it is."""
    runs = [_run(make(), recorded, sessions) for _ in range(repeats)]
    said, _ = runs[0]
    check_heard(recorded.truth, [(at_s, hop.speaking_probability > 0.5) for at_s, hop in said["bench-0"]])
    sound_s = len(recorded.chunks) * CHUNK_MS / 1e3
    costs = sorted(spent_s / sound_s / sessions for _, spent_s in runs)
    return SpeechCost(sessions, median(costs), (costs[0], costs[-1]))


def check_heard(truth: GroundTruth, heard: Sequence[tuple[float, bool]]) -> None:
    """Raise CandidateError unless a voice was heard where somebody speaks, and none where nobody does."""
    clear = [
        (truth.speaks(at_s), found)
        for at_s, found in heard
        if truth.speaks(at_s, margin_s=EDGE_S) or truth.silent(at_s, margin_s=EDGE_S)
    ]
    right = sum(speaks == found for speaks, found in clear)
    if not clear or right < AGREED * len(clear):
        raise CandidateError(f"the voice was heard rightly in {right} of {len(clear)} hops only: nothing to measure")


def _run(
    processor: SpeechProcessor, recorded: Recorded, sessions: int
) -> tuple[dict[str, list[tuple[float, SpeechSignal]]], float]:
    """What was said of each session, by seconds from the start; and the CPU-seconds that it took."""
    outbox = Kept()
    rounds = [
        [
            Taken(
                chunk(f"bench-{which}", number, pcm, captured_at_us=EPOCH_US + round(at_s * 1e6)),
                partition=0, offset=number, consumed_at_us=EPOCH_US + round(at_s * 1e6),
            )
            for which in range(sessions)
        ]
        for number, (at_s, pcm) in enumerate(recorded.chunks)
    ]  # fmt: skip
    began_s = time.process_time()
    for chunks in rounds:
        for item in chunks:
            processor.accept(item)
        processor.settle(chunks[0].consumed_at_us, outbox)
    spent_s = time.process_time() - began_s
    said: dict[str, list[tuple[float, SpeechSignal]]] = {f"bench-{which}": [] for which in range(sessions)}
    for session_id, captured_at_us, payload in outbox.signals:
        assert isinstance(payload, SpeechSignal)
        said[session_id].append(((captured_at_us - EPOCH_US) / 1e6, payload))
    hops = len(recorded.chunks) * CHUNK_MS * 1_000 // HOP_US
    short = [name for name, found in said.items() if len(found) < hops - 2]
    if short:
        raise CandidateError(f"{hops} hops of sound gave {len(said[short[0]])} signals: {dict(outbox.outcomes)}")
    return said, spent_s
