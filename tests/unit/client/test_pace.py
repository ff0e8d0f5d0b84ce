import pytest

from client.pace import Pace


def sent(pace, rate, seconds, start_us=1_000_000):
    return sum(pace.wanted(start_us + number * 1_000_000 // rate) for number in range(rate * seconds))


def test_everything_goes_until_fewer_are_asked_for():
    assert sent(Pace(), 30, 10) == 300


@pytest.mark.parametrize("per_s", [1.0, 7.0, 10.0, 15.0])
def test_as_many_go_as_are_asked_for(per_s):
    pace = Pace()
    pace.ask(per_s)
    assert sent(pace, 30, 10) == pytest.approx(10 * per_s, abs=2)


def test_a_slower_camera_keeps_every_picture():
    pace = Pace()
    pace.ask(15.0)
    assert sent(pace, 14, 10) == 140


def test_a_pause_is_not_made_up_for():
    pace = Pace()
    pace.ask(10.0)
    assert pace.wanted(0)
    assert sent(pace, 30, 1, start_us=60_000_000) <= 12


def test_it_ends_when_as_many_as_come_are_asked_for():
    pace = Pace()
    pace.ask(1.0)
    pace.ask(None)
    assert sent(pace, 30, 1) == 30
