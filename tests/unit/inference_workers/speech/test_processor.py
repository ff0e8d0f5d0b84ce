from contextlib import contextmanager
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_workers.engines.protocols import VisemeEngine
from inference_workers.processing import Taken
from inference_workers.speech.features import energy_dbfs
from inference_workers.speech.processor import CAPACITY, IDLE_US, WARM_UP, SpeechProcessor, fault_of
from inference_workers.speech.timeline import HOP_US
from inference_workers.speech.viseme import SpectralVisemes
from runtime.guardian import Watch
from runtime.metrics import Metrics
from schemas.records import AudioChunk
from schemas.vocabulary import EMOTIONS, VISEMES, Outcome
from tests.support.fake_outbox import FakeOutbox
from tests.support.fake_speech_engine import FakeDetector, FakeSpeechEngine
from tests.support.voices import FORMANTS_HZ, chunks, silence, sine, vowel

T0 = 1_800_000_000_000_000
VOICE = vowel(3.0, FORMANTS_HZ["aa"])


class Bench:
    """A processor with fakes around it, and records that come one by one."""

    def __init__(self, engine: FakeSpeechEngine | None = None, visemes: VisemeEngine | None = None) -> None:
        self.engine = engine or FakeSpeechEngine()
        self.detector = FakeDetector()
        self.metrics = Metrics("speech-worker")
        self.visemes = visemes or SpectralVisemes()
        self.processor = SpeechProcessor(self.engine, self.detector, self.visemes, self.metrics)
        self.outbox = FakeOutbox()
        self.offset = 0

    def give(self, *records: AudioChunk, partition: int = 0, accounted: bool = False) -> None:
        for record in records:
            self.processor.accept(Taken(record, partition, self.offset, record.ingested_at_us + 1_000, accounted))
            self.offset += 1

    def run(self, now_us: int = T0) -> None:
        while self.processor.run(now_us, self.outbox) is not None:
            pass

    def hear(self, samples, session="a", start_us=T0, **options) -> None:
        for record in chunks(samples, session, start_us, **options):
            self.give(record)
            self.run(record.ingested_at_us)

    def signals(self, session="a"):
        return [sent for sent in self.outbox.signals if sent.session_id == session]


