import pytest

from cli.supervisor import Backoff


def test_delays_double_up_to_five_seconds():
    backoff = Backoff()
    assert [backoff.after(ran_s=1.0) for _ in range(7)] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])


def test_thirty_healthy_seconds_forgive():
    backoff = Backoff()
    for _ in range(5):
        backoff.after(ran_s=0.1)
    assert backoff.after(ran_s=30.0) == pytest.approx(0.05)
    assert backoff.after(ran_s=0.1) == pytest.approx(0.1)
