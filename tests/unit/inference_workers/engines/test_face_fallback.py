import logging

import numpy as np
import pytest

from inference_workers.engines.face_fallback import FallbackFace
from inference_workers.engines.protocols import FaceInput
from runtime.errors import ModelError
from runtime.metrics import Metrics
from tests.support.fake_face_engine import FakeFaceEngine

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
    return FallbackFace(FakeFaceEngine(source="mine@1"), Steady(source="embedded@1"), metrics)


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
    engine = FallbackFace(FakeFaceEngine(), FakeFaceEngine(), metrics)
    with pytest.raises(FloatingPointError):
        engine.infer([FaceInput(HATED, 0)])


def test_a_primary_that_cannot_be_warmed_up_ends_the_start(metrics, monkeypatch):
    primary = FakeFaceEngine()
    monkeypatch.setattr(primary, "warm_up", lambda: (_ for _ in ()).throw(ModelError("no")))
    with pytest.raises(ModelError):
        FallbackFace(primary, Steady(), metrics).warm_up()
