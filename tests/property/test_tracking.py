"""Numbers stay with their faces while these move smoothly, and are never given twice."""

from hypothesis import assume, given
from hypothesis import strategies as st

from inference_workers.engines.face_geometry import Box
from inference_workers.tracking import Tracks

LOOK_US = 100_000
TREMBLE = 0.03
"""How far a detector's box is off, of its size, at most."""

speeds = st.floats(-250.0, 250.0)


@st.composite
def paths(draw):
    """Two faces on lines whose meeting, if they meet, is in the middle; one may stand before the other."""
    size = draw(st.floats(40.0, 160.0))
    first, second = (draw(speeds), draw(speeds) / 3), (draw(speeds), draw(speeds) / 3)
    # Two that move alike for long in one place cannot be told apart by where they are.
    assume(abs(first[0] - second[0]) > 80)
    between = draw(st.floats(0.8, 1.2))
    return size, (first, second), draw(st.floats(0.0, 0.5)) * size, (size, size * between)


@given(paths(), st.randoms(use_true_random=False), st.booleans())
def test_faces_that_cross_never_exchange_their_numbers(case, random, covered):
    size, speed, above, sizes = case
    apart = abs(speed[0][0] - speed[1][0])
    # One that is covered for about a second is given up, and where one was covered for most of it is a guess.
    assume(not covered or size < 0.6 * apart)
    # They are well apart at the start, meet, and are well apart in the end.
    middle_us = round(3.0 * size / apart * 1e6) + 4 * LOOK_US
    tracks, named = Tracks(), {}
    for now_us in range(0, 2 * middle_us, LOOK_US):
        true = [line(speed[which], (now_us - middle_us) / 1e6, which * above, sizes[which]) for which in (0, 1)]
        seen = [trembling(box, random) for box in true]
        if covered and true[0].overlap(true[1]) > 0.3:
            del seen[1]  # a detector tells of one of two boxes that overlap so much
        tracks = tracks.looked(seen, now_us, 8)
        if true[0].overlap(true[1]) == 0.0:
            for which, box in enumerate(true):
                assert named.setdefault(which, nearest(tracks, box)) == nearest(tracks, box)
    assert set(named.values()) == {0, 1}
    assert tracks.next_id == 2


def line(speed, on_s, above, size) -> Box:
    return Box(1_000 + speed[0] * on_s - size / 2, 500 + speed[1] * on_s + above - size / 2, size, size)


def trembling(box, random) -> Box:
    x, y, wide = (random.uniform(-TREMBLE, TREMBLE) * box.width for _ in range(3))
    return Box(box.x + x, box.y + y, box.width + wide, box.height + wide)


def nearest(tracks, box) -> int:
    return min(
        tracks.in_sight(), key=lambda t: abs(t.box.centre_x - box.centre_x) + abs(t.box.centre_y - box.centre_y)
    ).track_id


boxes = st.builds(Box, *(st.floats(0.0, 600.0),) * 2, *(st.floats(1.0, 300.0),) * 2)
looks = st.lists(st.tuples(st.integers(0, 2_000_000), st.lists(boxes, max_size=6)), max_size=12)


@given(looks, st.integers(1, 5))
def test_whatever_is_seen_a_number_is_never_used_again(seen, most):
    tracks, now_us = Tracks(), 0
    gone, before = set(), set()
    for gap_us, found in seen:
        now_us += gap_us
        tracks = tracks.looked(found, now_us, most)
        numbers = [track.track_id for track in tracks.tracks]
        assert len(set(numbers)) == len(numbers) <= most
        assert len(tracks.in_sight()) <= min(len(found), most)
        assert len(tracks.in_sight()) >= min(len(found), most, 1)
        gone |= before - set(numbers)
        assert not gone & set(numbers)
        assert all(number < tracks.next_id for number in numbers)
        before = set(numbers)
