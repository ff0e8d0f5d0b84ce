import pytest

from inference_workers.failover import FIRST_PAUSE_US, LONGEST_PAUSE_US, STEADY_US, Ask, Failover, State


def test_a_healthy_primary_is_asked():
    failover = Failover()
    assert [failover.ask(now) for now in (0, 1, 10**9)] == [Ask.PRIMARY] * 3


def test_a_failure_suspends_it_and_one_probe_follows():
    failover = Failover()
    failover.failed(1_000)
    assert failover.ask(1_000 + FIRST_PAUSE_US - 1) is Ask.STAND_IN
    assert failover.ask(1_000 + FIRST_PAUSE_US) is Ask.STAND_IN_AND_PROBE
    assert failover.ask(10**9) is Ask.STAND_IN, "one probe at a time"
    failover.recovered(10**9)
    assert failover.ask(10**9) is Ask.PRIMARY


def pauses(failover, now_us, count):
    """How long it waits for each of the next probes, all of which fail at once."""
    found = []
    for _ in range(count):
        began = now_us
        while failover.ask(now_us) is Ask.STAND_IN:
            now_us += 1_000
        found.append(now_us - began)
        failover.failed(now_us)
    return found, now_us


def test_the_pause_doubles_up_to_its_limit():
    failover = Failover()
    failover.failed(0)
    found, _ = pauses(failover, 0, 9)
    assert found == [500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, *[LONGEST_PAUSE_US] * 3]


@pytest.mark.parametrize("steady_us, pause_us", [(STEADY_US - 1, 4_000_000), (STEADY_US, FIRST_PAUSE_US)])
def test_the_pause_begins_anew_only_after_a_steady_time(steady_us, pause_us):
    failover = Failover()
    failover.failed(0)
    _, now = pauses(failover, 0, 2)
    while failover.ask(now) is not Ask.STAND_IN_AND_PROBE:
        now += 1_000
    failover.recovered(now)
    failover.failed(now + steady_us)
    found, _ = pauses(failover, now + steady_us, 1)
    assert found == [pause_us]


def test_late_news_changes_nothing():
    failover = Failover()
    failover.failed(0)
    failover.failed(10)
    failover.recovered(20)
    assert failover.state is State.SUSPENDED
    assert failover.ask(FIRST_PAUSE_US) is Ask.STAND_IN_AND_PROBE
