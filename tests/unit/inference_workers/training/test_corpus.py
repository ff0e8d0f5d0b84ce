import numpy as np
import pytest

from inference_workers.training import corpus
from runtime.errors import PrerequisiteError
from tests.support.voices import sine, write_wav


def test_emodb_and_ravdess_names_are_read(tmp_path):
    for name in ("03a01Wa", "16b10Lb", "03-01-08-02-01-02-12", "03-01-02-01-01-01-01", "notes"):
        write_wav(tmp_path / f"{name}.wav", sine(0.1, 300))
    found = [(clip.path.stem, clip.label, clip.speaker) for clip in corpus.read(tmp_path)]
    assert found == [
        ("03-01-02-01-01-01-01", "neutral", "01"),
        ("03-01-08-02-01-02-12", "surprise", "12"),
        ("03a01Wa", "angry", "03"),
        ("16b10Lb", "unknown", "16"),
    ]


def test_a_manifest_goes_before_names(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label,speaker\nx/b.wav,happy,s2\na.wav,unknown,s1\n", encoding="utf-8")
    assert [(clip.label, clip.speaker) for clip in corpus.read(tmp_path)] == [("unknown", "s1"), ("happy", "s2")]
    (tmp_path / "manifest.csv").write_text("path,label,speaker\na.wav,joyful,s1\n", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="joyful"):
        corpus.read(tmp_path)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(PrerequisiteError, match="neither"):
        corpus.read(tmp_path)


def test_sound_is_brought_to_16_khz_mono(tmp_path):
    tone = sine(1.0, 440)
    stereo = np.repeat(np.interp(np.arange(22_050) * 16_000 / 22_050, np.arange(16_000), tone), 2)
    write_wav(tmp_path / "a.wav", stereo.astype(np.float32), rate_hz=22_050, channels=2)
    found = corpus.load(tmp_path / "a.wav")
    assert abs(len(found) - 16_000) < 50
    assert np.abs(np.fft.rfft(found[:8_000])).argmax() * 2 == 440


def test_cremad_names_are_read(tmp_path):
    (tmp_path / "AudioWAV").mkdir()
    for name in ("1001_DFA_ANG_XX", "1091_WSI_NEU_XX", "1002_IEO_SAD_HI", "1002_IEO_WOW_HI"):
        write_wav(tmp_path / "AudioWAV" / f"{name}.wav", sine(0.1, 300))
    assert [(clip.label, clip.speaker) for clip in corpus.read(tmp_path)] == [
        ("angry", "1001"),
        ("sad", "1002"),
        ("neutral", "1091"),
    ]


def test_iemocap_turns_are_read_with_their_ratings(tmp_path):
    session = tmp_path / "Session1"
    (session / "dialog" / "EmoEvaluation").mkdir(parents=True)
    (session / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt").write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
        "[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[2.5000, 2.5000, 2.5000]\n"
        "[14.8872 - 18.0175]\tSes01F_impro01_F002\txxx\t[2.5000, 2.5000, 2.5000]\n"
        "[19.2900 - 20.7875]\tSes01F_impro01_F003\tfru\t[2.5000, 3.0000, 3.0000]\n",
        encoding="utf-8",
    )
    clips = corpus.read(tmp_path)
    assert [(clip.label, clip.speaker) for clip in clips] == [
        ("neutral", "Ses01F"),
        ("unknown", "Ses01F"),
        ("happy", "Ses01M"),
    ]
    assert clips[0].path == session / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_F000.wav"
    assert "IEMOCAP" in corpus.forbids_shipping(clips)


def test_what_may_not_be_shipped_is_known_by_its_names(tmp_path):
    write_wav(tmp_path / "03a01Wa.wav", sine(0.1, 300))
    assert corpus.forbids_shipping(corpus.read(tmp_path)) is None
    write_wav(tmp_path / "03-01-08-02-01-02-12.wav", sine(0.1, 300))
    assert "RAVDESS" in corpus.forbids_shipping(corpus.read(tmp_path))
