"""The file of figures, and renewing it from a measurement."""

import pytest

from cli.planning.figures import HEADER, read_figures, renewed, write_figures
from runtime.errors import SettingsError

MEASURED = {
    "cpu_s_a_session_second": {"features": {"ingest": 0.00812345678, "fusion": 0.0005}},
    "bytes_a_session_second": {"features": {"signals": 20_000.4}},
    "machine": "2 cores, some processor",
    "at": "2026-11-28T18:00+00:00",
}


def test_a_measurement_renews_its_part_and_keeps_the_rest(tmp_path):
    before = read_figures()
    after = renewed(before, MEASURED)
    assert after.cost["features"].cores == {"ingest": 0.008123, "fusion": 0.0005}
    assert after.cost["features"].source == "affectstream bench cost, 2 cores, some processor, 2026-11-28"
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
