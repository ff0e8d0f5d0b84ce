import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from benchmarks.latency.bench import Results, show
from benchmarks.latency.fanout import Fanout
from benchmarks.latency.session import SessionLatency
from benchmarks.latency.stations import HOPS, Journey, Percentiles
from benchmarks.resources import Use

SPAN = Percentiles(1.0, 2.0, 3.0)
FACE = Journey(900, Percentiles(36.0, 65.0, 90.0), dict.fromkeys(HOPS, SPAN), 0.0)
SPEECH = Journey(900, Percentiles(42.0, 60.0, 95.0), dict.fromkeys(HOPS, SPAN), 0.0)
USES = {"kafka": Use(250.4, 0.3), "fusion": Use(180.0, 0.05)}
SESSION = SessionLatency(900, 1, {"face": FACE, "speech": SPEECH}, Percentiles(0.1, 0.4, 0.9), 1.5, USES)
FANOUT = Fanout(100, 20.0, 60_000, Percentiles(8.0, 14.0, 21.0), {"fusion": 0.2, "egress": 0.3}, 4.0)


def results(fanout):
    ways = {"Kafka": Percentiles(2.5, 4.0, 6.0)}
    return Results(SESSION, fanout, ways, "p95 < 50", "a machine", datetime(2026, 1, 1, tzinfo=UTC))


def test_every_key_of_the_design_is_there():
    keys = json.loads(json.dumps(results(FANOUT).keys()))
    assert (keys["p50_ms"], keys["p95_ms"], keys["p99_ms"]) == (42.0, 65.0, 95.0)
    assert keys["hops"]["face_transport"] == {"p50": 1.0, "p95": 2.0}
    assert len(keys["hops"]) == 2 * len(HOPS)
    assert keys["unaccounted_ms"] == 0.9
    assert keys["without_models"]["latency"]["p99"] == 21.0
    assert keys["uses"]["kafka"] == {"resident_mib": 250.4, "cores": 0.3}
    assert keys["broker_ways_ms"]["Kafka"]["p95"] == 4.0


@pytest.mark.parametrize("fanout", [FANOUT, None])
def test_the_table_says_it_to_people(fanout):
    out = io.StringIO()
    show(results(fanout), Console(file=out, width=140))
    said = out.getvalue()
    assert "capture to frame at the client" in said
    assert "unaccounted for" in said
    assert "one way through Kafka" in said
    assert "430" in said.split("in all")[1]  # MiB of both processes
    assert ("100 sessions without models" in said) is (fanout is not None)
    assert ("fusion took 20% of a core" in said) is (fanout is not None)
    assert (results(fanout).keys()["without_models"] is None) is (fanout is None)
