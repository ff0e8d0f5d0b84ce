from inference_workers.engines.face_geometry import Box
from inference_workers.tracking import LOST_US, Track, Tracks, assign

MS = 1_000
LOOK_MS = 100


def at(x, y=100.0, size=60.0) -> Box:
    return Box(x - size / 2, y - size / 2, size, size)


def look(tracks: Tracks, at_ms: int, *boxes: Box, most: int = 8) -> Tracks:
    return tracks.looked(boxes, at_ms * MS, most)


def ids(tracks: Tracks) -> dict[int, float]:
    """Number to where it is, of those in sight."""
    return {track.track_id: round(track.box.centre_x) for track in tracks.in_sight()}


def test_faces_that_stand_keep_their_numbers_in_whatever_order_they_come():
    tracks = look(Tracks(), 0, at(100), at(300))
    assert ids(tracks) == {0: 100, 1: 300}
    tracks = look(tracks, 100, at(302), at(101))
    assert sorted(ids(tracks)) == [0, 1]
    assert ids(tracks)[0] < 150 < ids(tracks)[1]


def test_a_face_that_appears_gets_a_new_number_and_one_that_left_is_forgotten():
    tracks = look(look(Tracks(), 0, at(100)), 100, at(100), at(300))
    assert set(ids(tracks)) == {0, 1}
    tracks = look(tracks, 200, at(300))
    assert set(ids(tracks)) == {1}
    assert tracks.get(0) is not None
    tracks = look(tracks, 100 + LOST_US // MS, at(300))
    assert tracks.get(0) is None
    assert set(ids(look(tracks, 1_200, at(300), at(100)))) == {1, 2}


def test_a_face_that_comes_back_soon_keeps_its_number():
    tracks = look(look(Tracks(), 0, at(100)), 100)
    assert ids(tracks) == {}
    assert set(ids(look(tracks, 700, at(110)))) == {0}


def test_faces_that_cross_keep_their_numbers():
    tracks = Tracks()
    for step in range(25):
        right, left = at(100 + 16 * step, 100), at(500 - 16 * step, 104)
        tracks = look(tracks, step * LOOK_MS, *((right, left) if step % 2 else (left, right)))
    assert ids(tracks) == {0: 116, 1: 484}


def test_a_face_that_is_covered_while_it_crosses_goes_on():
    tracks = Tracks()
    for step in range(25):
        right, left = at(100 + 16 * step), at(500 - 16 * step)
        hidden = right.overlap(left) > 0.3
        tracks = look(tracks, step * LOOK_MS, right, *(() if hidden else (left,)))
    assert ids(tracks) == {0: 484, 1: 116}
    assert tracks.next_id == 2


def test_who_leaves_and_who_comes_in_elsewhere_are_two():
    tracks = look(Tracks(), 0, at(100))
    assert ids(look(tracks, 100, at(300))) == {1: 300}


def test_a_face_of_another_size_is_another():
    assert assign([at(100, size=60)], [at(100, size=130)]) == {}
    assert assign([at(100, size=60)], [at(100, size=80)]) == {0: 0}


def test_at_most_so_many_are_known_the_first_ones_given_first():
    tracks = look(Tracks(), 0, at(100), at(200), at(300), most=2)
    assert ids(tracks) == {0: 100, 1: 200}
    # Those known come before others, however these are ordered.
    assert set(ids(look(tracks, 100, at(300), at(100), at(200), most=2))) == {0, 1}
    # One that is hidden gives way.
    assert set(ids(look(tracks, 100, at(300), at(100), most=2))) == {0, 2}


def test_speed_is_learned_and_forgotten():
    track = Track(0, at(100), 0, 0)
    for step in range(1, 12):
        track = track.seen(at(100 + 10 * step), step * LOOK_MS * MS)
    assert abs(track.speed_x - 100) < 1
    assert abs(track.speed_y) < 1
    for step in range(12, 40):
        track = track.seen(at(210), step * LOOK_MS * MS)
    assert abs(track.speed_x) < 5


def test_time_that_stands_still_or_goes_back_does_no_harm():
    tracks = look(Tracks(), 500, at(100))
    assert ids(look(tracks, 500, at(102))) == {0: 102}
    again = look(tracks, 100, at(102))
    assert len(again.in_sight()) == 1
    assert tracks.seen(0, at(103), 400 * MS).get(0).box.centre_x == 103


def test_a_face_can_be_seen_by_other_means():
    tracks = look(Tracks(), 0, at(100), at(300)).seen(0, at(104), 33 * MS)
    assert tracks.get(0).seen_at_us == 33 * MS
    assert {track.track_id for track in tracks.in_sight()} == {0, 1}
    assert tracks.seen(7, at(0), 33 * MS) == tracks
