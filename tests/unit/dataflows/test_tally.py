"""What fusion did, as the metrics hear of it."""

from dataflows.shard import Step
from dataflows.tally import TOLD_EVERY_US, Tally
from runtime.clock import ManualClock
from runtime.metrics import Metrics

NAN = float("nan")


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"affectstream_{name}", labels) or 0.0


def used(count: int, *, tick_us: int = -1) -> Step:
    hops = ((-20.0, -15.0, -14.0, -10.0, -5.0), (NAN,) * 5) if tick_us >= 0 else ((), ())
    return Step(
        outcomes={"used": count}, closed_by={"both": 1}, discontinuities=1, last_tick_us=tick_us, last_hops_ms=hops
    )


def test_nothing_is_lost_between_two_tellings() -> None:
    clock, metrics = ManualClock(10_000_000), Metrics("fusion")
    tally = Tally(metrics, clock, {0: 2, 1: 3})
    tally.note(4, used(3))
    assert value(metrics, "signals_total", outcome="used") == 3
    clock.advance(us=TOLD_EVERY_US - 1)
    tally.note(6, used(5))
    assert value(metrics, "signals_total", outcome="used") == 3
    clock.advance(us=1)
    tally.note(1, used(1))
    assert value(metrics, "signals_total", outcome="used") == 9
    assert value(metrics, "records_in_total", topic="signals") == 11
    assert value(metrics, "ticks_total", closed_by="both") == 3
    assert value(metrics, "discontinuities_total") == 3
    assert value(metrics, "sessions_active") == 5
    tally.tell()
    assert value(metrics, "signals_total", outcome="used") == 9


def test_the_newest_frame_s_hops_are_observed() -> None:
    clock, metrics = ManualClock(10_000_000), Metrics("fusion")
    tally = Tally(metrics, clock, {})
    tally.note(1, used(1, tick_us=9_990_000))
    assert value(metrics, "fusion_lag_seconds_sum") == 0.01
    assert value(metrics, "hop_seconds_sum", hop="captured_to_inferred") == 0.015
    assert round(value(metrics, "hop_seconds_sum", hop="captured_to_fused"), 6) == 0.03
