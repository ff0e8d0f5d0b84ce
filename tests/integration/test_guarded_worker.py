"""Engines that hang or crash on real Kafka: the worker is replaced; its partitions, hops and pictures are kept."""

import itertools
import logging
import subprocess
import sys

import pytest

from inference_workers import models
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import LedgerEntry, Signal
from schemas.topics import LEDGER, MEDIA_VIDEO, SIGNALS
from tests.support.cameras import frame
from tests.support.edges import log_of
from tests.support.faces import astronaut, blank, jpeg
from tests.support.ledger import accounted
from tests.support.microphones import Microphones
from tests.support.prerequisites import REPOSITORY, cache_dir, required
from tests.support.processes import running
from tests.support.voices import sample_speech
from tests.support.waiting import eventually

log = logging.getLogger(__name__)
BLOW = 2 * 16_000
SAID = {"hangs": "did not come back from its engine for 1 s", "crashes": "crashed (SIGSEGV)"}
ANOTHER = "another goes on without them"


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    with required():
        for name in ("speech_emotion", "speech_emotion_noise", "face_landmarker", "face_emotion"):
            models.locate(Settings(cache_dir=cache_dir()), name)


def left_out(entries):
    """How many things without a number the engine was given up on."""
    return sum(each.count for each in entries if each.outcome == "engine_error" and each.first_sequence < 0)


@pytest.mark.parametrize("fate", ["hangs", "crashes"])
def test_a_speech_engine_that_hangs_or_crashes_is_replaced_and_nothing_is_lost(settings, fate, monkeypatch):
    sound, truth = sample_speech()
    sound = sound * 0.5
    # One sample at full scale, where somebody speaks: it is in two windows, one after the other.
    spoken = next(n for n in range(BLOW, len(sound), 1_600) if truth.speaks(n / 16_000, margin_s=0.4))
    sound[spoken] = 1.0
    monkeypatch.setenv("TEST_FATE", fate)
    with (
        running("speech-worker", settings, program="tests.support.faulty_worker") as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        pid = worker.pid
        with Microphones(settings, ["ann"], sound) as microphones:
            eventually(lambda: ANOTHER in worker.log(), what=worker.log, deadline_s=100)
            before = max((each.sequence for each in signals.read()), default=0)
            signals.until(lambda found: max(each.sequence for each in found) > before + 75, deadline_s=100)
        sent = microphones.sent
        entries = ledger.until(lambda found: set(accounted(found, "ann")) >= set(range(sent)), deadline_s=100)
        found = signals.until(
            lambda found: max(each.captured_at_us for each in found) > microphones.start_us + sent * 20_000 - 60_000,
            deadline_s=100,
        )
        assert worker.pid == pid
        eventually(worker.ready, what="it holds its partitions", deadline_s=30)
        assert 'affectstream_engine_replaced_total{engine="embedded-speech@2"}' in worker.metrics()
        said = worker.log()
        replaced = said.count(ANOTHER)
        assert SAID[fate] in said
        assert said.count(f"{SAID[fate]}, at 1 items: {ANOTHER}") == replaced, "for nothing else"
        ledger.until(lambda found: left_out(found) >= replaced, deadline_s=30)
    assert set(accounted(entries, "ann")) <= {-1, *range(sent)}
    numbers = sorted({each.sequence for each in found})
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "a hop is missing"
    # How long nothing came: from the last signal before the engine hung to the first one of its successor.
    instants = sorted(each.inferred_at_us for each in found)
    gaps = sorted((later - earlier) / 1e6 for earlier, later in itertools.pairwise(instants))
    log.info("an engine that %s: nothing came for %s s", fate, gaps[-2:])


@pytest.mark.parametrize("fate", ["hangs", "crashes"])
def test_a_face_engine_that_hangs_or_crashes_is_replaced_and_its_picture_stands_in_the_ledger(
    settings, fate, monkeypatch
):
    face, white = jpeg(astronaut()), jpeg(blank() + 255)
    monkeypatch.setenv("TEST_FATE", fate)
    publisher = Publisher(settings)

    def film(sequence, data):
        record = frame("ann", sequence, data, SystemClock().now_us())
        publisher.send(MEDIA_VIDEO, "ann", Codec().encode(record))
        publisher.flush()

    with (
        running("face-worker", settings, program="tests.support.faulty_worker") as worker,
        log_of(settings, SIGNALS, Signal) as signals,
        log_of(settings, LEDGER, LedgerEntry) as ledger,
    ):
        film(0, face)
        signals.until(lambda found: len(found) == 1)
        film(1, white)
        entries = ledger.until(lambda found: 1 in accounted(found, "ann"), deadline_s=60)
        film(2, face)
        signals.until(lambda found: {each.sequence for each in found} == {0, 2}, deadline_s=30)
        assert f"{SAID[fate]}, at 1 items: {ANOTHER}" in worker.log()
        assert worker.log().count(ANOTHER) == 1
    # Read again, the picture before it may count as stale besides: its signal proves that it was used.
    of_white = {each.outcome for each in entries if each.first_sequence <= 1 <= each.last_sequence}
    assert of_white == {"engine_error"}


CALL = """
import os, sys, time
from runtime.guardian import Guardian

def work(watch):
    print("begun", flush=True)
    with watch.over(["a picture"]):
        began_s = time.monotonic()
        while time.process_time() < float(sys.argv[1]):
            pass
    print(time.monotonic() - began_s, flush=True)

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
Guardian(hang_s=0.5).run(work)
"""
SPIN = "import os\nos.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\nwhile True: pass"


def test_a_call_that_waits_for_a_processor_is_not_taken_for_a_hang():
    others = [
        subprocess.Popen([sys.executable, "-c", SPIN], preexec_fn=die_with_parent)  # noqa: PLW1509 - one prctl call
        for _ in range(6)
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-c", CALL, "0.35"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    finally:
        for each in others:
            each.kill()
            each.wait()
    begun, lasted_s = done.stdout.split()
    assert (begun, done.stderr) == ("begun", ""), "it was begun once"
    log.info("0.35 s of work beside six others on one core took %s s, the limit was 0.5 s", lasted_s)
