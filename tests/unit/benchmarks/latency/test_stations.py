import pytest

from benchmarks.latency.stations import HOPS, Arrival, Percentiles, journey, unaccounted_ms

TICK = 54_000_000_001
"""Number of a tick whose instant is no whole millisecond."""
TICK_US = TICK * 1_000_000 / 30
HOPS_MS = {"captured": -20.0, "received": -18.0, "ingested": -17.5, "consumed": -10.0, "inferred": 5.0}


def arrival(received_after_ms=30.0, tick=TICK, **modalities):
    hops = {**(modalities or {"face": HOPS_MS}), "fused": 21.0, "relayed": 24.5}
    instant_us = tick * 1_000_000 / 30
    message = {"timestamp_ms": int(instant_us) // 1_000, "hops_ms": hops}
    return Arrival(round(instant_us + received_after_ms * 1e3), message)


def test_a_ticks_exact_instant_is_found():
    for tick in range(TICK, TICK + 30):
        assert arrival(tick=tick).tick_us == pytest.approx(tick * 1_000_000 / 30, abs=0.6)


def test_hops_lead_from_the_sensor_to_the_client():
    found = journey([arrival()], "face")
    assert found.whole.p50 == pytest.approx(50.0, abs=0.01)
    ways = [found.hops[hop].p50 for hop in HOPS]
    assert ways == pytest.approx([2.0, 0.5, 7.5, 15.0, 16.0, 3.5, 5.5], abs=0.01)
    assert sum(ways) == pytest.approx(found.whole.p50, abs=0.01)
    assert found.longest_unstamped_ms < 1e-6


def test_a_modality_that_never_counted_has_no_journey():
    assert journey([arrival()], "speech") is None
    assert journey([arrival(), arrival(speech=HOPS_MS)], "speech").samples == 1


def test_what_no_stamp_explains_is_found():
    captured_us = round(TICK_US - 20_000)
    pictures = [captured_us - 33_333, captured_us, captured_us + 33_333]
    assert unaccounted_ms([arrival()], pictures) == pytest.approx([0.0], abs=0.01)
    # The edge believes that the client's clock is 3 ms ahead of what it is.
    assert unaccounted_ms([arrival()], [taken - 3_000 for taken in pictures]) == pytest.approx([3.0], abs=0.01)
    # At the ends of the recording, too.
    assert unaccounted_ms([arrival()], pictures[2:]) == pytest.approx([33.333], abs=0.01)
    assert unaccounted_ms([arrival()], pictures[:1]) == pytest.approx([33.333], abs=0.01)


def test_percentiles():
    assert Percentiles.of([float(n) for n in range(101)]) == Percentiles(50.0, 95.0, 99.0)
