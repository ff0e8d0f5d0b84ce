import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from rich.console import Console

from benchmarks.latency.stations import Percentiles
from benchmarks.system.bench import Results, Surge, latencies_ms, planned_cores, recovery_s, show
from benchmarks.system.people import FRAME_TYPE
from cli.planning.figures import Cost, Load, read_figures

SPAN = Percentiles(40.0, 60.0, 80.0)
SURGE = Surge(600, 250, {"unavailable": 350}, Percentiles(200.0, 900.0, 1_500.0), 2.5, 3)
RESULTS = Results(
    300, 20.0, {"face": SPAN, "speech": Percentiles(45.0, 70.0, 90.0)}, 180_000, 0, (), {"ingest face shed": 1_000}, 50,
    {"ingest": 0.7, "fusion": 0.2, "egress": 0.1, "kafka": 0.25, "clients": 0.4}, 1.0, 2.0, SURGE, 1, "a machine",
    datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def rows(latency_ms, seconds=30):
    """Frames of one person, 30 a second from instant 0, each after so many milliseconds."""
    found = np.zeros(seconds * 30, np.dtype([("person", "<i4"), ("received_us", "<i8"), *FRAME_TYPE.descr]))
    found["tick_us"] = np.arange(len(found)) * 1_000_000 // 30
    found["sequence"] = np.arange(len(found))
    latency = np.array([latency_ms(at_us / 1e6) for at_us in found["tick_us"]])
    found["face_ms"], found["speech_ms"] = -20.0, np.nan
    found["received_us"] = found["tick_us"] + latency * 1_000
    return found


def test_every_key_of_the_design_is_there():
    keys = json.loads(json.dumps(RESULTS.keys()))
    assert (keys["sessions"], keys["p95_ms"], keys["lost"]) == (300, 70.0, 0)
    assert keys["shed"] == 1_350
    assert keys["recovery_s"] == 2.5
    assert keys["cpu_share"]["clients"] == 0.4


def test_the_plan_expects_what_the_roles_and_kafka_take_idling_included():
    cost = Cost(
        source="test",
        cores={"ingest": 0.004, "fusion": 0.001, "egress": 0.001, "kafka": 0.002, "analytics": 1.0},
        loads=[Load(sessions=50, cores={"ingest": 0.2, "fusion": 0.05, "egress": 0.05, "kafka": 0.2})],
        idle={"ingest": 0.01, "analytics": 0.5},
    )
    figures = read_figures().model_copy(update={"cost": {"features": cost}})
    assert planned_cores(figures, 100) == pytest.approx(0.81)
    assert planned_cores(figures, 25) == pytest.approx(0.26)


def test_the_table_says_it_to_people():
    out = io.StringIO()
    show(RESULTS, Console(file=out, width=160))
    said = out.getvalue()
    assert "exact at every hop" in said
    assert "250 admitted, refused: 350 unavailable" in said
    assert "clients 40%" in said
    assert "without the clients 1.25 cores; planned: 1.00 (-20%)" in said


def test_latency_counts_from_the_sample_that_counted():
    found = latencies_ms(rows(lambda _: 30.0, 1))
    assert found["face"] == pytest.approx(np.full(30, 50.0), abs=0.1)
    assert not len(found["speech"])


def test_recovery_is_when_it_is_good_again_and_stays_so():
    assert recovery_s(rows(lambda at_s: 500.0 if at_s < 12 else 30.0), 10.0) == pytest.approx(2.5, abs=0.5)
    relapsing = rows(lambda at_s: 500.0 if at_s < 11 or 13 < at_s < 14 else 30.0)
    assert recovery_s(relapsing, 10.0) == pytest.approx(4.5, abs=0.5)
    assert recovery_s(rows(lambda _: 30.0), 10.0) == 0.0
    assert recovery_s(rows(lambda _: 300.0), 10.0) is None
