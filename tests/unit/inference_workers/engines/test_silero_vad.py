import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines.silero_vad import SileroVad
from inference_workers.speech import vad
from inference_workers.speech.timeline import Timeline
from runtime.errors import ModelError
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir, required
from tests.support.voices import noise, sample_speech, silence, sine

T0 = 1_800_000_000_000_000
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def detector():
    with required():
        found = SileroVad(models.locate(Settings(cache_dir=cache_dir()), "silero_vad"))
    found.warm_up()
    return found


def speaking(detector, samples) -> list[float]:
    """The probability of each hop of 40 ms, from 0 on."""
    _, hops = Timeline().add(T0, 0, samples)
    voice = vad.Voice()
    return [vad.speaking_probabilities(detector, [voice], [hop])[0] for hop in hops]


@pytest.mark.parametrize(
    "sound",
    [silence(3.0), noise(3.0, 50, 7_500, 0.02), sine(3.0, 50, 0.05), sine(3.0, 440)],
    ids=["silence", "noise", "hum", "tone"],
)
def test_what_is_no_voice_is_not_taken_for_one(detector, sound):
    assert max(speaking(detector, sound)) < 0.3


def test_real_speech_is_noticed_and_its_pauses_too(detector):
    sound, truth = sample_speech()
    found = speaking(detector, sound)
    ends = [(n + 1) * 0.04 for n in range(len(found))]
    inside = [p for p, end in zip(found, ends, strict=True) if truth.speaks(end - 0.02, margin_s=0.2)]
    outside = [p for p, end in zip(found, ends, strict=True) if truth.silent(end - 0.02, margin_s=0.4)]
    assert np.mean(np.array(inside) > 0.7) > 0.9
    assert max(outside) < 0.3


def test_a_voice_is_noticed_within_a_tenth_of_a_second(detector):
    sound, truth = sample_speech()
    found = speaking(detector, sound)
    for start, _ in truth.speech:
        begun = start + np.argmax(np.abs(sound[int(start * 16_000) :]) > 0.02) / 16_000
        first = next(n for n in range(int(begun / 0.04), len(found)) if found[n] > 0.7)
        assert (first + 1) * 0.04 - begun < 0.16


def test_a_batch_answers_as_each_alone(detector):
    windows = RANDOM.normal(0, 0.1, (5, vad.CONTEXT + vad.WINDOW)).astype(np.float32)
    states = RANDOM.normal(0, 0.1, (2, 5, vad.STATE)).astype(np.float32)
    together, after = detector.probabilities(windows, states)
    for n in range(5):
        alone, alone_after = detector.probabilities(windows[n : n + 1], states[:, n : n + 1])
        np.testing.assert_allclose(together[n], alone[0], atol=1e-5)
        np.testing.assert_allclose(after[:, n], alone_after[:, 0], atol=1e-4)


def test_a_file_that_is_not_the_model_is_refused(tmp_path):
    bad = tmp_path / "silero_vad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="does not load"):
        SileroVad(bad)
    with pytest.raises(ModelError, match="not Silero"):
        SileroVad(models.MANIFEST.parent / "weights" / "speech_emotion.onnx")