def assert_alike(found, wanted):
    """Equal but for the last bits of sums, which depend on how many sessions were computed together."""
    assert [replace(one, payload=None) for one in found] == [replace(one, payload=None) for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert numbers(one.payload) == pytest.approx(numbers(other.payload), abs=1e-9)


def numbers(payload) -> list[float]:
    return [float(x) for value in astuple(payload) for x in (value if isinstance(value, tuple) else (value,))]


@pytest.fixture
def bench():
    return Bench()


def test_every_hop_is_sent_as_soon_as_its_sound_is_there(bench):
    sent = []
    for record in chunks(VOICE, "a", T0):
        bench.give(record)
        bench.run()
        sent.append(len(bench.outbox.signals))
    assert sent[:6] == [0, 1, 1, 2, 2, 3]
    numbers = [signal.sequence for signal in bench.signals()]
    assert numbers == list(range(T0 // HOP_US + 1, T0 // HOP_US + 1 + len(VOICE) // 640))
    assert all(signal.captured_at_us == signal.sequence * HOP_US for signal in bench.signals())


def test_every_chunk_has_one_outcome(bench):
    records = list(chunks(VOICE, "a", T0))
    bench.give(*records, records[3])
    bench.run()
    assert bench.outbox.accounts == [("a", n, Outcome.USED) for n in range(len(records))] + [
        ("a", 3, Outcome.DUPLICATE)
    ]


def test_before_the_first_window_there_is_no_emotion(bench):
    bench.hear(VOICE[:9_600])
    for signal in bench.signals():
        payload = signal.payload
        assert payload.emotion_scores == (0.0,) * len(EMOTIONS)
        assert (payload.emotion_confidence, payload.emotion_unknown, payload.emotion_age_ms) == (0.0, 0.0, 0.0)
        assert (payload.valence, payload.arousal, payload.dominance) == (0.0, 0.0, 0.0)


def test_windows_are_one_second_every_half_and_their_age_is_told(bench):
    bench.hear(VOICE)
    assert len(bench.engine.windows) == 4
    # A vowel is a poor ruler: each window must be found in the sound at 8,000 samples after the one before.
    quantised = (np.clip(VOICE, -1, 1) * 32_767).astype("<i2").astype(np.float32) / np.float32(32_768)
    ends = [(signal.captured_at_us - T0) / 1_000 - signal.payload.emotion_age_ms for signal in bench.signals()]
    told = sorted({round(end, 3) for end, s in zip(ends, bench.signals(), strict=True) if s.payload.emotion_confidence})
    assert np.diff(told) == pytest.approx([500.0] * (len(told) - 1))
    for window, end_ms in zip(bench.engine.windows, told, strict=False):
        end = round(end_ms * 16)
        np.testing.assert_array_equal(window, quantised[end - 16_000 : end])
    ages = [signal.payload.emotion_age_ms for signal in bench.signals() if signal.payload.emotion_confidence]
    assert min(ages) >= 40
    assert max(ages) <= 540


def test_a_hop_carries_the_window_that_was_complete_before_it(bench):
    bench.hear(VOICE)
    for signal in bench.signals():
        if signal.payload.emotion_confidence:
            assert signal.payload.emotion_age_ms >= 40


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_what_is_sent_does_not_depend_on_how_records_come_in(portions):
    records = list(chunks(VOICE[:32_000], "a", T0 + 7_000)) + list(chunks(VOICE[:32_000], "b", T0 + 23_000))
    records.sort(key=lambda record: record.captured_at_us)
    one, other = Bench(), Bench()
    for record in records:
        one.give(record)
        one.run()
    at = 0
    for portion in portions:
        other.give(*records[at : at + portion])
        other.run()
        at += portion
    other.give(*records[at:])
    other.run()
    for session in "ab":
        assert_alike(one.signals(session), other.signals(session))


def test_sessions_are_batched_and_do_not_disturb_each_other(bench):
    alone = Bench()
    alone.hear(VOICE, "a")
    feeds = [
        chunks(sound, session, T0) for session, sound in (("a", VOICE), ("b", silence(3.0)), ("c", sine(3.0, 300)))
    ]
    for records in zip(*feeds, strict=True):
        bench.give(*records)
        bench.run()
    assert_alike(bench.signals("a"), alone.signals("a"))
    assert max(bench.detector.batches) == 3
    assert {signal.payload.speaking_probability for signal in bench.signals("b")} == {0.0}
    assert all(signal.payload.viseme_scores[VISEMES.index("sil")] == 1.0 for signal in bench.signals("b"))


def test_windows_of_sessions_are_inferred_together_up_to_the_engine_s_batch():
    bench = Bench(FakeSpeechEngine(max_batch=2))
    feeds = [list(chunks(VOICE[:24_640], f"s{n}", T0)) for n in range(12)]
    for feed in feeds:
        bench.give(*feed)
    bench.run()
    assert sum(bench.engine.calls) >= 12
    assert max(bench.engine.calls) == 2


def test_silence_is_not_inferred_and_takes_the_confidence_away(bench):
    bench.hear(np.concatenate([VOICE, silence(3.0)]))
    inferred = len(bench.engine.windows)
    assert 4 <= inferred <= 7
    last = bench.signals()[-1].payload
    assert last.emotion_confidence == 0.0
    assert last.emotion_scores[EMOTIONS.index("happy")] > 0  # of the latest window with speech
    assert last.emotion_age_ms > 1_500
    assert last.speaking_probability < 0.01
    assert last.energy_dbfs == -100.0


def test_a_gap_starts_the_windows_anew(bench):
    bench.hear(VOICE[:24_000])
    before = len(bench.engine.windows)
    assert before >= 1
    bench.hear(VOICE[:9_600], start_us=T0 + 5_000_000, first_sequence=1_000)
    assert len(bench.engine.windows) == before
    assert bench.signals()[-1].payload.emotion_confidence == 0.0


def test_a_window_that_the_engine_dies_of_costs_only_itself():
    bench = Bench(FakeSpeechEngine(max_batch=8, poison=0.6))
    loud = np.clip(VOICE * 3, -1, 1).astype(np.float32)
    for feed in [*(chunks(VOICE, f"s{n}", T0) for n in range(20)), *(chunks(loud, f"l{n}", T0) for n in range(20))]:
        bench.give(*feed)
    bench.run()
    assert len(bench.signals("l0")) == len(bench.signals("s0")) == 75
    assert {s.payload.emotion_confidence for n in range(20) for s in bench.signals(f"l{n}")} == {0.0}
    assert all(bench.signals(f"s{n}")[-1].payload.emotion_confidence > 0 for n in range(20))
    assert {outcome for *_, outcome in bench.outbox.accounts} == {Outcome.USED}


@pytest.mark.parametrize(
    "change, word",
    [
        ({"sample_rate_hz": 48_000}, "48000"),
        ({"pcm": b""}, "0 bytes"),
        ({"pcm": b"abc"}, "3 bytes"),
        ({"pcm": bytes(40_000)}, "40000"),
    ],
)
def test_a_chunk_that_is_no_sound_is_set_aside(bench, change, word):
    (record,) = chunks(sine(0.02, 300), "a", T0)
    broken = AudioChunk(**{name: getattr(record, name) for name in record.__slots__} | change)
    assert word in fault_of(broken)
    assert fault_of(record) == ""
    bench.give(broken, record)
    bench.run()
    assert [outcome for *_, outcome in bench.outbox.accounts] == [Outcome.UNDECODABLE, Outcome.USED]
    assert [offset for offset, _ in bench.outbox.letters] == [0]


def test_what_was_accounted_before_a_restart_is_not_set_aside_again(bench):
    (record,) = chunks(sine(0.02, 300), "a", T0)
    broken = AudioChunk(**{name: getattr(record, name) for name in record.__slots__} | {"pcm": b"abc"})
    bench.give(broken, accounted=True)
    bench.run()
    assert bench.outbox.letters == []


def test_a_restarted_worker_must_read_the_last_two_seconds_again(bench):
    assert bench.processor.needed_from(0) is None
    records = list(chunks(vowel(5.0, FORMANTS_HZ["aa"]), "a", T0))
    for record in records:
        bench.give(record)
        bench.run()
    needed = bench.processor.needed_from(0)
    chunks_behind = len(records) - needed
    assert WARM_UP / 320 <= chunks_behind <= WARM_UP / 320 + 4
    assert bench.processor.needed_from(1) is None


def test_a_restarted_worker_misses_no_hop_and_says_the_same(bench):
    records = list(chunks(vowel(6.0, FORMANTS_HZ["aa"]), "a", T0 + 11_000))
    for record in records[:200]:
        bench.give(record)
        bench.run()
    needed = bench.processor.needed_from(0)
    again = Bench()
    again.give(*records[needed:])
    again.run()
    bench.give(*records[200:])
    bench.run()
    first = {signal.sequence: signal for signal in bench.signals()}
    repeated = [signal for signal in again.signals() if signal.captured_at_us <= records[199].captured_at_us + 20_000]
    fresh = again.signals()[len(repeated) :]
    assert len(repeated) >= 45
    assert [signal.sequence for signal in fresh] == list(range(repeated[-1].sequence + 1, max(first) + 1))
    for signal in fresh:
        was = first[signal.sequence].payload
        assert signal.payload.emotion_scores == was.emotion_scores
        assert signal.payload.emotion_age_ms == was.emotion_age_ms
        assert signal.payload.speaking_probability == was.speaking_probability


def test_a_silent_session_is_forgotten_after_a_minute_and_lets_go_of_its_records(bench):
    bench.hear(VOICE, "a")
    bench.hear(VOICE, "b", T0 + 30_000_000)
    heard_at = T0 + 3_000_000
    bench.run(heard_at + IDLE_US - 10_000)
    assert bench.metrics.registry.get_sample_value("affectstream_sessions_active") == 2.0
    needed = bench.processor.needed_from(0)
    bench.run(heard_at + IDLE_US + 2_000_000)
    assert bench.metrics.registry.get_sample_value("affectstream_sessions_active") == 1.0
    assert bench.processor.needed_from(0) > needed
    bench.run(heard_at + 2 * IDLE_US)
    assert bench.processor.needed_from(0) is None


def test_partitions_that_go_take_their_sessions_with_them(bench):
    bench.give(*chunks(VOICE, "a", T0), partition=0)
    bench.give(*chunks(VOICE, "b", T0), partition=1)
    bench.processor.run(T0, bench.outbox)
    bench.processor.forget([0])
    sent = len(bench.signals("a"))
    bench.run()
    assert len(bench.signals("a")) == sent
    assert len(bench.signals("b")) == 75
    assert bench.processor.needed_from(0) is None
    assert bench.processor.room() == CAPACITY


def test_room_counts_what_waits_and_settling_empties_it(bench):
    bench.give(*chunks(VOICE, "a", T0))
    assert bench.processor.room() == CAPACITY - 150
    assert bench.processor.run(T0, bench.outbox) == T0
    assert bench.processor.room() == CAPACITY - 74
    bench.processor.settle(T0, bench.outbox)
    assert bench.processor.room() == CAPACITY
    assert len(bench.signals()) == 75


def test_too_many_sessions_forget_the_one_silent_the_longest(bench, monkeypatch):
    monkeypatch.setattr("inference_workers.speech.processor.MAX_SESSIONS", 3)
    for number, session in enumerate("abcd"):
        bench.hear(VOICE[:3_200], session, T0 + number * 100_000)
    assert bench.processor.needed_from(0) == 10  # session a's ten records are let go of
    bench.hear(VOICE[:3_200], "b", T0 + 300_000, first_sequence=10)
    first = (T0 + 120_000) // HOP_US + 1
    assert [signal.sequence for signal in bench.signals("b")] == list(range(first, first + 9))


def test_what_waits_of_an_erased_session_is_accounted_and_its_sound_freed(bench):
    bench.hear(VOICE[:16_000])
    bench.hear(VOICE[:16_000], session="b")
    before = len(bench.signals())
    bench.give(*list(chunks(VOICE, "a", T0 + 1_000_000))[:3])
    bench.processor.erase(lambda session: session == "a", bench.outbox)
    bench.run()
    assert [outcome for name, _, outcome in bench.outbox.accounts if name == "a"][-3:] == [Outcome.ERASED] * 3
    assert len(bench.signals()) == before
    assert set(bench.processor._sessions) == {"b"}
    assert bench.processor.needed_from(0) is not None, "the other session's sound is still protected"


class FragileVisemes(SpectralVisemes):
    """Fails on loud hops."""

    source = "fragile-visemes@1"

    def infer(self, sounds, memories, speaking):
        if np.abs(sounds[:, -640:]).max() > 0.5:
            raise RuntimeError("too loud")
        return super().infer(sounds, memories, speaking)


def test_hops_that_the_viseme_engine_fails_on_go_out_degraded():
    bench = Bench(visemes=FragileVisemes())
    bench.hear(np.concatenate((VOICE[:6_400], 2 * VOICE[:640], VOICE[:6_400])))
    signals = bench.signals()
    assert [signal.payload.degraded for signal in signals] == [False] * 10 + [True] + [False] * 10
    assert all(sum(signal.payload.viseme_scores) == pytest.approx(1.0) for signal in signals)


def test_after_a_gap_the_viseme_engine_is_told_that_the_sound_is_new():
    silenced = []

    class Memory:
        def fall_silent(self):
            silenced.append(len(bench.outbox.signals))

    class Remembering(SpectralVisemes):
        def begin(self):
            return Memory()

        def infer(self, sounds, memories, speaking):
            assert len(memories) == len(speaking)
            return [((1.0, *[0.0] * 14), 1.0)] * len(sounds)

    bench = Bench(visemes=Remembering())
    bench.hear(VOICE[:6_400])
    bench.hear(VOICE[:6_400], start_us=T0 + 2_000_000, first_sequence=100)
    assert silenced == [0, 10]


def test_signals_say_who_answered_and_whether_it_was_a_fall_back():
    class StandIn(FakeSpeechEngine):
        def infer(self, windows):
            return [replace(each, source="other@2", degraded=True) for each in super().infer(windows)]

    bench = Bench(StandIn())
    bench.hear(VOICE)
    said = [(sent.source, sent.payload.degraded) for sent in bench.signals()]
    assert said[0] == ("", False), "before the first window nobody has answered"
    assert said[-1] == ("other@2", True)
    assert set(said) == {said[0], said[-1]}


class Suspicious(Watch):
    """A predecessor ended on the second item whose key holds a word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word
        self.seen: list[str] = []

    def suspected(self, item):
        if self.word in item:
            self.seen.append(item)
        return self.word in item and item == self.seen[min(1, len(self.seen) - 1)] and len(self.seen) > 1


def watched(watch: Watch) -> Bench:
    bench = Bench()
    bench.processor = SpeechProcessor(bench.engine, bench.detector, bench.visemes, bench.metrics, watch)
    return bench


def test_a_window_that_a_predecessor_ended_on_is_left_out_and_stands_in_the_ledger():
    watch = Suspicious(" window ")
    bench = watched(watch)
    bench.hear(VOICE)
    assert len(watch.seen) == 4
    assert len(bench.engine.windows) == 3
    ends = [int(item.removeprefix("a window ")) for item in watch.seen]
    assert np.diff(ends).tolist() == [8_000] * 3
    sure = [sent.payload.emotion_confidence > 0 for sent in bench.signals()]
    first = sure.index(True)
    gap = first + sure[first:].index(False)
    assert not any(sure[gap : gap + 12]), "nothing is said with confidence until the next window"
    assert sure[-1]
    assert bench.outbox.notes == [("a", Outcome.ENGINE_ERROR, -1, 1)]


def test_a_hop_that_a_predecessor_ended_on_is_heard_as_silence_and_stands_in_the_ledger():
    bench, whole = watched(Suspicious(" hop ")), Bench()
    for each in (bench, whole):
        each.hear(VOICE)
    energies = [sent.payload.energy_dbfs for sent in bench.signals()]
    assert len(energies) == len(whole.signals())
    assert [n for n, energy in enumerate(energies) if energy == energy_dbfs(np.zeros(640, np.float32))] == [1]
    assert bench.outbox.notes == [("a", Outcome.ENGINE_ERROR, -1, 1)]
    assert bench.outbox.accounts == whole.outbox.accounts, "chunks are no hops"


def test_what_is_left_out_of_sound_that_is_read_again_is_not_noted_again():
    bench = watched(Suspicious(" window "))
    for record in chunks(VOICE, "a", T0):
        bench.give(record, accounted=True)
        bench.run(record.ingested_at_us)
    assert len(bench.engine.windows) == 3
    assert bench.outbox.notes == []


def test_a_window_that_the_engine_fails_on_stands_in_the_ledger():
    bench = Bench(FakeSpeechEngine(poison=0.0))
    bench.hear(VOICE)
    assert bench.outbox.notes == [("a", Outcome.ENGINE_ERROR, -1, 1)] * 4


def test_the_watch_is_told_which_hops_and_windows_the_engines_are_at():
    told = []

    class Listening(Watch):
        @contextmanager
        def over(self, items):
            told.append([item.partition(" ")[2].partition(" ")[0] for item in items])
            yield

    bench = watched(Listening())
    bench.hear(VOICE)
    hops = len(bench.signals())
    assert sorted(told) == [["hop"]] * (2 * hops) + [["window"]] * 4
