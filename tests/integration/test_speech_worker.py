"""The speech worker as a process, on a real broker, with real speech and the real models."""

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from inference_workers import models
from inference_workers.speech.timeline import HOP_US
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AudioChunk, DeadLetter, LedgerEntry, Signal
from schemas.topics import DEAD_LETTERS, LEDGER, MEDIA_AUDIO, SIGNALS
from schemas.vocabulary import EMOTIONS, VISEMES
from tests.support.edges import log_of
from tests.support.ledger import accounted
from tests.support.microphones import Microphones, publish
from tests.support.prerequisites import cache_dir, required
from tests.support.processes import running
from tests.support.voices import chunks, sample_speech
from tests.support.waiting import eventually

CODEC = Codec()
T0 = 1_800_000_000_013_000


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    with required():
        for name in ("silero_vad", "speech_emotion", "speech_emotion_noise", "viseme"):
            models.locate(Settings(cache_dir=cache_dir()), name)


def outcomes(entries: list[LedgerEntry]) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        assert (entry.stage, entry.modality) == ("speech_worker", "speech")
        counted[entry.session_id, entry.outcome] += entry.count
    return counted


def hops_of(records: list[Signal], session: str) -> list[int]:
    return [record.sequence for record in records if record.session_id == session]


def whole_hops(start_us: int, chunk_count: int) -> list[int]:
    """The hops that chunks of 20 ms from ``start_us`` on cover."""
    return list(range(-(-start_us // HOP_US) + 1, (start_us + chunk_count * 20_000) // HOP_US + 1))


def test_speech_becomes_a_signal_every_40_ms(settings):
    sound, truth = sample_speech()
    records = {session: list(chunks(sound, session, T0 + n * 7_000)) for n, session in enumerate(("ann", "ben"))}
    with (
        running("speech-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        publish(settings, [chunk for pair in zip(*records.values(), strict=True) for chunk in pair])
        found = signals.until(lambda found: len(found) >= 2 * (len(sound) // 640) - 2, deadline_s=30)
        ledger.until(lambda found: sum(outcomes(found).values()) == 2 * len(records["ann"]))
        assert 'affectstream_records_in_total{topic="media.audio"}' in worker.metrics()
    assert outcomes(ledger.records) == {(session, "used"): len(records["ann"]) for session in records}
    for session, start_us in (("ann", T0), ("ben", T0 + 7_000)):
        assert hops_of(found, session) == whole_hops(start_us, len(records[session]))
        assert accounted(ledger.records, session) == list(range(len(records[session])))
    ann = [record for record in found if record.session_id == "ann"]
    for record in ann:
        payload = record.payload
        assert record.captured_at_us == record.sequence * HOP_US
        assert record.received_at_us <= record.ingested_at_us
        assert record.consumed_at_us <= record.inferred_at_us
        assert sum(payload.viseme_scores) == pytest.approx(1.0, abs=1e-5)
        assert sum(payload.emotion_scores) + payload.emotion_unknown in (0.0, pytest.approx(1.0, abs=1e-5))
        assert not payload.degraded
    assert {record.source for record in found} == {"embedded-speech@2"}

    def middle_s(record: Signal) -> float:
        return (record.captured_at_us - T0) / 1e6 - 0.02

    spoken = [record.payload for record in ann if truth.speaks(middle_s(record), margin_s=0.2)]
    silent = [record.payload for record in ann if truth.silent(middle_s(record), margin_s=0.4)]
    assert np.mean([payload.speaking_probability > 0.7 for payload in spoken]) > 0.9
    assert max(payload.speaking_probability for payload in silent) < 0.3
    assert {VISEMES[int(np.argmax(payload.viseme_scores))] for payload in silent} == {"sil"}
    assert len({VISEMES[int(np.argmax(payload.viseme_scores))] for payload in spoken}) >= 10
    felt = [payload for payload in spoken if payload.emotion_confidence > 0.5]
    assert len(felt) > len(spoken) / 2
    assert Counter(EMOTIONS[int(np.argmax(p.emotion_scores))] for p in felt).most_common(1)[0][0] == "neutral"


def test_what_is_no_sound_is_set_aside_and_the_worker_goes_on(settings):
    sound, _ = sample_speech()
    good = list(chunks(sound[:6_400], "ann", T0))
    bad = [replace(good[3], sequence=3, pcm=b"abc"), replace(good[4], sample_rate_hz=48_000)]
    with (
        running("speech-worker", settings),
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
        log_of(settings, DEAD_LETTERS, DeadLetter) as letters,
    ):
        publish(settings, good[:3] + bad)
        publisher = Publisher(settings)
        publisher.send(MEDIA_AUDIO, "ann", b"not Avro")
        publisher.flush()
        publish(settings, [*good[5:], good[6]])
        ledger.until(lambda found: sum(outcomes(found).values()) == len(good) + 2)
        letters.until(lambda found: len(found) == 3)
        signals.until(lambda found: len(found) == len(whole_hops(T0, len(good))))
    assert outcomes(ledger.records) == {
        ("ann", "used"): len(good) - 2,
        ("ann", "undecodable"): 2,
        ("ann", "unreadable"): 1,
        ("ann", "duplicate"): 1,
    }
    # Two lost chunks are 40 ms: silence stands for them.
    assert hops_of(signals.records, "ann") == whole_hops(T0, len(good))
    kept = [CODEC.decode(AudioChunk, letter.value) for letter in letters.records if "16" in letter.error]
    assert kept
    assert all(chunk.pcm == b"" for chunk in kept)


def test_a_killed_worker_misses_no_hop_and_numbers_alike(settings):
    sound, _ = sample_speech()
    with (
        running("speech-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        with Microphones(settings, ["ann", "ben"], sound) as microphones:
            eventually(lambda: microphones.sent >= 225, what="4.5 s of sound", deadline_s=15)
            signals.until(lambda found: len(found) >= 200)
            worker.kill()
            killed_at = time.monotonic()
            before = max(record.sequence for record in signals.read())
            worker.start()
            signals.until(lambda found: max(record.sequence for record in found) > before + 15)
            paused_s = time.monotonic() - killed_at
            eventually(lambda: microphones.sent >= 450, what="4.5 s after it", deadline_s=20)
        sent = microphones.sent
        for session in ("ann", "ben"):
            wanted = whole_hops(microphones.start_us, sent)
            signals.until(lambda found, s=session, w=wanted: sorted(set(hops_of(found, s))) == w)
            ledger.until(lambda found, s=session: sorted(set(accounted(found, s))) == list(range(sent)))
            # What was accounted twice can only be the second that the killed worker had not committed.
            assert len(accounted(ledger.records, session)) <= sent + 75
            repeated = len(hops_of(signals.records, session)) - len(wanted)
            assert 0 < repeated <= 110
        assert set(outcomes(ledger.records)) == {("ann", "used"), ("ben", "used")}
    by_hop: dict[tuple[str, int], list[Signal]] = {}
    for record in signals.records:
        by_hop.setdefault((record.session_id, record.sequence), []).append(record)
    assert all(len({each.captured_at_us for each in found}) == 1 for found in by_hop.values())
    # The re-read sound warms the detector up: what is said afterwards is what would have been said.
    pairs = [found for found in by_hop.values() if len(found) == 2]
    late = [found for found in pairs if found[0].sequence > before - 10]
    assert late
    for first, again in late:
        difference = abs(first.payload.speaking_probability - again.payload.speaking_probability)
        assert difference < 0.2
    assert paused_s < 6.0, f"{paused_s:.1f} s from SIGKILL to new signals"


def test_a_stopped_worker_accounts_for_nothing_twice(settings):
    sound, _ = sample_speech()
    with (
        running("speech-worker", settings) as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        with Microphones(settings, ["ann"], sound) as microphones:
            eventually(lambda: microphones.sent >= 150, what="3 s of sound", deadline_s=15)
            assert worker.stop() == 0
            worker.start()
            eventually(lambda: microphones.sent >= 300, what="3 s more", deadline_s=20)
        sent = microphones.sent
        ledger.until(lambda found: len(accounted(found, "ann")) >= sent)
        signals.until(lambda found: sorted(set(hops_of(found, "ann"))) == whole_hops(microphones.start_us, sent))
        assert worker.stop() == 0
        assert accounted(ledger.read(), "ann") == list(range(sent))
