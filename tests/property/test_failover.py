"""Laws of passing an engine over, whatever it does and whenever it is asked."""

from hypothesis import given
from hypothesis import strategies as st

from inference_workers.failover import FIRST_PAUSE_US, LONGEST_PAUSE_US, Ask, Failover, State

steps = st.lists(st.tuples(st.integers(0, 5_000_000), st.sampled_from(["works", "fails", "hangs"])), max_size=80)


@given(steps)
def test_after_a_failure_the_primary_is_asked_only_after_a_probe_that_worked(moves):
    failover, now, trusted, last_failure, probes = Failover(), 0, True, None, []
    for wait, fate in moves:
        now += wait
        ask = failover.ask(now)
        assert (ask is Ask.PRIMARY) == trusted
        if ask is Ask.STAND_IN_AND_PROBE:
            assert now - last_failure >= FIRST_PAUSE_US
            probes.append(now)
        if ask is Ask.STAND_IN:
            continue
        if fate == "works":
            if ask is Ask.STAND_IN_AND_PROBE:
                failover.recovered(now)
            trusted = True
        else:
            failover.failed(now)
            trusted, last_failure = False, now


@given(st.lists(st.integers(1, 2_000_000), min_size=1, max_size=300))
def test_a_dead_primary_is_probed_ever_more_rarely_but_for_ever(waits):
    failover, now, probes = Failover(), 0, []
    failover.failed(0)
    for wait in waits:
        now += wait
        if failover.ask(now) is Ask.STAND_IN_AND_PROBE:
            probes.append(now)
            failover.failed(now)
    gaps = [later - earlier for earlier, later in zip([0, *probes], probes, strict=False)]
    pause = FIRST_PAUSE_US
    for gap in gaps:
        assert gap >= pause
        pause = min(2 * pause, LONGEST_PAUSE_US)
        # Asked often enough, it is probed soon after each pause.
        assert gap <= LONGEST_PAUSE_US + 2_000_000
    assert failover.state is State.SUSPENDED


@given(steps)
def test_there_is_never_more_than_one_probe_under_way(moves):
    failover, now, under_way = Failover(), 0, False
    failover.failed(0)
    for wait, fate in moves:
        now += wait
        if failover.ask(now) is Ask.STAND_IN_AND_PROBE:
            assert not under_way
            under_way = True
        elif under_way and fate != "hangs":
            (failover.recovered if fate == "works" else failover.failed)(now)
            under_way = False
            if failover.state is State.HEALTHY:
                failover.failed(now)
