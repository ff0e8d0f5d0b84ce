import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import attention
from dataflows.layout import (
    F_BOX,
    F_CONFIDENCE,
    F_DETECTED,
    F_EMOTIONS,
    F_VALENCE,
    F_WIDTH,
    F_YAW,
    HAPPY,
    NEUTRAL,
    P_FACE_CERTAINTY,
    S_CONFIDENCE,
    S_EMOTIONS,
    S_SPEAKING,
    S_WIDTH,
    SAD,
)  # fmt: skip
from schemas.fusion_config import PARAMETERS

CONFIG = np.array([p.default for p in PARAMETERS.values()])


def face(confidence: float = 0.8, **columns: float) -> np.ndarray:
    out = np.zeros(F_WIDTH)
    out[F_CONFIDENCE], out[F_DETECTED], out[F_BOX + 3] = confidence, 1.0, 0.5
    out[F_EMOTIONS + HAPPY] = 1.0
    for index, value in columns.items():
        out[int(index[1:])] = value
    return out


def speech(confidence: float = 0.8, speaking: float = 1.0) -> np.ndarray:
    out = np.zeros(S_WIDTH)
    out[S_CONFIDENCE], out[S_SPEAKING] = confidence, speaking
    return out


def weigh(a: np.ndarray, b: np.ndarray, fresh: tuple[float, float] = (1.0, 1.0), ages: tuple[int, int] = (0, 0)):
    return attention.weigh(a, b, *fresh, np.array(ages), CONFIG)


def test_equal_evidence_weighs_equally() -> None:
    # A face turned by 60 degrees has half of its context: as much as a voice that speaks.
    assert weigh(face(**{f"c{F_YAW}": 60.0}), speech()) == pytest.approx((0.5, 0.5))


def test_a_face_whose_emotion_is_uncertain_weighs_less() -> None:
    doubtful = {f"c{F_EMOTIONS + HAPPY}": 0.5, f"c{F_EMOTIONS + SAD}": 0.5}
    logit = lambda p: math.log(p / (1 - p))  # noqa: E731
    a, b = weigh(face(0.8, **doubtful), speech(0.6))
    assert a / b == pytest.approx(math.exp(logit(0.8 * 0.5**2) + 2.0 - logit(0.6) - 1.0))


def test_sessions_from_before_certainty_counted_are_weighed_as_they_were() -> None:
    then = CONFIG.copy()
    then[P_FACE_CERTAINTY] = PARAMETERS["face_certainty"].unrecorded
    doubtful, sure = face(**{f"c{F_EMOTIONS + HAPPY}": 0.5}), face()
    ages = np.zeros(2, np.int64)
    assert attention.weigh(doubtful, speech(), 1.0, 1.0, ages, then) == attention.weigh(
        sure, speech(), 1.0, 1.0, ages, then
    )


def test_weights_are_the_softmax_of_logits_and_context() -> None:
    a, b = weigh(face(0.9), speech(0.6, 0.5), ages=(10_000, 100_000))
    logit = lambda p: math.log(p / (1 - p))  # noqa: E731
    face_logit, speech_logit = logit(0.9) + 2.0 - 0.04, logit(0.6) + 0.5 - 0.4
    assert a / b == pytest.approx(math.exp(face_logit - speech_logit))
    assert a + b == pytest.approx(1.0)


def test_a_turned_or_small_face_weighs_less() -> None:
    frontal = weigh(face(), speech())[0]
    assert weigh(face(**{f"c{F_YAW}": 80.0}), speech())[0] < frontal
    assert weigh(face(**{f"c{F_BOX + 3}": 0.05}), speech())[0] < frontal


@pytest.mark.parametrize("confidence", [0.0, 0.19])
def test_a_confidence_under_its_threshold_counts_for_nothing(confidence: float) -> None:
    assert weigh(face(confidence), speech()) == (0.0, 1.0)
    assert weigh(face(), speech(confidence)) == (1.0, 0.0)
    assert weigh(face(confidence), speech(confidence)) == (0.0, 0.0)


def test_no_face_no_weight() -> None:
    assert weigh(face(**{f"c{F_DETECTED}": 0.0}), speech()) == (0.0, 1.0)


def test_stale_weights_fall_short_of_one() -> None:
    assert weigh(face(), speech(), fresh=(0.25, 0.0)) == (0.25, 0.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000_000))
@settings(deadline=None)  # the first call may compile
def test_weights_are_shares(a: float, b: float, x: float, y: float, age: int) -> None:
    weights = weigh(face(a), speech(b), fresh=(x, y), ages=(age, 0))
    assert all(0.0 <= w <= 1.0 for w in weights)
    assert sum(weights) <= 1.0 + 1e-9


def test_the_canonical_emotion_is_weighted_and_sums_to_one() -> None:
    a, b = face(), speech()
    a[F_EMOTIONS + HAPPY], b[S_EMOTIONS + SAD] = 1.0, 0.5  # half of the voice's mass is unknown
    a[F_VALENCE] = 0.8
    emotions, affect = np.zeros(7), np.zeros(3)
    attention.canonical_emotion(a, b, 0.6, 0.4, emotions, affect)
    assert emotions.sum() == pytest.approx(1.0)
    assert emotions[HAPPY] / emotions[SAD] == pytest.approx(0.6 / 0.2)
    assert affect[0] == pytest.approx(0.48)


def test_nothing_known_is_neutral() -> None:
    emotions, affect = np.zeros(7), np.zeros(3)
    attention.canonical_emotion(face(), speech(), 0.0, 0.0, emotions, affect)
    assert emotions[NEUTRAL] == 1.0
    attention.canonical_emotion(np.zeros(F_WIDTH), speech(), 1.0, 0.0, emotions, affect)
    assert emotions[NEUTRAL] == 1.0
