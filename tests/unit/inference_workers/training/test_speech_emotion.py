import numpy as np
import pytest

from inference_workers.engines.embedded_speech import EmbeddedSpeech
from inference_workers.probabilities import softmax
from inference_workers.speech import emotion
from inference_workers.speech.features import emotion_features
from inference_workers.training import perceptron, speech_emotion
from inference_workers.training.perceptron import Recipe
from inference_workers.training.speech_emotion import Windows
from runtime.errors import SettingsError
from tests.support.voices import FORMANTS_HZ, sine, vowel, write_wav

QUICK = Recipe(hidden=8, epochs=3)


def toy(speakers=4, per_class=6) -> Windows:
    """Classes along one feature; speakers differ in another."""
    random = np.random.default_rng(0)
    rows = [(c, s) for s in range(speakers) for c in range(7) for _ in range(per_class)]
    features = random.normal(0, 0.3, (len(rows), 10))
    features[:, 0] += [c for c, _ in rows]
    features[:, 1] += [5 * s for _, s in rows]
    numbers = np.arange(len(rows))
    return Windows(
        features, np.array([c for c, _ in rows]), numbers, np.zeros_like(numbers), np.array([str(s) for _, s in rows])
    )


def test_no_speaker_is_answered_by_a_model_that_heard_it(monkeypatch):
    windows = toy()
    heard = []
    flat = perceptron.Perceptron([np.zeros(shape) for shape in ((10, 2), (2,), (2, 7), (7,))])

    def spy(part, seed, members, recipe):
        heard.append(set(part.speakers))
        return speech_emotion.Model(np.zeros(10), np.ones(10), [flat])

    monkeypatch.setattr(speech_emotion, "fit", spy)
    speech_emotion.leave_one_speaker_out(windows, 0, 1, QUICK)
    assert heard == [set("0123") - {left_out} for left_out in "0123"]


def test_temperature_mends_overconfidence():
    random = np.random.default_rng(0)
    true = random.normal(0, 1, (4_000, 7))
    labels = np.array([random.choice(7, p=row) for row in softmax(true)])
    assert speech_emotion.best_temperature(true * 3, labels) == pytest.approx(3.0, rel=0.1)
    assert speech_emotion.calibration_error(softmax(true), labels) < 0.03
    assert speech_emotion.calibration_error(softmax(true * 3), labels) > 0.2


def test_uar_and_macro_f1_by_hand():
    table = speech_emotion.confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), 3)
    np.testing.assert_array_equal(table, [[2, 1, 0], [0, 2, 0], [0, 0, 0]])
    uar, f1 = speech_emotion.scores_of(table)
    assert uar == pytest.approx((2 / 3 + 1) / 2)
    assert f1 == pytest.approx((0.8 + 0.8) / 2)


@pytest.fixture
def corpus_folder(tmp_path):
    """Two speakers and three emotions, told apart by pitch."""
    lines = ["path,label,speaker"]
    for speaker in range(2):
        for label, pitch_hz in (("angry", 260), ("neutral", 150), ("sad", 95)):
            for take in range(3):
                name = f"{speaker}{label}{take}.wav"
                sound = vowel(1.3, FORMANTS_HZ["aa"], pitch_hz=pitch_hz + 3 * take + 5 * speaker, amplitude=0.2)
                write_wav(tmp_path / name, sound)
                lines.append(f"{name},{label},{speaker}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_the_whole_run_is_reproducible_and_the_file_answers_as_the_model(corpus_folder, capsys):
    pytest.importorskip("onnx", reason="OPTIONAL: the extra `train` is not installed")
    files = [corpus_folder / "a.onnx", corpus_folder / "b.onnx"]
    for file in files:
        assert speech_emotion.main(["--data", str(corpus_folder), "--out", str(file), "--variations", "1"]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    printed = capsys.readouterr().out
    assert "18 clips of 2 speakers (0, 1); each is left out once" in printed
    assert "UAR" in printed
    engine = EmbeddedSpeech(files[0])
    for label, pitch_hz in (("angry", 262), ("sad", 97)):
        answer = engine.infer([vowel(1.0, FORMANTS_HZ["aa"], pitch_hz=pitch_hz)])[0]
        assert emotion.CLASSES[int(np.argmax([*answer.scores[:4]]))] == label


def test_the_model_is_the_mean_of_its_members(corpus_folder):
    onnx_export = pytest.importorskip("inference_workers.training.export", reason="OPTIONAL: the extra `train`")
    import onnxruntime

    random = np.random.default_rng(0)
    nets = [perceptron.Perceptron([random.normal(size=s) for s in ((94, 5), (5,), (5, 7), (7,))]) for _ in range(3)]
    model = speech_emotion.Model(random.normal(size=94), random.uniform(1, 2, 94), nets, 1.7)
    onnx_export.write_onnx(
        corpus_folder / "m.onnx",
        mean=model.mean,
        spread=model.spread,
        clip=emotion.CLIP,
        members=[net.parameters for net in nets],
        temperature=1.7,
    )
    inputs = np.stack([emotion_features(vowel(1.0, f)) for f in FORMANTS_HZ.values()])
    (found,) = onnxruntime.InferenceSession(str(corpus_folder / "m.onnx")).run(None, {"features": inputs})
    np.testing.assert_allclose(found, softmax(model.logits(inputs.astype(float))), atol=1e-4)


def test_a_shipped_model_is_not_trained_on_ravdess(tmp_path):
    write_wav(tmp_path / "03-01-08-02-01-02-12.wav", sine(0.1, 300))
    with pytest.raises(SettingsError, match="RAVDESS"):
        speech_emotion.main(["--data", str(tmp_path)])
