"""The benchmark itself, in small: it must run, and its answers are checked; the figures are not judged here."""

from benchmarks.workers.bench import Plan, measure
from cli import sample
from tests.support.prerequisites import required


def test_faces_and_speech_on_real_engines_and_kafka(settings):
    said: list[str] = []
    with required():
        sample.prepare(settings, said.append)
    # Few pictures a second: with 30, the worker of a busy machine would leave out most of them.
    plan = Plan(repeats=1, live_seconds=5.0, live_rate_hz=2, speech_sessions=(1, 2))
    results = measure(settings, plan, said.append)
    keys = results.keys()
    assert keys["faces_per_s"] > 0
    assert keys["face_p95_ms"] >= results.latency.p50_ms > 0
    assert keys["speech_rtf"] > 0
    assert results.faces.decode_ms < results.faces.picture_ms
    assert results.latency.pictures + results.latency.left_out == 10
    assert [cost.sessions for cost in results.speech] == [1, 2]
    assert keys["peers"] == {}
    assert said
