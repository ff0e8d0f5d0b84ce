import numpy as np
import pytest

from inference_workers.speech.phones import ARPABET, UNLABELLED, Segment, labels_at, shapes_of, unknown_names
from schemas.vocabulary import VISEMES


@pytest.mark.parametrize(
    "name, shapes",
    [
        ("p", ("PP",)), ("ˈɑː", ("aa",)), ("tʃʲ", ("CH",)), ("tʃ", ("CH",)), ("ç", ("kk",)), ("ˈaʊ", ("aa", "ou")),
        ("oʊ", ("oh", "ou")), ("ɚ", ("RR",)), ("ʔ", ()), ("AY1", ("aa", "ih")), ("SIL", ("sil",)), ("", ("sil",)),
        ("ou", ("ou",)), ("kk", ("kk",)), ("ũ", ("ou",)), ("ɔːɹ", ("oh", "RR")),
    ],
)  # fmt: skip
def test_a_phone_has_its_shapes(name, shapes):
    assert shapes_of(name) == shapes


def test_what_is_no_phone_is_named():
    assert shapes_of("%7") is None
    segments = [Segment(0, 1, "a"), Segment(1, 2, "%7"), Segment(2, 3, "h"), Segment(3, 4, "%7")]
    assert unknown_names(segments) == ["%7"]


def test_every_arpabet_phone_has_one_shape_or_two():
    assert {shape for shapes in ARPABET.values() for shape in shapes} == set(VISEMES) - {"sil"}
    assert all(1 <= len(shapes) <= 2 for shapes in ARPABET.values())


def named(segments, instants):
    return [None if i == UNLABELLED else VISEMES[i] for i in labels_at(segments, np.array(instants)).tolist()]


def test_labels_hold_from_start_to_end_and_diphthongs_are_two():
    segments = [Segment(0.1, 0.2, "b"), Segment(0.2, 0.3, "AY"), Segment(0.35, 0.4, "")]
    assert named(segments, [0.0, 0.1, 0.199, 0.2, 0.259, 0.261, 0.3, 0.36]) == [
        None, "PP", "PP", "aa", "aa", "ih", None, "sil",
    ]  # fmt: skip


def test_an_aspirated_sound_looks_like_the_vowel_that_follows():
    assert named([Segment(0.0, 0.1, "HH"), Segment(0.1, 0.2, "UW")], [0.05]) == ["ou"]
    assert named([Segment(0.0, 0.1, "h")], [0.05]) == [None]
