"""The face worker as a process, on a real broker, with real pictures and the real engine."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cli.broker import EmbeddedKafka, prepare
from inference_workers import models
from runtime.clock import SystemClock
from runtime.kafka import Publisher, consumer
from runtime.keystore import KeyRing, key_store
from runtime.sealing import media_binding
from runtime.settings import Settings
from runtime.topics import ensure_topics
from schemas.codec import Codec
from schemas.records import DeadLetter, LedgerEntry, Signal, VideoFrame
from schemas.topics import DEAD_LETTERS, LEDGER, MEDIA_VIDEO, SIGNALS
from schemas.vocabulary import EMOTIONS, Modality
from tests.support.cameras import Cameras, frame
from tests.support.edges import log_of
from tests.support.faces import astronaut, blank, jpeg, moved
from tests.support.ledger import accounted
from tests.support.prerequisites import cache_dir, required
from tests.support.processes import running
from tests.support.tiny_networks import head
from tests.support.waiting import eventually

CODEC = Codec()


@pytest.fixture(scope="module", autouse=True)
def _model() -> None:
    with required():
        for name in ("face_landmarker", "face_emotion"):
            models.locate(Settings(cache_dir=cache_dir()), name)


@pytest.fixture(scope="module")
def film() -> list[bytes]:
    """A face that moves."""
    return [jpeg(moved(astronaut(), x, 0)) for x in (0, 4, 8, 12, 8, 4)]


def publish(settings: Settings, records: list[VideoFrame]) -> None:
    publisher = Publisher(settings)
    for record in records:
        publisher.send(MEDIA_VIDEO, record.session_id, CODEC.encode(record))
    publisher.flush()


def outcomes(entries: list[LedgerEntry]) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        assert (entry.stage, entry.modality) == ("face_worker", "face")
        counted[entry.session_id, entry.outcome] += entry.count
    return counted


def test_pictures_of_several_sessions_become_signals(settings, film):
    with (
        running("face-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        with Cameras(settings, ["ann", "ben"], film) as cameras:
            eventually(lambda: cameras.sent >= 30, what="30 pictures of each")
        sent = cameras.sent
        last = SystemClock().now_us()
        publish(settings, [frame("ann", sent, jpeg(blank()), last)])
        ledger.until(lambda found: sum(outcomes(found).values()) == 2 * sent + 1)
        told = outcomes(ledger.records)
        used = told["ann", "used"] + told["ben", "used"]
        records = signals.until(lambda found: len(found) >= used)
        assert 'affectstream_records_in_total{topic="media.video"}' in worker.metrics()
        assert 'affectstream_lag_records{partition="' in worker.metrics()
    ann = [record for record in records if record.session_id == "ann"]
    ben = [record for record in records if record.session_id == "ben"]
    # On a machine that cannot keep up, pictures are stale: told, and never out of order.
    assert set(told) <= {("ann", "used"), ("ben", "used"), ("ann", "stale"), ("ben", "stale")}
    assert (len(ann), len(ben)) == (told["ann", "used"], told["ben", "used"])
    for session, seen in (("ann", ann), ("ben", ben)):
        sequences = [record.sequence for record in seen]
        assert sequences == sorted(set(sequences))
        assert accounted(ledger.records, session) == list(range(sent + (session == "ann")))
    assert all(EMOTIONS[int(np.argmax(record.payload.emotion_scores))] == "happy" for record in ben)
    assert {record.source for record in records} == {"landmarker@4"}
    assert {record.payload.track_id for record in ben} == {0}
    for record in records:
        assert record.received_at_us <= record.ingested_at_us <= record.consumed_at_us <= record.inferred_at_us
    assert ann[-1].sequence == sent
    assert not ann[-1].payload.face_detected
    assert ann[-1].payload.confidence == 0.0


def test_a_chain_of_ones_own_is_in_the_records_and_what_it_fails_on_is_answered(settings, film, tmp_path):
    """A head that sees sad faces in the dark, and in the light gives numbers that are no probabilities."""
    head(tmp_path / "head.onnx", {"out": [[0.05, 0.0], [0.0, 0.0], [0.0, 0.0]]}, bias=[1.0, 0.0])
    (tmp_path / "chain.yaml").write_text(
        "{name: gloomy, version: '1.2', licence: CC0-1.0, heads: [{file: head.onnx, input: {size: 32}, "
        "outputs: [{says: emotions, labels: [sad, happy], activation: none}]}]}"
    )
    chosen = settings.model_copy(update={"face_engine": "onnx", "face_chain": str(tmp_path / "chain.yaml")})
    now_us = SystemClock().now_us()
    dark = jpeg((astronaut() * 0.3).astype(np.uint8))
    with running("face-worker", chosen) as worker, log_of(settings, SIGNALS, Signal) as signals:
        publish(settings, [frame("ann", 0, dark, now_us), frame("ben", 0, film[0], now_us)])
        told = {record.session_id: record for record in signals.until(lambda found: len(found) == 2)}
        assert 'affectstream_engine_failures_total{engine="chain:gloomy@1.2+landmarker@4"} 1.0' in worker.metrics()
        assert "licence: CC0-1.0" in worker.log()
    named = {name: (r.source, EMOTIONS[int(np.argmax(r.payload.emotion_scores))]) for name, r in told.items()}
    assert named == {"ann": ("chain:gloomy@1.2+landmarker@4", "sad"), "ben": ("landmarker@4", "happy")}
    assert {name: record.payload.degraded for name, record in told.items()} == {"ann": False, "ben": True}


def test_bad_pictures_and_foreign_bytes_are_set_aside_and_the_worker_goes_on(settings, film):
    now_us = SystemClock().now_us()
    with (
        running("face-worker", settings),
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
        log_of(settings, DEAD_LETTERS, DeadLetter) as letters,
    ):
        publish(settings, [frame("ann", 0, b"\xff\xd8 rubbish", now_us), frame("ann", 1, film[0][:-500], now_us)])
        publisher = Publisher(settings)
        publisher.send(MEDIA_VIDEO, "ann", b"not Avro")
        publisher.flush()
        publish(settings, [frame("ann", 2, film[0], now_us)])
        (signal,) = signals.until(lambda found: found)
        assert signal.sequence == 2
        ledger.until(lambda found: sum(outcomes(found).values()) == 4)
        letters.until(lambda found: len(found) == 3)
    assert outcomes(ledger.records) == {("ann", "undecodable"): 2, ("ann", "unreadable"): 1, ("ann", "used"): 1}
    by_error = {letter.error: letter for letter in letters.records}
    truncated = next(letter for error, letter in by_error.items() if "truncated" in error)
    kept = CODEC.decode(VideoFrame, truncated.value)
    assert (kept.session_id, kept.sequence, kept.jpeg) == ("ann", 1, b"")
    assert any("not Avro single-object encoding" in error for error in by_error)


def test_a_killed_worker_goes_on_within_seconds_and_nothing_is_missing(settings, film):
    with (
        running("face-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        with Cameras(settings, ["ann", "ben"], film) as cameras:
            eventually(lambda: cameras.sent >= 45, what="pictures before the kill")
            signals.until(lambda found: len(found) >= 60)
            worker.kill()
            killed_at = time.monotonic()
            before = max(record.sequence for record in signals.read())
            worker.start()
            signals.until(lambda found: max(record.sequence for record in found) > before + 15)
            paused_s = time.monotonic() - killed_at
            eventually(lambda: cameras.sent >= 150, what="pictures after it", deadline_s=15)
        wanted = list(range(cameras.sent))
        for session in ("ann", "ben"):
            ledger.until(lambda found, s=session: sorted(set(accounted(found, s))) == wanted)
            # What was accounted twice can only be the second that the killed worker had not committed.
            assert len(accounted(ledger.records, session)) <= len(wanted) + 45
            seen = [record.sequence for record in signals.until(lambda found: found) if record.session_id == session]
            stale = outcomes(ledger.records)[session, "stale"]
            assert len(set(seen)) >= len(wanted) - stale
            assert max(seen) == wanted[-1]
    assert paused_s < 6.0, f"{paused_s:.1f} s from SIGKILL to new signals"


def test_a_stopped_worker_leaves_nothing_to_be_done_again(settings, film):
    with (
        running("face-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        with Cameras(settings, ["ann"], film) as cameras:
            eventually(lambda: cameras.sent >= 20, what="20 pictures")
            assert worker.stop() == 0
            worker.start()
            eventually(lambda: cameras.sent >= 60, what="40 more", deadline_s=20)
        assert worker.stop() == 0
        worker.start()
        # One more, which comes after everything that a restarted worker might have read again.
        publish(settings, [frame("ann", cameras.sent, film[0], SystemClock().now_us())])
        signals.until(lambda found: any(record.sequence == cameras.sent for record in found))
        assert worker.stop() == 0
        assert accounted(ledger.read(), "ann") == list(range(cameras.sent + 1))
        sequences = [record.sequence for record in signals.read()]
        assert len(sequences) == len(set(sequences)) == outcomes(ledger.records)["ann", "used"]


def test_two_instances_share_the_partitions_without_losing_a_picture(settings, film):
    sessions = [f"s{number}" for number in range(4)]
    with (
        running("face-worker", settings) as first,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
        Cameras(settings, sessions, film) as cameras,
    ):
        eventually(lambda: cameras.sent >= 15, what="pictures for one instance")
        with running("face-worker", settings.model_copy(update={"instance": "1"})) as second:

            def both_work() -> bool:
                return all(
                    "affectstream_records_in_total" in w.metrics() and taken(w.metrics()) for w in (first, second)
                )

            eventually(both_work, deadline_s=20, what="both instances take pictures")
            cameras.stop()
            wanted = list(range(cameras.sent))
            ledger.until(lambda found: all(sorted(set(accounted(found, s))) == wanted for s in sessions))
    assert all(accounted(ledger.records, session) == wanted for session in sessions)


def taken(metrics: str) -> float:
    """Records that a worker has taken, from its metrics page."""
    name = 'affectstream_records_in_total{topic="media.video"} '
    return next((float(line[len(name) :]) for line in metrics.splitlines() if line.startswith(name)), 0.0)


@pytest.fixture
def own_kafka(tmp_path) -> Iterator[EmbeddedKafka]:
    """A broker that this test may kill."""
    with required():
        broker = EmbeddedKafka(prepare(cache_dir()), tmp_path / "kafka")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def test_a_broker_that_goes_away_is_waited_for(own_kafka, tmp_path, film):
    settings = Settings.from_env(
        {},
        kafka_bootstrap_servers=own_kafka.bootstrap_servers,
        partitions=2,
        data_dir=tmp_path / "data",
        cache_dir=cache_dir(),
    )
    ensure_topics(settings)
    with running("face-worker", settings) as worker:
        pid = worker.pid
        publish(settings, [frame("ann", 0, film[0], SystemClock().now_us())])
        with log_of(settings, SIGNALS, Signal) as signals:
            signals.until(lambda found: len(found) == 1)
        own_kafka.kill()
        assert worker.ready()
        own_kafka.start()
        publish(settings, [frame("ann", n, film[0], SystemClock().now_us()) for n in (1, 2)])
        with log_of(settings, SIGNALS, Signal) as signals:
            signals.until(lambda found: {record.sequence for record in found} == {0, 1, 2}, deadline_s=20)
        assert worker.pid == pid
        assert worker.ready()
        assert "another goes on" not in worker.log(), "waiting is no hang"


def test_a_fenced_worker_joins_its_group_anew_and_accounts_for_every_picture(settings, film):
    with (
        running("face-worker", settings) as worker,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
        Cameras(settings, ["ann"], film) as cameras,
    ):
        ledger.until(lambda found: len(accounted(found, "ann")) > 10)
        # What a commit of before a broker's crash looks like to the group: someone else of the same name.
        intruder = consumer(settings, "face-worker", group_instance_id="face-worker-0",
                            partition_assignment_strategy="cooperative-sticky")  # fmt: skip
        intruder.subscribe([settings.topic(MEDIA_VIDEO)])

        def fenced() -> bool:
            intruder.poll(0.05)
            return "joins anew" in worker.log()

        eventually(fenced, deadline_s=60, what="the worker is fenced and joins anew")
        intruder.close()
        before = cameras.sent
        ledger.until(lambda found: len(set(accounted(found, "ann"))) > before + 30)
        assert worker.ended() is None
        cameras.stop()
        sent = cameras.sent
        ledger.until(lambda found: set(accounted(found, "ann")) == set(range(sent)))


def sealed(settings: Settings, record: VideoFrame) -> VideoFrame:
    """The record as the edge writes it."""
    seal = KeyRing(key_store(settings.data_dir)).made(record.session_id, "video")
    assert seal is not None
    bound_to = media_binding(record.session_id, Modality.FACE, record.sequence)
    return replace(record, jpeg=seal.seal(record.jpeg, bound_to), sealed=True)


def test_sealed_pictures_are_opened_and_what_has_no_key_is_counted_only(settings, film):
    now_us = SystemClock().now_us()
    records = [sealed(settings, frame(name, n, film[0], now_us)) for n in range(3) for name in ("ann", "ben")]
    erased = [replace(record, session_id="gone") for record in records[:2]]
    key_store(settings.data_dir).destroy("gone")
    foreign = replace(records[0], session_id="eve")
    moved_on = replace(records[0], sequence=3)
    with (
        running("face-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
        log_of(settings, DEAD_LETTERS, DeadLetter) as letters,
    ):
        publish(settings, [*records, *erased, foreign, moved_on])
        ledger.until(lambda found: sum(outcomes(found).values()) == 10)
        told = outcomes(ledger.records)
        assert {key: count for key, count in told.items() if key[1] not in {"used", "stale"}} == {
            ("gone", "erased"): 2,
            ("eve", "no_key"): 1,
            ("ann", "undecodable"): 1,
        }
        assert signals.until(lambda found: {record.session_id for record in found} == {"ann", "ben"})
        # Only what was tampered with is set aside, and without the picture.
        (letter,) = letters.until(lambda found: found)
        kept = CODEC.decode(VideoFrame, letter.value)
        assert (kept.session_id, kept.sequence, kept.jpeg, kept.sealed) == ("ann", 3, b"", False)

        # Erased while the worker goes on: it notices by itself.
        key_store(settings.data_dir).destroy("ben", ["video"])
        later = [sealed_with(records[1], n) for n in range(3, 300)]
        eventually(
            lambda: publish(settings, [later.pop(0)]) or outcomes(ledger.read())["ben", "erased"] >= 1,
            what="the worker to take notice",
            every_s=0.05,
        )
        assert "ben" not in worker.log()


def sealed_with(record: VideoFrame, sequence: int) -> VideoFrame:
    return replace(record, sequence=sequence)
