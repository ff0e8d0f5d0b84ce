"""What every speech engine and voice detector promises: the real ones and the fakes that stand for them."""

import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines import choice
from inference_workers.engines.protocols import SpeechEngine, VisemeEngine
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.engines.viseme_network import VisemeNetwork
from inference_workers.speech.vad import CONTEXT, STATE, WINDOW, VoiceDetector
from inference_workers.speech.viseme import SPAN, SpectralVisemes
from runtime.settings import Settings
from schemas.vocabulary import EMOTIONS, VISEMES
from tests.support.fake_speech_engine import FakeDetector, FakeSpeechEngine
from tests.support.prerequisites import cache_dir, required
from tests.support.voices import FORMANTS_HZ, noise, silence, vowel

WINDOWS = [vowel(1.0, FORMANTS_HZ["aa"]), noise(1.0, 100, 7_000, 0.1), silence(1.0), vowel(1.0, FORMANTS_HZ["ih"])]


@pytest.fixture(params=["embedded", "fake"])
def engine(request) -> SpeechEngine:
    if request.param == "fake":
        return FakeSpeechEngine()
    with required():
        return choice.embedded(Settings(cache_dir=cache_dir()))


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


@pytest.fixture(params=["network", "spectral"])
def visemes(request) -> VisemeEngine:
    if request.param == "spectral":
        return SpectralVisemes()
    with required():
        return VisemeNetwork(models.locate(Settings(cache_dir=cache_dir()), "viseme"))


def told(visemes, hops, sessions=1):
    """Weights hop by hop, of as many sessions at once that hear the same."""
    memories = [visemes.begin() for _ in range(sessions)]
    found = [visemes.infer(np.stack([hop] * sessions), memories, [1.0] * sessions) for hop in hops]
    return [[weights for weights, _ in answers] for answers in found]


HOPS = [
    sound[start - SPAN : start]
    for sound in (vowel(0.6, FORMANTS_HZ["aa"]), noise(0.6, 3_000, 7_000, 0.1), silence(0.6))
    for start in range(SPAN, 9_600, 640)
]  # fmt: skip


def test_visemes_are_a_distribution_and_named(visemes):
    assert visemes.source.partition("@")[2].isdigit()
    visemes.warm_up()
    for (weights,) in told(visemes, HOPS):
        assert len(weights) == len(VISEMES)
        assert min(weights) >= 0.0
        assert sum(weights) == pytest.approx(1.0, abs=1e-5)
    ((weights, confidence),) = visemes.infer(np.stack(HOPS[:1]), [visemes.begin()], [0.0])
    assert weights[VISEMES.index("sil")] == confidence == pytest.approx(1.0)


def test_visemes_of_a_session_do_not_depend_on_the_others(visemes):
    alone, together = told(visemes, HOPS), told(visemes, HOPS, sessions=7)
    for (one,), many in zip(alone, together, strict=True):
        for other in many:
            np.testing.assert_allclose(other, one, atol=1e-9)


def test_the_network_gives_a_session_the_same_bits_in_any_batch():
    with required():
        network = VisemeNetwork(models.locate(Settings(cache_dir=cache_dir()), "viseme"))
    alone, together = told(network, HOPS), told(network, HOPS, sessions=33)
    for (one,), many in zip(alone, together, strict=True):
        assert set(many) == {one}
