import base64
import json

import numpy as np
import pytest
from pydantic import ValidationError

from inference_workers.speech_contract import (
    MAX_WINDOWS,
    REQUEST_BYTES,
    WINDOW_BYTES,
    Answer,
    Question,
    WindowAnswer,
    pcm,
)
from schemas.vocabulary import EMOTIONS


def test_sound_survives_the_way():
    samples = np.linspace(-1.0, 32_767 / 32_768, 16_000, dtype=np.float32)
    whole = np.rint(samples * 32_768).astype(np.float32) / np.float32(32_768)
    question = Question.model_validate({"windows": [base64.b64encode(pcm(whole))]})
    np.testing.assert_array_equal(question.samples()[0], whole)
    assert np.frombuffer(pcm(np.array([2.0, -2.0], np.float32)), "<i2").tolist() == [32_767, -32_768]


def test_the_largest_request_has_room():
    window = base64.b64encode(bytes(WINDOW_BYTES)).decode()
    assert len(json.dumps({"windows": [window] * MAX_WINDOWS})) < REQUEST_BYTES


@pytest.mark.parametrize(
    "wrong",
    [
        {"windows": []},
        {"windows": [base64.b64encode(bytes(10)).decode()]},
        {"windows": ["no base64"]},
        {"windows": [base64.b64encode(bytes(WINDOW_BYTES)).decode()], "sample_rate_hz": 8_000},
        {"windows": [base64.b64encode(bytes(WINDOW_BYTES)).decode()], "session_id": "ann"},
        {"windows": [base64.b64encode(bytes(WINDOW_BYTES)).decode()] * (MAX_WINDOWS + 1)},
    ],
)
def test_other_questions_are_refused(wrong):
    with pytest.raises(ValidationError):
        Question.model_validate(wrong)


def test_an_answer_becomes_an_emotion():
    answer = WindowAnswer(scores={"happy": 0.6, "sad": 0.2}, unknown=0.201, language="en")
    emotion = answer.emotion("remote:x@1")
    assert sum(emotion.scores) + emotion.unknown == pytest.approx(1.0, abs=1e-12)
    assert emotion.scores[EMOTIONS.index("happy")] == pytest.approx(0.6 / 1.001)
    assert emotion.confidence == max(emotion.scores)
    assert emotion.source == "remote:x@1"
    assert WindowAnswer(scores={"happy": 1.0}, confidence=0.3).emotion("x").confidence == 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": {"happy": 0.6}},
        {"scores": {"joy": 1.0}},
        {"scores": {"happy": 1.5, "sad": -0.5}},
        {"scores": {"happy": float("nan")}, "unknown": 1.0},
    ],
)
def test_what_is_no_distribution_is_refused(wrong):
    with pytest.raises(ValidationError):
        WindowAnswer.model_validate(wrong)


@pytest.mark.parametrize("engine", ["", "x", "x@", "a b@1", "x@1\n", "é@1", "x" * 60 + "@1"])
def test_an_engines_name_is_one(engine):
    with pytest.raises(ValidationError):
        Answer.model_validate({"engine": engine, "windows": []})
