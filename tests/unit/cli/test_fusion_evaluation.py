import io

import numpy as np
import pytest
from rich.console import Console

from cli.fusion_evaluation import Pairs, evaluate, show
from dataflows.layout import F_BOX, F_CONFIDENCE, F_DETECTED, F_EMOTIONS, F_WIDTH, S_CONFIDENCE, S_EMOTIONS, S_WIDTH
from inference_workers.evaluation.degradation import MISSING, PICTURES, SOUNDS
from schemas.fusion_config import FusionConfig
from schemas.vocabulary import EMOTIONS

LABELS = ("happy", "sad", "angry") * 8
WRONG = {"happy": "sad", "sad": "angry", "angry": "happy"}


def rows(width, first, confidence_at, right):
    """Samples that answer the label where ``right`` says so, and another where not."""
    found = np.zeros((len(LABELS), width))
    found[:, confidence_at] = np.where(right, 0.9, 0.4)
    for row, (label, is_right) in enumerate(zip(LABELS, right, strict=True)):
        found[row, first + EMOTIONS.index(label if is_right else WRONG[label])] = 0.8
        found[row, first + EMOTIONS.index("fear")] = 0.2
    return found


def pairs() -> Pairs:
    place = np.arange(len(LABELS))
    face = rows(F_WIDTH, F_EMOTIONS, F_CONFIDENCE, place % 4 != 0)
    face[:, F_DETECTED], face[:, F_BOX + 2] = 1.0, 0.5
    voice = rows(S_WIDTH, S_EMOTIONS, S_CONFIDENCE, place % 4 != 1)[:, None, :]
    worse = voice.copy()
    worse[:, :, S_CONFIDENCE] = 0.25
    faces = dict.fromkeys(PICTURES, face) | {MISSING: np.zeros_like(face)}
    return Pairs(LABELS, faces, {"clean": voice} | {n: worse for n in SOUNDS if n != "clean"} | {MISSING: 0 * voice})


def test_fusion_is_compared_with_the_better_of_its_modalities():
    results = evaluate(pairs(), FusionConfig.of())
    assert results.classes == ("happy", "sad", "angry")
    assert results.at("clean", MISSING).uar == pytest.approx(0.75)
    assert results.at(MISSING, "clean").uar == pytest.approx(0.75)
    assert results.at("clean", "clean").uar == 1.0
    keys = results.keys()
    assert (keys["uar_fused"], keys["uar_face"], keys["uar_speech"]) == (1.0, 0.75, 0.75)
    assert keys["gain_points"] == pytest.approx(25.0)
    assert keys["worst_gap"] == 0.0
    assert len(keys["grid"]) == (len(PICTURES) + 1) * (len(SOUNDS) + 1) - 1
    # As the voice gets worse, the face gets the weight.
    assert results.at("clean", "noise -5 dB").face_weight > results.at("clean", "clean").face_weight
    assert results.at("clean", MISSING).face_weight == 1.0


def test_the_grid_is_shown():
    out = io.StringIO()
    show(evaluate(pairs(), FusionConfig.of()), Console(file=out, width=160))
    told = out.getvalue()
    assert "24 pairs across people" in told
    assert "no face" in told
    assert "+25.0 points over the better one" in told
