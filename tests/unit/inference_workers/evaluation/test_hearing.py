import numpy as np

from inference_workers.evaluation.hearing import Unfelt, hear
from inference_workers.speech.processor import SpeechProcessor
from inference_workers.speech.viseme import SpectralVisemes
from runtime.metrics import Metrics
from tests.support.fake_speech_engine import FakeDetector, FakeSpeechEngine
from tests.support.voices import FORMANTS_HZ, silence, vowel


def test_recordings_are_heard_hop_by_hop_from_their_begin():
    engine = FakeSpeechEngine()
    processor = SpeechProcessor(engine, FakeDetector(), SpectralVisemes(), Metrics("test"))
    found = hear({"a": vowel(2.0, FORMANTS_HZ["aa"]), "b": silence(0.5), "c": silence(0.01)}, processor)
    assert [round(each.at_s, 3) for each in found["a"]] == [round(0.04 * n, 3) for n in range(1, 51)]
    assert len(found["b"]) == 12
    assert found["c"] == []
    assert found["a"][10].signal.speaking_probability == 1.0
    assert len(engine.windows) == 2
    assert found["a"][-1].signal.emotion_confidence > 0


def test_unfelt_answers_without_confidence():
    (answer,) = Unfelt().infer([np.zeros(16_000, np.float32)])
    assert answer.confidence == 0.0
    assert answer.unknown == 1.0
