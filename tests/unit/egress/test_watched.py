from egress.places import FIRST_ROOM
from egress.watched import NEVER_US, NONE, REMEMBERED_FRAMES, Watched


def viewers_of(watched, session):
    """Places, newest first, as the list says; both ways."""
    found, place, before = [], int(watched.sessions[session]["first"]), NONE
    while place != NONE:
        assert watched.viewers[place]["before"] == before
        found.append(place)
        place, before = int(watched.viewers[place]["next"]), place
    return found


def test_a_session_s_viewers_are_a_list():
    watched = Watched()
    one, two = watched.add_session(0), watched.add_session(0)
    first, second, third = (watched.add_viewer(one, line, 9) for line in (4, 5, 6))
    other = watched.add_viewer(two, 7, 9)
    assert viewers_of(watched, one) == [third, second, first]
    watched.drop_viewer(one, second)
    assert viewers_of(watched, one) == [third, first]
    watched.drop_viewer(one, third)
    watched.drop_viewer(one, first)
    assert viewers_of(watched, one) == []
    assert viewers_of(watched, two) == [other]


def test_places_are_used_again_and_there_is_always_room():
    watched = Watched()
    places = [watched.add_session(number) for number in range(3 * FIRST_ROOM)]
    viewers = [watched.add_viewer(place, NONE, 5) for place in places]
    assert len(set(places)) == len(set(viewers)) == 3 * FIRST_ROOM
    assert [int(watched.sessions[place]["heard_us"]) for place in places] == list(range(3 * FIRST_ROOM))
    watched.note(places[0], 3, 7, 8)
    watched.drop_viewer(places[0], viewers[0])
    watched.drop_session(places[0])
    again = watched.add_session(0)
    assert again == places[0]
    assert watched.find(again, 3) is None
    assert watched.sessions[again]["newest"] == NONE


def test_frames_go_out_once_and_in_order():
    watched = Watched()
    place = watched.add_session(0)
    assert [watched.note(place, number, 10 * number, 20 * number) for number in (0, 2, 2, 1, 3)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert watched.find(place, 2) == (20, 40)
    assert watched.find(place, 1) is None
    assert watched.note(place, 2 + REMEMBERED_FRAMES, 1, 2)
    assert watched.find(place, 2) is None
    assert watched.take_tallies() == [(place, [0, 0, 2])]
    assert watched.take_tallies() == []


def test_what_was_counted_is_told_when_nobody_watches_any_more():
    watched = Watched()
    place = watched.add_session(0)
    watched.sessions[place]["used"] += 4
    assert watched.drop_session(place) == [4, 0, 0]
    assert watched.take_tallies() == []


def test_silence_is_told_once_until_something_comes():
    watched = Watched()
    quiet, heard = watched.add_session(100), watched.add_session(150)
    assert watched.newly_stalled(109, 10) == []
    assert watched.newly_stalled(110, 10) == [quiet]
    assert watched.newly_stalled(120, 10) == []
    watched.note(heard, 1, 0, 200)
    assert watched.newly_stalled(209, 10) == []
    assert watched.newly_stalled(210, 10) == [heard]
    watched.drop_session(heard)
    assert watched.newly_stalled(1 << 60, 10) == []


def test_viewers_expire():
    watched = Watched()
    place = watched.add_session(0)
    brief, long = watched.add_viewer(place, NONE, 10), watched.add_viewer(place, NONE, NEVER_US)
    assert watched.expired(9) == []
    assert watched.expired(10) == [brief]
    assert watched.expired(NEVER_US - 1) in ([brief, long], [long, brief])
    watched.drop_viewer(place, brief)
    assert watched.expired(10) == []
