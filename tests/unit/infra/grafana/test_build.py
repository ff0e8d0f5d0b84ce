"""The dashboards as Grafana reads them are those of ``dashboards.yaml``."""

import runpy

import yaml

from runtime.metrics import METRICS
from tests.support.prerequisites import REPOSITORY

GRAFANA = REPOSITORY / "infra" / "grafana"
ALERTS = REPOSITORY / "infra" / "prometheus" / "alerts.yaml"


def test_they_are_up_to_date():
    built = runpy.run_path(str(GRAFANA / "build.py"))["build"]()
    assert {path: path.read_text(encoding="utf-8") for path in (GRAFANA / "dashboards").glob("*.json")} == built, (
        "run: make dashboards"
    )


def test_panels_fill_their_rows_and_explain_themselves():
    for board in yaml.safe_load((GRAFANA / "dashboards.yaml").read_text(encoding="utf-8")):
        for panel in board["panels"]:
            assert panel["help"].endswith("."), panel["title"]
            assert panel["queries"]


def test_alerts_and_panels_name_metrics_that_exist():
    suffixes = ("", "_bucket", "_sum", "_count")
    known = {f"affectstream_{name}{suffix}" for name in METRICS for suffix in suffixes}
    for path in (GRAFANA / "dashboards.yaml", ALERTS):
        words = path.read_text(encoding="utf-8").replace("(", " ").replace("{", " ").replace("[", " ").split()
        used = {word.strip("'\"),") for word in words if word.strip("'\"").startswith("affectstream_")}
        assert used
        assert used <= known, used - known
