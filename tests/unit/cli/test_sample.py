import numpy as np

from cli.filming import picture_at
from cli.sample import BLACK, DURATION_S, GroundTruth, complement

TRUTH = GroundTruth(30.0, 30, 640, 480, face_visible=((0.0, 10.0), (11.0, 30.0)), speech=((2.0, 5.0),))


def test_truth_is_asked_of_a_loop_with_margins():
    assert TRUTH.shows_face(9.9)
    assert not TRUTH.shows_face(9.9, margin_s=0.5)
    assert not TRUTH.shows_face(40.5)  # the second round
    assert TRUTH.speaks(33.0, margin_s=0.5)
    assert not TRUTH.silent(5.2, margin_s=0.5)
    assert TRUTH.silent(6.0, margin_s=0.5)


def test_complement():
    assert complement(BLACK, DURATION_S) == ((0.0, 10.0), (11.0, 21.0), (22.0, 30.0))


def test_pictures_are_black_when_the_truth_says_so_and_loop_without_a_jump():
    portrait = np.random.default_rng(0).integers(1, 255, (512, 512, 3)).astype(np.uint8)
    assert picture_at(portrait, 10.5).max() == 0
    assert picture_at(portrait, 9.99).max() > 0
    assert picture_at(portrait, 3.0).shape == (480, 640, 3)
    first, last = picture_at(portrait, 0.0), picture_at(portrait, DURATION_S)
    assert np.abs(first.astype(int) - last).max() <= 1
