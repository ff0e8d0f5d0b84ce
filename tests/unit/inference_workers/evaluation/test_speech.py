from pathlib import Path

import numpy as np
import pytest

from inference_workers.engines.protocols import SpeechEmotion
from inference_workers.evaluation import speech
from inference_workers.training import speech_emotion
from inference_workers.training.corpus import Clip
from inference_workers.training.perceptron import Perceptron
from schemas.vocabulary import EMOTIONS
from tests.support.voices import FORMANTS_HZ, vowel, write_wav


def clip(folder: Path, name: str, label: str, speaker: str, loud: float, *, seconds: float = 2.0) -> Clip:
    write_wav(folder / f"{name}.wav", vowel(seconds, FORMANTS_HZ["aa"], amplitude=loud))
    return Clip(folder / f"{name}.wav", label, speaker)


class LoudIsAngry:
    source = "loud@1"
    max_batch = 8

    def warm_up(self):
        pass

    def infer(self, windows):
        found = ["angry" if np.abs(window).max() > 0.5 else "sad" for window in windows]
        return [SpeechEmotion(tuple(float(e == f) for e in EMOTIONS), 0.0, 1.0, 0, 0, 0) for f in found]


def test_clips_are_answered_by_their_windows_and_scored_by_who_was_heard(tmp_path):
    clips = [
        clip(tmp_path, "03a01Wa", "angry", "03", 0.9),
        clip(tmp_path, "15a01Wa", "angry", "15", 0.9),
        clip(tmp_path, "15a01Ta", "sad", "15", 0.2, seconds=0.4),
        clip(tmp_path, "15a01Na", "neutral", "15", 0.2),
        clip(tmp_path, "15a01La", "unknown", "15", 0.2),
        clip(tmp_path, "x", "surprise", "03", 0.2),
    ]
    answered = speech.answers(LoudIsAngry(), clips, lambda _line: None)
    assert [each.answer for each in answered] == ["angry", "angry", "sad", "sad", "sad"]
    assert [speech.was_heard(each.clip) for each in answered] == [True, False, False, False, False]
    part = speech.part("all", answered, ["angry", "sad", "neutral"])
    assert (part.scores.n, part.known.n) == (5, 4)
    assert part.scores.recalls["surprise"] == 0.0
    assert part.speakers == ("03", "15")
    keys = speech.keys(part, [part])
    assert keys["n"] == 5
    assert keys["macro_f1"] == pytest.approx(part.scores.macro_f1, abs=1e-4)
    assert keys["parts"]["all"]["speakers"] == ["03", "15"]


def test_a_corpus_is_named_by_its_files():
    emodb, other = Clip(Path("03a01Wa.wav"), "angry", "03"), Clip(Path("x/y.wav"), "sad", "1")
    assert speech.corpus_name(Path("a/b"), [emodb]) == "EMO-DB"
    assert speech.corpus_name(Path("a/b"), [emodb, other]) == "b"


def test_each_speaker_is_answered_by_a_model_without_them(tmp_path, monkeypatch):
    clips = [
        clip(tmp_path, f"{s}a01{c}a", label, s, 0.5)
        for s in ("03", "08")
        for c, label in (("W", "angry"), ("T", "sad"))
    ]
    heard = []

    def fit(windows, seed):
        heard.append(set(windows.speakers.tolist()))
        features = windows.features.shape[1]
        flat = [np.zeros((features, 2)), np.zeros(2), np.zeros((2, 7)), np.eye(7)[3]]
        return speech_emotion.Model(np.zeros(features), np.ones(features), [Perceptron(flat)])

    monkeypatch.setattr(speech_emotion, "fit", fit)
    answered = speech.left_out(clips, lambda _line: None, variations=0)
    assert heard == [{"08"}, {"03"}] * 2, "for quiet surroundings, and for noise"
    assert [each.answer for each in answered] == ["angry"] * 4
