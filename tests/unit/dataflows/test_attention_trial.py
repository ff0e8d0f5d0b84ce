import math

import numpy as np
import pytest

from dataflows import attention_trial
from dataflows.layout import F_WIDTH, S_WIDTH
from inference_workers.engines.landmarker import NO_FACE
from schemas.fusion_config import FusionConfig
from schemas.records import SpeechSignal
from schemas.vocabulary import EMOTIONS

CONFIG = attention_trial.config_row(FusionConfig.of())


def sure(emotion, p=1.0):
    return tuple(p if name == emotion else (1 - p) / 6 for name in EMOTIONS)


def face(emotion, confidence=0.9):
    from dataclasses import replace

    return replace(
        NO_FACE, face_detected=True, confidence=confidence, emotion_scores=sure(emotion), box=(0.2, 0.2, 0.5, 0.5)
    )


def speech(emotion, confidence=0.9):
    return SpeechSignal(1.0, -20.0, sure(emotion), 0.0, confidence, 0.0, 0.0, 0.0, 0.0, (1.0, *[0.0] * 14), 1.0)


def test_rows_are_fused_one_by_one():
    faces = np.stack([attention_trial.face_row(each) for each in (face("happy"), NO_FACE, face("sad"), None)])
    voices = np.stack(
        [attention_trial.speech_row(each) for each in (speech("angry"), speech("angry"), None, speech("fear", 0.1))]
    )
    assert (faces.shape, voices.shape) == ((4, F_WIDTH), (4, S_WIDTH))
    fused = attention_trial.fuse(faces, voices, CONFIG)
    np.testing.assert_allclose(fused.face_weight + fused.speech_weight, [1.0, 1.0, 1.0, 0.0])
    # A frontal, large face has a logit more of context than a voice that speaks.
    assert fused.face_weight[0] == pytest.approx(1 / (1 + math.exp(-1)))
    assert (fused.face_weight[1], fused.speech_weight[2]) == (0.0, 0.0)
    named = [EMOTIONS[place] for place in fused.emotions.argmax(axis=1)]
    assert named[1:] == ["angry", "sad", "neutral"], "who shows nothing is neutral"
    np.testing.assert_allclose(fused.emotions.sum(axis=1), 1.0)


def test_parameters_count():
    faces = attention_trial.face_row(face("happy"))[None]
    voices = attention_trial.speech_row(speech("sad"))[None]
    deaf = attention_trial.config_row(FusionConfig.of({"speech_threshold": 1.0}))
    assert attention_trial.fuse(faces, voices, deaf).face_weight[0] == 1.0
