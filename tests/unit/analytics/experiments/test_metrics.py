"""Each metric against sessions of which its value is known."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.experiments.metrics import DEFINED, FAIRNESS, SessionFacts, values_of
from analytics.experiments.tracks import EXPRESSION, SHAPES, Track, heard_at, openness_of, track_of_columns
from schemas.experiments import METRICS
from schemas.vocabulary import AUS, EMOTIONS, VISEMES

TICKS = 600
SMILE = [SHAPES.index("mouthSmileLeft"), SHAPES.index("mouthSmileRight")]


def track(ticks=TICKS, **changes):
    neutral = np.zeros((ticks, len(EMOTIONS)))
    neutral[:, 0] = 1.0
    joined = np.ones(ticks, bool)
    joined[:1] = False
    still = Track(
        sequence=np.arange(ticks), emotions=neutral, aus=np.zeros((ticks, len(AUS))),
        shapes=np.zeros((ticks, len(SHAPES))), speaking=np.zeros(ticks), confidence=np.full(ticks, 0.8),
        face_live=np.ones(ticks, bool), joined=joined, heard=np.full(ticks, np.nan),
    )  # fmt: skip
    return replace(still, **changes)


def of(name, facts):
    found = DEFINED.get(name) or next(metric for metric in FAIRNESS if metric.name == name)
    return found.of(facts)


def moving(rng=None, noise=0.0):
    """(ticks, shapes) that all move slowly, with noise."""
    wave = 0.5 + 0.4 * np.sin(np.arange(TICKS) / 40)[:, None] * np.ones(len(SHAPES))
    return wave if rng is None else wave + rng.normal(0, noise, wave.shape)


def test_every_metric_has_one_definition_with_unit_and_words():
    assert list(DEFINED) == list(METRICS)
    for metric in (*DEFINED.values(), *FAIRNESS):
        assert metric.unit
        assert len(metric.definition) > 40
        assert metric.name == metric.of.__name__


def test_a_session_of_which_nothing_is_known_tells_nothing():
    assert values_of(SessionFacts()) == dict.fromkeys(values_of(SessionFacts())) | {"opt_out": 0.0}
    empty = track(0)
    assert set(values_of(SessionFacts(track=empty)).values()) == {None, 0.0}


def test_rating_duration_and_opt_out():
    facts = SessionFacts(ratings=[2.0, 5.0], duration_s=12.5, opted_out=True)
    assert (of("rating", facts), of("duration", facts), of("opt_out", facts)) == (3.5, 12.5, 100.0)


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.05])
def test_jitter_is_the_noise_and_not_the_movement(noise):
    shaken = track(shapes=moving(np.random.default_rng(1), noise))
    assert of("jitter", SessionFacts(track=shaken)) == pytest.approx(1_000 * noise, rel=0.05)
    assert of("jitter", SessionFacts(track=track(shapes=moving()))) < 0.2


def test_jitter_does_not_see_a_jump_over_a_gap():
    shapes = moving()
    shapes[300:] = np.clip(shapes[300:] - 0.4, 0, 1)
    joined = track().joined.copy()
    joined[300] = False
    assert of("jitter", SessionFacts(track=track(shapes=shapes, joined=joined))) < 0.2
    assert of("jitter", SessionFacts(track=track(shapes=shapes))) > 3


@pytest.mark.parametrize("lag", [0, 1, 3, 6])
def test_responsiveness_is_the_lag(lag):
    rng = np.random.default_rng(2)
    smile = np.clip(np.convolve(rng.normal(0, 0.4, TICKS), np.ones(8) / 8, "same") + 0.4, 0, 1)
    aus, shapes = np.zeros((TICKS, len(AUS))), np.zeros((TICKS, len(SHAPES)))
    aus[:, AUS.index("AU12")] = smile
    shapes[:, SMILE] = np.concatenate([np.full(lag, smile[0]), smile[: TICKS - lag]])[:, None]
    told = of("responsiveness", SessionFacts(track=track(aus=aus, shapes=shapes)))
    assert told == pytest.approx(lag * 1_000 / 30, abs=8)


def test_responsiveness_needs_a_face_that_moves():
    assert of("responsiveness", SessionFacts(track=track())) is None


def test_expressiveness_is_the_range():
    shapes = np.zeros((TICKS, len(SHAPES)))
    shapes[:, :EXPRESSION] = np.linspace(0, 1, TICKS)[:, None]
    assert of("expressiveness", SessionFacts(track=track(shapes=shapes))) == pytest.approx(90)
    assert of("expressiveness", SessionFacts(track=track())) == 0


def test_the_mouth_agrees_with_what_is_heard():
    rng = np.random.default_rng(3)
    heard = np.clip(np.convolve(rng.random(TICKS), np.ones(5) / 5, "same"), 0, 1)
    shapes = np.zeros((TICKS, len(SHAPES)))
    shapes[:, -1] = 0.5 * heard
    speaking = np.where(np.arange(TICKS) < 400, 0.9, 0.1)
    shapes[400:, -1] = 1.0  # not while speaking: it does not count
    said = track(shapes=shapes, heard=heard, speaking=speaking)
    assert of("mouth_speech_agreement", SessionFacts(track=said)) == pytest.approx(1)
    late = replace(said, shapes=np.roll(shapes, 6, axis=0))
    assert of("mouth_speech_agreement", SessionFacts(track=late)) < 0.6
    assert of("mouth_speech_agreement", SessionFacts(track=replace(said, speaking=np.zeros(TICKS)))) is None


def test_sensitive_classes_at_rest_are_false():
    emotions = track().emotions.copy()
    emotions[300:450] = 0
    emotions[300:450, EMOTIONS.index("angry")] = 1.0
    found = of("sensitive_false_positives", SessionFacts(track=track(emotions=emotions)))
    # The first second tells nothing: what was before it is not known.
    assert found == pytest.approx(100 * 150 / (TICKS - 30), abs=0.5)
    aus = np.zeros((TICKS, len(AUS)))
    aus[300:450, AUS.index("AU04")] = 0.8  # a frown is reason enough
    assert of("sensitive_false_positives", SessionFacts(track=track(emotions=emotions, aus=aus))) == 0
    aus[:, AUS.index("AU45")] = 1.0  # a blink is not
    assert of("sensitive_false_positives", SessionFacts(track=track(emotions=emotions, aus=aus))) == 0
    happy = track().emotions[:, [1, 0, *range(2, 7)]]
    assert of("sensitive_false_positives", SessionFacts(track=track(emotions=happy))) == 0
    assert of("sensitive_false_positives", SessionFacts(track=track(speaking=np.ones(TICKS)))) is None


def test_self_reports_are_held_against_the_second_before():
    emotions = track().emotions.copy()
    emotions[200:260] = 0
    emotions[200:260, EMOTIONS.index("happy")] = 1.0
    facts = SessionFacts(track=track(emotions=emotions), felt=[(259, "happy"), (100, "sad"), (9_999, "sad")])
    assert of("recognition_error", facts) == 50
    assert of("confidence", facts) == pytest.approx(0.8)


def test_a_track_knows_its_gaps_and_weighs_confidence():
    columns = {name: np.zeros(4) for name in (*(f"emotion_{e}" for e in EMOTIONS), *AUS, *SHAPES)}
    columns |= {
        "sequence": np.array([0, 1, 3, 4]), "discontinuity": np.array([False, False, False, True]),
        "face_live": np.ones(4, bool), "speaking_probability": np.zeros(4), "face_weight": np.full(4, 0.75),
        "speech_weight": np.full(4, 0.25), "face_confidence": np.full(4, 0.8), "speech_confidence": np.full(4, 0.4),
    }  # fmt: skip
    found = track_of_columns(columns, np.full(4, np.nan))
    assert found.joined.tolist() == [False, True, False, False]
    assert found.confidence == pytest.approx(np.full(4, 0.7))


def test_what_was_heard_is_between_its_hops_and_nowhere_else():
    visemes = np.zeros((2, len(VISEMES)))
    visemes[0, VISEMES.index("sil")] = visemes[1, VISEMES.index("aa")] = 1.0
    hops = np.array([100_000, 140_000])
    found = heard_at(np.array([20_000, 100_000, 120_000, 140_000, 200_000]), hops, openness_of(visemes))
    assert found[1:4] == pytest.approx([0, 0.5, 1])
    assert np.isnan(found[[0, 4]]).all()
    assert np.isnan(heard_at(hops, np.zeros(0, np.int64), np.zeros(0))).all()
