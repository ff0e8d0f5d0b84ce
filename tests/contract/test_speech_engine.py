"""What every speech engine and voice detector promises: the real ones and the fakes that stand for them."""

import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.embedded_speech import EmbeddedSpeech
from inference_workers.engines.protocols import SpeechEngine
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.speech.vad import CONTEXT, STATE, WINDOW, VoiceDetector
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS
from tests.support.fake_speech_engine import FakeDetector, FakeSpeechEngine
from tests.support.prerequisites import cache_dir, required
from tests.support.voices import FORMANTS_HZ, noise, silence, vowel

WINDOWS = [vowel(1.0, FORMANTS_HZ["aa"]), noise(1.0, 100, 7_000, 0.1), silence(1.0), vowel(1.0, FORMANTS_HZ["ih"])]


@pytest.fixture(params=["embedded", "fake"])
def engine(request) -> SpeechEngine:
    if request.param == "fake":
        return FakeSpeechEngine()
    with required():
        return EmbeddedSpeech(models.locate(Settings(cache_dir=cache_dir()), "speech_emotion"))


@pytest.fixture(params=["silero", "fake"])
def detector(request) -> VoiceDetector:
    if request.param == "fake":
        return FakeDetector()
    with required():
        return SileroVad(models.locate(Settings(cache_dir=cache_dir()), "silero_vad"))


def test_an_engine_names_itself_and_its_batch(engine):
    name, version = engine.source.split("@")
    assert name
    assert int(version) >= 1
    assert engine.max_batch >= 1
    engine.warm_up()


def test_one_answer_a_window_in_order_and_in_range(engine):
    answers = engine.infer(WINDOWS)
    assert len(answers) == len(WINDOWS)
    for answer in answers:
        assert len(answer.scores) == len(EMOTIONS)
        assert min(*answer.scores, answer.unknown, answer.confidence) >= 0.0
        assert sum(answer.scores) + answer.unknown == pytest.approx(1.0, abs=1e-5)
        assert answer.confidence <= 1.0
        assert all(-1.0 <= value <= 1.0 for value in (answer.valence, answer.arousal, answer.dominance))
    backwards = engine.infer(WINDOWS[::-1])[::-1]
    for answer, again in zip(answers, backwards, strict=True):
        np.testing.assert_allclose(answer.scores, again.scores, atol=1e-5)


def test_an_engine_remembers_nothing(engine):
    first = engine.infer(WINDOWS[:1])[0]
    engine.infer(WINDOWS[1:])
    np.testing.assert_allclose(engine.infer(WINDOWS[:1])[0].scores, first.scores, atol=1e-6)


@pytest.mark.parametrize("sessions", [1, 5])
def test_a_detector_gives_a_probability_and_a_state_a_window(detector, sessions):
    sound = np.zeros((sessions, CONTEXT + WINDOW), np.float32)
    probabilities, states = detector.probabilities(sound, np.zeros((2, sessions, STATE), np.float32))
    assert probabilities.shape == (sessions,)
    assert states.shape == (2, sessions, STATE)
    assert probabilities.max() < 0.3
    assert np.abs(states).max() > 0.0
