"""Pictures to faces: what one costs on one core, and how soon its signal is there at 30 a second.

The rate is that of the worker's own processor, from JPEG to a whole FaceSignal, without Kafka. The latency is that of
``affectstream run face-worker``, a process of its own on a real Kafka: from its taking a picture to its signal, and,
besides, from the edge's stamp on the picture.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import Topics, read_topic
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.processes import Candidate, CandidateError, Program, environment, is_ready
from benchmarks.workers.media import EPOCH_US, Recorded, picture
from benchmarks.workers.outbox import Kept
from cli.sample import GroundTruth
from inference_workers.engines.protocols import FaceEngine
from inference_workers.face import FaceProcessor
from inference_workers.pictures import decode
from inference_workers.processing import Taken
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.keystore import KeyRing, key_store
from runtime.metrics import Metrics
from runtime.sealing import media_binding
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import FaceSignal, LedgerEntry, Signal
from schemas.topics import LEDGER, MEDIA_VIDEO, SIGNALS
from schemas.vocabulary import Modality, Outcome, Stage

RATE_HZ: Final = 30
EDGE_S: Final = 0.1
"""So near to where the truth changes, the engine may be a picture early or late."""
AGREED: Final = 0.99
"""Share of the pictures in which a face must be found exactly if one shows."""
WARM_S: Final = 2.0
SETTLE_DEADLINE_S: Final = 20.0

Fractions = tuple[float, float, float, float]
"""A box: left, top, width, height as fractions of the picture."""
Seen = tuple[bytes, Fractions]
"""A JPEG, and where the face is."""


@dataclass(frozen=True)
class FaceRate:
    """What a picture costs one core, from JPEG to signal."""

    faces_per_s: float
    """Median of the runs."""
    spread: tuple[float, float]
    picture_ms: float
    decode_ms: float
    faces: int
    """Pictures with a face, of one run."""


@dataclass(frozen=True)
class FaceLatency:
    """Of one session live: from the worker's taking a picture to its signal."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    from_edge_ms: tuple[float, float]
    """p50 and p95 from the edge's stamp on: with the way through Kafka."""
    pictures: int
    """Measured; with those that were left out, they are all that were sent."""
    left_out: int
    """Pictures that the worker gave up as a newer one was there, told in its ledger: it was held up for that long."""
    cpu_ms: float
    """Of the worker's process, a picture."""


def rate_of(engine: FaceEngine, recorded: Recorded, repeats: int) -> FaceRate:
    """CPU time of the pictures that show a face; CandidateError if the engine does not see what they show."""
    shown = recorded.with_faces()
    answers = _run(engine, recorded.pictures)[0]
    check_seen(
        recorded.truth, [(at_s, said.face_detected) for (at_s, _), said in zip(recorded.pictures, answers, strict=True)]
    )
    rates = sorted(len(shown) / _run(engine, shown)[1] for _ in range(repeats))
    began_s = time.process_time()
    for _, jpeg in shown:
        decode(jpeg)
    decode_s = time.process_time() - began_s
    typical = median(rates)
    return FaceRate(
        faces_per_s=typical, spread=(rates[0], rates[-1]), picture_ms=1e3 / typical,
        decode_ms=1e3 * decode_s / len(shown), faces=len(shown),
    )  # fmt: skip


def check_seen(truth: GroundTruth, seen: Sequence[tuple[float, bool]]) -> None:
    """Raise CandidateError unless a face was seen where the sample shows one, and none where it is black."""
    clear = [
        (truth.shows_face(at_s), found)
        for at_s, found in seen
        if truth.shows_face(at_s, margin_s=EDGE_S) or not truth.shows_face(at_s, margin_s=-EDGE_S)
    ]
    right = sum(shown == found for shown, found in clear)
    if not clear or right < AGREED * len(clear):
        raise CandidateError(f"faces were seen rightly in {right} of {len(clear)} pictures only: nothing to measure")


def faces_of(engine: FaceEngine, pictures: Sequence[tuple[float, bytes]]) -> list[Seen]:
    """Where the face is in each picture."""
    return [(jpeg, _fractions(said)) for (_, jpeg), said in zip(pictures, _run(engine, pictures)[0], strict=True)]


def _fractions(said: FaceSignal) -> Fractions:
    left, top, width, height = said.box
    return left, top, width, height


