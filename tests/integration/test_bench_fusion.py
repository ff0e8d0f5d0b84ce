"""The benchmark itself, in small: it must run, and its programs must agree; the figures are not judged here."""

from benchmarks.fusion.bench import Plan, measure


def test_fusion_the_floor_and_a_peer_on_real_kafka(settings):
    plan = Plan(
        sizes=(4,), seconds=4, session_seconds=32, repeats=1, live_sessions=4, live_seconds=3.0,
        peers=("bytewax_windows",), peer_sessions=4, peer_seconds=4,
    )  # fmt: skip
    said = []
    results = measure(settings, plan, said.append)
    keys = results.keys()
    assert keys["sessions_per_core"] > 0
    assert keys["live"]["sessions"] == 4
    short, tuned = results.peers
    assert short.run.log == tuned.run.log
    assert tuned.run.missing == 0
    assert tuned.difference is not None
    assert tuned.difference.unequal == 0
    assert said
