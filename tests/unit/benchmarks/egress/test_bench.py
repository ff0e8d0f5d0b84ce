import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from benchmarks.egress.bench import Plan, Results, Run, check_bodies, show
from benchmarks.egress.frames import example
from benchmarks.latency.stations import Percentiles
from benchmarks.processes import CandidateError
from egress.packed import pack
from egress.projection import Instants

SHARES = {"egress": 0.6, "viewers": 0.3, "kafka": 0.2, "writer": 0.1}
OWN = Run(2_000, 2_000, 15.0, 900_000, Percentiles(5.0, 9.0, 14.0), Percentiles(4.0, 8.0, 12.0), SHARES, 2.0)
SHARED = replace(OWN, sessions=20, added=Percentiles(3.0, 6.0, 8.0))
RESULTS = Results((OWN, SHARED), "a machine", datetime(2026, 1, 1, tzinfo=UTC))


def test_the_figure_is_that_of_the_first_run():
    keys = json.loads(json.dumps(RESULTS.keys()))
    assert (keys["clients"], keys["p99_ms"], keys["sessions"]) == (2_000, 14.0, 2_000)
    assert [run["sessions"] for run in keys["runs"]] == [2_000, 20]
    assert keys["runs"][0]["us_a_message"] == pytest.approx(10.0)


def test_the_table_says_it_to_people():
    out = io.StringIO()
    show(RESULTS, Console(file=out, width=140))
    assert "14.0" in out.getvalue()
    assert "kafka 20%, writer 10%" in out.getvalue()


def test_a_look_is_shorter():
    assert Plan().quick().seconds < Plan().seconds


def test_bodies_are_compared_with_what_was_written():
    frame = pack(replace(example(), session_id="a"), Instants(5, 6))
    check_bodies([frame], ["a"])
    for wrong in (b"", frame[:-1] + b"b", frame[:100] + bytes((frame[100] ^ 1,)) + frame[101:]):
        with pytest.raises(CandidateError):
            check_bodies([wrong], ["a"])