def _run(engine: FaceEngine, pictures: Sequence[tuple[float, bytes]]) -> tuple[list[FaceSignal], float]:
    """What the processor says of the pictures of one session, and the CPU-seconds that it took."""
    processor, outbox = FaceProcessor(engine, Metrics("face-worker")), Kept()
    taken = [
        Taken(
            # Captured after it was received: a recording, of which nothing is stale.
            picture("bench", number, jpeg, captured_at_us=EPOCH_US + round(at_s * 1e6), received_at_us=EPOCH_US - 1),
            partition=0, offset=number, consumed_at_us=EPOCH_US,
        )
        for number, (at_s, jpeg) in enumerate(pictures)
    ]  # fmt: skip
    began_s = time.process_time()
    for item in taken:
        processor.accept(item)
        processor.settle(EPOCH_US, outbox)
    spent_s = time.process_time() - began_s
    said = [payload for _, _, payload in outbox.signals if isinstance(payload, FaceSignal)]
    if len(said) != len(pictures):
        raise CandidateError(f"{len(pictures)} pictures gave {len(said)} signals: {dict(outbox.outcomes)}")
    return said, spent_s


def latency_of(
    settings: Settings, recorded: Recorded, seconds: float, folder: Path, rate_hz: int = RATE_HZ
) -> FaceLatency:
    """One session live through the real worker; CandidateError if a picture is neither answered nor accounted for."""
    own = topics_of_a_run(settings, folder)
    program = Program((sys.executable, "-m", "cli", "run", "face-worker"), environment(**own.to_env()), ROOT)
    warm = round(WARM_S * rate_hz)
    wanted = warm + round(seconds * rate_hz)
    with Topics(own) as topics, Candidate(program, own.data_dir / "output.txt") as worker:
        worker.wait_for(lambda: is_ready("face-worker", own.metrics_port))
        began_cpu_s = worker.cpu_s()
        _film(own, recorded, wanted, rate_hz)
        until = time.monotonic() + SETTLE_DEADLINE_S
        while topics.count(SIGNALS) + len(left_out := _left_out(own)) < wanted and time.monotonic() < until:
            worker.require_running()
            time.sleep(0.1)
        spent_s = worker.cpu_s() - began_cpu_s
        found = _stamps(own)
    if len(found) + len(left_out) != wanted:
        raise CandidateError(
            f"{wanted} pictures gave {len(found)} signals, and {len(left_out)} were left out: the others are missing"
        )
    stamps = np.array([each[1:] for each in found if each[0] >= warm]) / 1e3
    if not len(stamps):
        raise CandidateError(f"the worker left out all of {wanted} pictures at {rate_hz}/s: nothing to measure")
    ingested, consumed, inferred = stamps.T
    p50, p95, p99 = np.percentile(inferred - consumed, [50, 95, 99]).tolist()
    whole_p50, whole_p95 = np.percentile(inferred - ingested, [50, 95]).tolist()
    late = sum(sequence >= warm for sequence in left_out)
    return FaceLatency(p50, p95, p99, (whole_p50, whole_p95), len(stamps), late, 1e3 * spent_s / wanted)


def _film(settings: Settings, recorded: Recorded, count: int, rate_hz: int) -> None:
    """Publish pictures at their pace, sealed, as the edge does."""
    codec, clock, publisher = Codec(), SystemClock(), Publisher(settings)
    seal = KeyRing(key_store(settings.data_dir)).made("bench", "video")
    assert seal is not None
    began_s = time.monotonic()
    for number in range(count):
        wait_s = began_s + number / rate_hz - time.monotonic()
        if wait_s > 0:
            publisher.poll()
            time.sleep(wait_s)
        _, jpeg = recorded.pictures[number % len(recorded.pictures)]
        now_us = clock.now_us()
        record = picture("bench", number, jpeg, captured_at_us=now_us - 20_000, received_at_us=now_us)
        sealed = replace(record, jpeg=seal.seal(jpeg, media_binding("bench", Modality.FACE, number)), sealed=True)
        publisher.send(MEDIA_VIDEO, "bench", codec.encode(sealed))
    publisher.flush()


def _left_out(settings: Settings) -> list[int]:
    """Numbers of the pictures that the ledger says were given up for newer ones."""
    codec, found = Codec(), list[int]()

    def note(messages: list[Any]) -> None:
        for message in messages:
            entry = codec.decode(LedgerEntry, message.value())
            if entry.stage == Stage.FACE_WORKER.value and entry.outcome == Outcome.STALE.value:
                found.extend(range(entry.first_sequence, entry.last_sequence + 1))

    read_topic(settings, LEDGER, note)
    return found


def _stamps(settings: Settings) -> list[tuple[int, int, int, int]]:
    """Of every signal in the log: sequence, and µs when ingested, taken by the worker, and inferred."""
    codec, found = Codec(), list[tuple[int, int, int, int]]()

    def note(messages: list[Any]) -> None:
        signals = [codec.decode(Signal, message.value()) for message in messages]
        found.extend((each.sequence, each.ingested_at_us, each.consumed_at_us, each.inferred_at_us) for each in signals)

    read_topic(settings, SIGNALS, note)
    return found
