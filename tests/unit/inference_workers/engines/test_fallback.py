import logging
import threading

import numpy as np
import pytest

from inference_workers.engines.fallback import STUCK_US, FallbackSpeech
from inference_workers.failover import FIRST_PAUSE_US
from runtime.clock import ManualClock
from runtime.errors import ModelError
from runtime.metrics import Metrics
from tests.support.fake_speech_engine import FakeSpeechEngine

WINDOWS = [np.full(16_000, 0.25, np.float32), np.full(16_000, 0.5, np.float32)]


class Primary(FakeSpeechEngine):
    """Works, fails, or stays in the engine until it is let go."""

    source = "primary@3"

    def __init__(self, fate="works"):
        super().__init__(max_batch=7)
        self.fate = fate
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)

    def warm_up(self):
        if self.fate == "unreachable":
            raise ConnectionError("nobody there")
        if self.fate == "wrong":
            raise ModelError("another model")

    def infer(self, windows):
        self.entered.release()
        if self.fate == "hangs":
            self.let_go.acquire()
        if self.fate in {"fails", "unreachable"}:
            raise ConnectionError("gone")
        answers = super().infer(windows)
        return answers[:-1] if self.fate == "is short" else answers


class Stage:
    def __init__(self, fate="works", budget_s=0.05):
        self.stuck = 0
        self.clock = ManualClock()
        self.metrics = Metrics("speech-worker")
        self.primary = Primary(fate)
        self.embedded = FakeSpeechEngine()
        self.engine = FallbackSpeech(
            self.primary, self.embedded, self.clock, self.metrics, budget_s=budget_s, on_stuck=self.give_up
        )

    def give_up(self):
        self.stuck += 1

    def infer(self):
        answers = self.engine.infer(WINDOWS)
        assert [answer.scores[1] for answer in answers] == [0.25, 0.5]
        (source,) = {answer.source for answer in answers}
        (degraded,) = {answer.degraded for answer in answers}
        return source, degraded

    def value(self, name):
        return self.metrics.registry.get_sample_value(f"affectstream_{name}", {"engine": "primary@3"})


def test_a_primary_that_works_answers():
    stage = Stage(budget_s=5.0)
    stage.engine.warm_up()
    assert stage.infer() == ("primary@3", False)
    assert (stage.engine.source, stage.engine.max_batch) == ("primary@3", 7)
    assert stage.embedded.calls == []
    assert stage.value("engine_degraded") == 0.0


@pytest.mark.parametrize("fate", ["fails", "is short", "hangs"])
def test_when_it_fails_the_embedded_engine_answers_the_same_windows(fate, caplog):
    stage = Stage(fate)
    with caplog.at_level(logging.WARNING):
        assert stage.infer() == ("fake-speech@1", True)
    assert "primary@3 fails, fake-speech@1 answers" in caplog.text
    assert stage.value("engine_degraded") == 1.0
    assert stage.value("engine_failures_total") == 1.0
    stage.clock.advance(us=FIRST_PAUSE_US - 1)
    asked = stage.primary.entered._value
    assert stage.infer() == ("fake-speech@1", True)
    assert stage.primary.entered._value == asked, "it was asked during its pause"
    stage.primary.let_go.release()


def until_probed(stage):
    """Go on until the primary was given a probe, and its thread is done with it."""
    stage.clock.advance(us=FIRST_PAUSE_US)
    assert stage.infer() == ("fake-speech@1", True)
    stage.engine._call.answers.exception(timeout=5.0)


def test_it_goes_back_when_a_probe_is_answered(caplog):
    stage = Stage("fails", budget_s=5.0)
    assert stage.infer() == ("fake-speech@1", True)
    stage.primary.fate = "works"
    until_probed(stage)
    with caplog.at_level(logging.INFO):
        assert stage.infer() == ("primary@3", False)
    assert "primary@3 answers again" in caplog.text
    assert stage.value("engine_degraded") == 0.0


def test_a_probe_that_fails_keeps_it_away_longer():
    stage = Stage("fails", budget_s=5.0)
    stage.infer()
    until_probed(stage)
    assert stage.infer() == ("fake-speech@1", True)
    asked = stage.primary.entered._value
    stage.clock.advance(us=2 * FIRST_PAUSE_US - 1)
    stage.infer()
    assert stage.primary.entered._value == asked
    stage.clock.advance(us=1)
    stage.infer()
    assert stage.primary.entered.acquire(timeout=5.0)


def test_a_probe_that_is_answered_late_is_none():
    stage = Stage("fails", budget_s=5.0)
    stage.infer()
    stage.primary.fate = "hangs"
    stage.clock.advance(us=FIRST_PAUSE_US)
    stage.infer()
    stage.clock.advance(seconds=5.1)
    stage.primary.let_go.release()
    stage.engine._call.answers.result(timeout=5.0)
    assert stage.infer() == ("fake-speech@1", True)


def test_a_thread_that_hangs_takes_no_second_call_and_works_again_when_it_is_let_go():
    stage = Stage("hangs")
    assert stage.infer() == ("fake-speech@1", True)
    stage.clock.advance(us=STUCK_US)
    assert stage.infer() == ("fake-speech@1", True)
    assert stage.stuck == 0
    for n in range(5):
        stage.clock.advance(seconds=40)
        assert stage.infer() == ("fake-speech@1", True)
        assert stage.stuck == n + 1
    assert stage.primary.entered._value == 1
    stage.primary.fate = "works"
    stage.primary.let_go.release()
    stage.engine._call.answers.result(timeout=5.0)
    stage.clock.advance(seconds=40)
    assert stage.infer() == ("fake-speech@1", True)
    stage.engine._call.answers.result(timeout=5.0)
    assert stage.infer() == ("primary@3", False)


def test_a_primary_that_is_away_at_the_start_is_waited_for():
    stage = Stage("unreachable", budget_s=5.0)
    stage.engine.warm_up()
    assert stage.engine.degraded
    assert stage.infer() == ("fake-speech@1", True)
    stage.primary.fate = "works"
    until_probed(stage)
    assert stage.infer() == ("primary@3", False)


def test_what_will_not_mend_ends_the_start():
    with pytest.raises(ModelError, match="another model"):
        Stage("wrong").engine.warm_up()


def test_an_answer_that_names_its_engine_keeps_the_name():
    class Remote(Primary):
        def infer(self, windows):
            return [
                answer.__class__(**{**vars_of(answer), "source": "remote:x@1"}) for answer in super().infer(windows)
            ]

    def vars_of(answer):
        return {name: getattr(answer, name) for name in answer.__dataclass_fields__}

    stage = Stage(budget_s=5.0)
    engine = FallbackSpeech(Remote(), stage.embedded, stage.clock, Metrics("speech-worker"), budget_s=5.0)
    assert {answer.source for answer in engine.infer(WINDOWS)} == {"remote:x@1"}
