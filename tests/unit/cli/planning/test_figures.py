"""The file of figures, and renewing it from a measurement."""

import pytest

from cli.planning.figures import HEADER, Cost, Load, read_figures, renewed, write_figures
from runtime.errors import SettingsError

MEASURED = {
    "cpu_s_a_session_second": {"features": {"ingest": 0.00812345678, "fusion": 0.0005}},
    "above_idle": {
        "features": [
            {"sessions": 10, "cores": {"ingest": 0.2, "fusion": 0.03}},
            {"sessions": 40, "cores": {"ingest": 0.3249382712, "fusion": 0.02}},
        ]
    },
    "idle_cores": {"ingest": 0.01, "fusion": 0.002},
    "bytes_a_session_second": {"features": {"signals": 20_000.4}},
    "machine": "2 cores, some processor",
    "at": "2026-11-28T18:00+00:00",
}


def test_a_measurement_renews_its_part_and_keeps_the_rest(tmp_path):
    before = read_figures()
    after = renewed(before, MEASURED)
    assert after.cost["features"].cores == {"ingest": 0.008123, "fusion": 0.0005}
    assert after.cost["features"].source == "affectstream bench cost, 2 cores, some processor, 2026-11-28"
    assert after.cost["features"].loads[1] == Load(sessions=40, cores={"ingest": 0.324938, "fusion": 0.02})
    assert after.cost["features"].idle == {"ingest": 0.01, "fusion": 0.002}
    assert after.cost["media"] == before.cost["media"]
    assert after.limits == before.limits
    write_figures(after, tmp_path / "figures.yaml")
    assert read_figures(tmp_path / "figures.yaml") == after
    assert (tmp_path / "figures.yaml").read_text().startswith(HEADER)


@pytest.mark.parametrize("text", ["", "cost: 3", "{", "limits: {x: {value: -1, source: nowhere}}"])
def test_a_file_that_is_no_figures_is_refused_by_name(tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"wrong\.yaml"):
        read_figures(path)


@pytest.mark.parametrize("sessions, cores", [(0, 0.0), (5, 0.1), (10, 0.2), (25, 0.3), (40, 0.4), (400, 4.0)])
def test_among_few_a_session_costs_more(sessions, cores):
    loads = [Load(sessions=10, cores={"ingest": 0.2}), Load(sessions=40, cores={"ingest": 0.4})]
    cost = Cost(source="test", cores={"ingest": 0.01, "kafka": 0.0}, loads=loads)
    assert cost.used("ingest", sessions) == pytest.approx(cores)
    assert cost.used("kafka", sessions) == 0.0


def test_where_no_loads_were_measured_all_sessions_cost_alike():
    assert Cost(source="test", cores={"ingest": 0.01}).used("ingest", 3) == pytest.approx(0.03)
