from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from benchmarks.fusion.bench import PeerResult, Plan, Results, checked
from benchmarks.fusion.frames import Difference
from benchmarks.fusion.live import Live
from benchmarks.fusion.measure import Run
from benchmarks.fusion.report import draw, show, write_up
from benchmarks.fusion.signals import RecordedLog
from benchmarks.processes import CandidateError


def run(key, log, us):
    return Run(key, log, 2.0, 1.0, 9.0, us * log.session_seconds * 1e-6, 0)


@pytest.fixture
def results():
    plan = Plan(sizes=(100, 1_000), seconds=40)
    logs = {size: plan.log(size) for size in plan.sizes}
    peers_log = RecordedLog(20, 5)
    peer = run("quixstreams", peers_log, 5_000)
    return Results(
        plan=plan,
        machine="a machine",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        versions={"numpy": "2"},
        ours={size: [run("ours", log, us) for us in (200, 250, 300)] for size, log in logs.items()},
        floor=[run("floor", logs[1_000], us) for us in (100, 100, 100)],
        live=Live(1_000, 20.0, 0.5, 570_000, (3.0, 5.0, 8.0), 4.0),
        peers=[PeerResult("quixstreams", "Quix Streams", peer, 0.5, 20.0, Difference(3_000, 1, 1, 0))],
        unavailable={"pyflink": "it is not here"},
    )


def test_the_keys_of_the_benchmark(results):
    keys = results.keys()
    assert keys["sessions_per_core"] == 4_000
    assert keys["sessions_per_core_live"] == 2_000
    assert keys["over_floor"] == 2.5
    assert keys["flatness"] == 0.0
    assert keys["vs_quixstreams"] == 20.0
    assert keys["cpu_s_per_million_signals"] == pytest.approx(4.54, abs=0.01)


def test_sessions_are_as_long_at_every_size_and_few_are_followed_by_others():
    plan = Plan()
    assert plan.reference == 1_000
    logs = [plan.log(size) for size in plan.sizes]
    assert [(log.seconds, log.generations) for log in logs] == [(10, 30), (10, 3), (10, 1)]
    assert [log.session_seconds for log in logs] == [30_000, 30_000, 100_000]


def test_table_page_and_picture(results, tmp_path):
    text = StringIO()
    show(results, Console(file=text, width=160))
    assert "4,000" in text.getvalue()
    page = write_up(results)
    assert "| sessions a core, replayed | 4,000 | 3,333 to 5,000 | ≥ 4,000 |" in page
    assert "1 differ by 1 step" in page
    draw(results, tmp_path / "docs" / "curve.png")
    assert (tmp_path / "docs" / "curve.png").stat().st_size > 10_000


def test_a_peer_with_other_values_fails_the_benchmark():
    assert checked("peer", Difference(10, 2, 1, 0)).largest_step == 1
    with pytest.raises(CandidateError, match="does not do the same work"):
        checked("peer", Difference(10, 2, 2, 0))
    with pytest.raises(CandidateError, match="flags of 1 frames"):
        checked("peer", Difference(10, 0, 0, 1))
