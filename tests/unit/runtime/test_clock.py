"""The process clock."""

import time

from runtime.clock import ManualClock, SystemClock


def test_system_clock_is_the_epoch_in_microseconds_and_never_runs_backwards():
    clock = SystemClock()
    assert abs(clock.now_us() - time.time_ns() // 1_000) < 5_000_000
    instants = [clock.now_us() for _ in range(1_000)]
    assert instants == sorted(instants)


def test_manual_clock_moves_when_told():
    clock = ManualClock(1_000)
    clock.advance(seconds=1.5, us=7)
    assert clock.now_us() == 1_501_007
