"""`affectstream bench sink` on a small scale: what it measures is really done, and what it says is complete."""

import io
import json

from rich.console import Console

from benchmarks.sink.bench import Plan, measure, show
from runtime.settings import Settings


def test_a_small_measurement_is_whole(settings: Settings) -> None:
    said: list[str] = []
    plan = Plan(sessions=10, seconds=8, repeats=1, question_sessions=10, question_seconds=8, rows=10_000)
    results = measure(settings, plan, said.append)
    keys = json.loads(json.dumps(results.keys()))
    # A second's speech and face, start and end, and the frames that fusion really made of them.
    assert keys["records"] >= 10 * (8 * 55 + 2) + 10 * (8 * 30 - 1)
    assert keys["query_rows"] >= plan.rows
    assert 0 < keys["bytes_per_frame"] < 1_000
    assert keys["rows_per_s"] > 0
    assert {"session list", "session summary", "session timeline"} < set(keys["queries_p95_ms"])
    assert len(said) >= 5
    out = io.StringIO()
    show(results, Console(file=out, width=150))
    assert "150,000" in out.getvalue()
