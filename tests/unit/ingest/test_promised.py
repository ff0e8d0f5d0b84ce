from hypothesis import given
from hypothesis import strategies as st

from ingest.headroom import FULL_CPU, Load
from ingest.promised import FEW, KNOWN_FROM, SHOWS_US, Promised

LOOK_US = 100_000


def load(pressure):
    return Load(lag_s=0.0, cpu=pressure * FULL_CPU, queue=0.0)


def seen(pressure, sending, *, looks=20):
    """An edge that has looked at itself for a while."""
    promised = Promised()
    for number in range(looks):
        promised.look(load(pressure), sending, 0, number * LOOK_US)
    return promised


def starts(promised, count):
    for _ in range(count):
        with promised.starting():
            pass


def admitted(promised, pressure, wanted):
    """How many of those that come at once are let in."""
    for number in range(wanted):
        if not promised.fits(pressure):
            return number
        starts(promised, 1)
    return wanted


def test_of_many_at_once_as_many_start_as_have_room():
    promised = seen(0.6, 300)
    assert abs(admitted(promised, 0.6, 600) - 200) <= 1  # each costs 0.002, and 0.4 is left


def test_they_count_until_they_are_felt():
    promised = seen(0.6, 300)
    count = admitted(promised, 0.6, 600)
    promised.look(load(0.6), 300, count, 2_000_000)  # connected, and silent
    assert promised.count == count
    assert not promised.fits(0.6)
    promised.look(load(0.6), 300 + count, 0, 2_100_000)  # they send, and the mean does not show it yet
    assert promised.count == count
    promised.look(load(0.6), 300 + count, 0, 2_200_000 + SHOWS_US)
    assert promised.count == 0


def test_those_that_are_just_being_started_count_once():
    promised = seen(0.6, 300)
    with promised.starting():
        assert promised.count == 1
        promised.look(load(0.6), 300, 0, 2_000_000)
        assert promised.count == 1
    promised.look(load(0.6), 300, 1, 2_100_000)
    assert promised.count == 1


def test_what_comes_little_by_little_is_refused_in_its_place_of_the_order():
    promised = seen(0.99, 40)
    assert admitted(promised, 0.99, 100) == FEW
    assert admitted(seen(0.99, 1_000), 0.99, 100) == 50


def test_an_edge_that_knows_no_cost_lets_them_in():
    assert admitted(seen(0.02, KNOWN_FROM - 1), 0.02, 500) == 500


def test_sessions_that_send_less_may_send_as_much_again():
    promised = seen(0.6, 300)
    before = promised.cost
    for number in range(50):
        promised.look(load(0.3), 300, 0, 2_000_000 + number * LOOK_US)
    assert 0.8 * before < promised.cost <= before


@given(st.floats(0, 2), st.integers(KNOWN_FROM, 2_000), st.integers(0, 2_000))
def test_fewer_are_let_in_at_more_pressure(pressure, sending, wanted):
    assert admitted(seen(pressure, sending), pressure, wanted) >= admitted(
        seen(pressure, sending), pressure + 0.1, wanted
    )
