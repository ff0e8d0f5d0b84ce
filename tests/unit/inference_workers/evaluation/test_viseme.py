import numpy as np
import pytest

from inference_workers.evaluation.hearing import Heard
from inference_workers.evaluation.viseme import score
from inference_workers.speech.phones import Segment
from schemas.records import SpeechSignal
from schemas.vocabulary import EMOTIONS, VISEMES

HOPS = 200
BOUNDS = np.cumsum(np.random.default_rng(3).uniform(0.05, 0.3, 60))
NAMES = [VISEMES[i] for i in np.random.default_rng(4).integers(0, 15, 61)]
TRUTH = [Segment(float(a), float(b), n) for a, b, n in zip([0, *BOUNDS], [*BOUNDS, 99.0], NAMES, strict=True)]


def said_at(at_s):
    return next(segment.name for segment in TRUTH if segment.start_s <= at_s < segment.end_s)


def hop(at_s, name, weight=0.9):
    rest = (1.0 - weight) / 14
    scores = tuple(weight if each == name else rest for each in VISEMES)
    return Heard(
        at_s,
        SpeechSignal(1.0, -20.0, (0.0,) * len(EMOTIONS), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, scores, weight),
    )


@pytest.mark.parametrize("late_ms", [-40, 0, 20, 40, 90])
def test_lateness_is_found(late_ms):
    instants = [0.04 * n + 0.2 for n in range(HOPS)]
    heard = [hop(at_s, said_at(at_s - late_ms / 1_000)) for at_s in instants]
    found = score({"a": heard}, {"a": TRUTH})
    assert found.late_ms == pytest.approx(late_ms, abs=5)
    assert (found.end.accuracy > 0.97) == (late_ms == 0)
    assert (found.middle.accuracy > 0.97) == (late_ms == 20)
    assert found.recordings == 1
    assert found.keys()["n"] == HOPS


def test_who_answers_silence_only_has_no_spoken_accuracy():
    heard = [hop(0.04 * n, "sil") for n in range(HOPS)]
    found = score({"a": heard}, {"a": TRUTH})
    assert found.spoken_accuracy == 0.0
    assert found.end.accuracy == pytest.approx(np.mean([said_at(0.04 * n) == "sil" for n in range(HOPS)]))
    assert found.keys()["per_class"]["sil"] == 1.0


def test_hops_without_labels_do_not_count():
    heard = [hop(0.04 * n, "aa") for n in range(10)]
    found = score({"a": heard}, {"a": [Segment(0.1, 0.19, "aa")]})
    assert found.middle.n == 2
    assert found.middle.accuracy == 1.0
