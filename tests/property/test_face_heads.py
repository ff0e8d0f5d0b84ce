"""Laws of what heads' numbers become, whatever they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.engines.face_heads import scores_of, values_of
from inference_workers.face_chain import NONE, Output
from schemas.vocabulary import AUS, EMOTIONS

LABELS = st.lists(st.sampled_from([*EMOTIONS, NONE]), min_size=1, max_size=12).filter(lambda each: set(each) != {NONE})
NUMBERS = st.floats(-1e4, 1e4)


@st.composite
def answered(draw):
    """Labels, and a number for each."""
    labels = draw(LABELS)
    return labels, draw(st.lists(NUMBERS, min_size=len(labels), max_size=len(labels)))


def emotions(labels, **more) -> Output:
    return Output(says="emotions", labels=tuple(labels), activation="softmax", **more)


@given(answered(), st.floats(0.1, 10.0))
def test_scores_are_a_distribution(given_, temperature):
    labels, numbers = given_
    scores = scores_of(emotions(labels, temperature=temperature), np.array(numbers))
    assert len(scores) == len(EMOTIONS)
    assert min(scores) >= 0.0
    assert sum(scores) == pytest.approx(1.0)


@given(answered(), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(given_, random):
    labels, numbers = given_
    pairs = list(zip(labels, numbers, strict=True))
    random.shuffle(pairs)
    shuffled, theirs = zip(*pairs, strict=True)
    assert scores_of(emotions(shuffled), np.array(theirs)) == pytest.approx(
        scores_of(emotions(labels), np.array(numbers)), abs=1e-12
    )


@given(st.lists(NUMBERS, min_size=2, max_size=2), st.floats(-100, 100), st.floats(0.01, 100))
def test_values_are_within_our_ranges_and_keep_their_order(numbers, least, width):
    names = AUS[:2]
    output = Output(says="action_units", labels=names, activation="none", range=(least, least + width))
    first, second = (values_of(output, np.array(numbers))[name] for name in names)
    assert 0.0 <= min(first, second) <= max(first, second) <= 1.0
    assert (first - second) * (numbers[0] - numbers[1]) >= 0.0
