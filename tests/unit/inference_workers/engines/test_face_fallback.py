import logging

import numpy as np
import pytest

from inference_workers.engines.face_fallback import FallbackFace
from inference_workers.engines.protocols import FaceInput
from inference_workers.failover import FIRST_PAUSE_US
from runtime.clock import ManualClock
from runtime.errors import ModelError, ModelServerError
from runtime.metrics import Metrics
from tests.support.fake_face_engine import FakeFaceEngine
from tests.support.waiting import eventually

GREY = np.full((16, 16, 3), 128, np.uint8)
HATED = np.dstack([np.zeros((16, 16), np.uint8)] * 2 + [np.full((16, 16), 255, np.uint8)])
"""The fake engine fails on it."""


class Steady(FakeFaceEngine):
    """One that fails on nothing."""

    def infer(self, batch):
        return [self._one(each) for each in batch]


@pytest.fixture
def metrics():
    return Metrics("face-worker")


@pytest.fixture
def engine(metrics):
    return FallbackFace(FakeFaceEngine(source="mine@1"), Steady(source="embedded@1"), ManualClock(), metrics)


def degraded(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("affectstream_engine_degraded", {"engine": "mine@1"})


def failures(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("affectstream_engine_failures_total", {"engine": "mine@1"})


def test_the_primary_answers_and_is_the_source(engine, metrics):
    engine.warm_up()
    (output,) = engine.infer([FaceInput(GREY, 0)])
    assert (engine.source, output.source) == ("mine@1", "")
    assert output.signal.face_detected
    assert degraded(metrics) == 0.0


def test_a_picture_that_it_fails_on_is_answered_all_the_same_and_says_by_whom(engine, metrics, caplog):
    batch = [FaceInput(GREY, 0), FaceInput(HATED, 0), FaceInput(GREY, 0)]
    with caplog.at_level(logging.WARNING):
        outputs = engine.infer(batch)
    assert [output.source for output in outputs] == ["", "embedded@1", ""]
    assert [output.signal.degraded for output in outputs] == [False, True, False]
    assert all(output.signal.face_detected for output in outputs)
    assert failures(metrics) == 1.0
    assert degraded(metrics) == 0.0
    assert "mine@1 fails on a picture, embedded@1 answers: FloatingPointError" in caplog.text


def test_what_goes_on_failing_is_said_once(engine, metrics, caplog):
    with caplog.at_level(logging.WARNING):
        engine.infer([FaceInput(HATED, 0)] * 5)
    assert len(caplog.records) == 1
    assert (degraded(metrics), failures(metrics)) == (1.0, 5.0)


def test_the_session_goes_on_with_either(engine):
    state = None
    numbers = []
    for picture in (GREY, HATED, GREY):
        (output,) = engine.infer([FaceInput(picture, 0, state)])
        state = output.state
        numbers.append(output.signal.track_id)
    assert numbers == [1, 2, 3]


def test_a_picture_that_both_fail_on_is_the_callers_affair(metrics):
    engine = FallbackFace(FakeFaceEngine(), FakeFaceEngine(), ManualClock(), metrics)
    with pytest.raises(FloatingPointError):
        engine.infer([FaceInput(HATED, 0)])


def test_a_primary_that_cannot_be_warmed_up_ends_the_start(metrics, monkeypatch):
    primary = FakeFaceEngine()
    monkeypatch.setattr(primary, "warm_up", lambda: (_ for _ in ()).throw(ModelError("no")))
    with pytest.raises(ModelError):
        FallbackFace(primary, Steady(), ManualClock(), metrics).warm_up()


def test_what_fails_in_a_batch_is_found_one_by_one(engine):
    outputs = engine.infer([FaceInput(GREY, 0), FaceInput(HATED, 0)])
    assert engine._primary.calls == [2, 1, 1]
    assert [output.signal.degraded for output in outputs] == [False, True]


class Served(Steady):
    """Asks a server, which may be away or have another model."""

    away: Exception | None = None

    def warm_up(self):
        if self.away is not None:
            raise self.away
        super().warm_up()

    def infer(self, batch):
        self.calls.append(len(batch))
        if self.away is not None:
            raise self.away
        return super().infer(batch)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def served(metrics, clock):
    return FallbackFace(Served(source="mine@1"), Steady(source="embedded@1"), clock, metrics)


def answered_by(engine, pictures=2):
    return {output.source or engine.source for output in engine.infer([FaceInput(GREY, 0)] * pictures)}


def probed(engine):
    """The probe that is under way has come back."""
    eventually(engine._probe.done)


def test_a_server_that_is_away_is_asked_once_and_waited_for_by_nobody(served, metrics, clock, caplog):
    served.warm_up()
    assert answered_by(served) == {"mine@1"}
    served._primary.away = ModelServerError("connection refused")
    with caplog.at_level(logging.WARNING):
        assert answered_by(served) == {"embedded@1"}
        assert answered_by(served) == {"embedded@1"}
    assert served._primary.calls == [2, 2], "the batch is not tried picture by picture, and then not at all"
    assert "mine@1 fails on a picture, embedded@1 answers: ModelServerError: connection refused" in caplog.text
    assert degraded(metrics) == 1.0

    clock.advance(us=FIRST_PAUSE_US)
    assert answered_by(served) == {"embedded@1"}
    probed(served)
    assert answered_by(served) == {"embedded@1"}
    assert (len(caplog.records), failures(metrics)) == (1, 2.0)

    served._primary.away = None
    clock.advance(us=2 * FIRST_PAUSE_US)
    assert answered_by(served) == {"embedded@1"}, "the probe is not waited for"
    probed(served)
    assert answered_by(served) == {"mine@1"}
    assert degraded(metrics) == 0.0


def test_a_server_that_is_away_at_the_start_may_come(served, metrics, clock):
    served._primary.away = ModelServerError("connection refused")
    served.warm_up()
    assert degraded(metrics) == 1.0
    assert answered_by(served) == {"embedded@1"}
    served._primary.away = None
    clock.advance(us=FIRST_PAUSE_US)
    answered_by(served)
    probed(served)
    assert answered_by(served) == {"mine@1"}


def test_a_server_that_comes_back_with_another_model_is_told(served, clock, caplog):
    served._primary.away = ModelServerError("connection refused")
    served.warm_up()
    served._primary.away = ModelError("its input has the shape [-1, 3, 48, 48]")
    clock.advance(us=FIRST_PAUSE_US)
    answered_by(served)
    probed(served)
    with caplog.at_level(logging.WARNING):
        assert answered_by(served) == {"embedded@1"}
    assert "[-1, 3, 48, 48]" in caplog.text
