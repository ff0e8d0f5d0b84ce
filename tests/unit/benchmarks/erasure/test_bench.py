"""What a run of ``bench erasure`` must show."""

from dataclasses import replace

from benchmarks.erasure.bench import Plan, Result, failed

GOOD = Result(1_000_000, 1_000_000, 8_500, 0.01, 20.0, 3.0, {"rows ledger": 3}, ok=True)


def test_a_run_fails_if_something_is_left_or_it_takes_more_than_a_minute():
    assert failed(GOOD) == ""
    assert "left" in failed(replace(GOOD, ok=False))
    assert "61" in failed(replace(GOOD, erased_s=61.0))
    assert GOOD.keys()["erased_s"] == 20.0


def test_the_plan_is_a_million_rows():
    plan = Plan()
    assert plan.sessions * plan.seconds * 85 > 1_000_000
    assert plan.quick().sessions < plan.sessions
