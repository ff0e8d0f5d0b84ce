"""``make dashboards``: writes ``dashboards/*.json`` from ``dashboards.yaml``, which says of a panel what is its own."""

import json
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
COLUMNS: Final = 24
STAT_HEIGHT: Final = 4
HEIGHT: Final = 8
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(source: dict[str, Any]) -> dict[str, Any]:
    """Grafana's model of one dashboard of ``dashboards.yaml``."""
    panels = []
    x = y = row_height = 0
    for number, entry in enumerate(source["panels"], start=1):
        kind = entry.get("kind", "timeseries")
        width, height = entry.get("width", 12), STAT_HEIGHT if kind == "stat" else HEIGHT
        if x + width > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        panels.append(panel(number, kind, entry, {"x": x, "y": y, "w": width, "h": height}))
        x, row_height = x + width, max(row_height, height)
    return {
        "uid": source["uid"],
        "title": source["title"],
        "tags": ["affectstream"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "links": [{"type": "dashboards", "tags": ["affectstream"], "title": "affectstream", "asDropdown": True}],
        "panels": panels,
    }


def panel(number: int, kind: str, entry: dict[str, Any], place: dict[str, int]) -> dict[str, Any]:
    """Grafana's model of one panel."""
    defaults: dict[str, Any] = {"unit": entry.get("unit", "short"), "min": 0}
    if kind == "timeseries":
        stacking = {"mode": "normal" if entry.get("stack") else "none"}
        defaults["custom"] = {
            "fillOpacity": 60 if entry.get("stack") else 8,
            "showPoints": "never",
            "stacking": stacking,
        }
    if "thresholds" in entry:
        steps = [{"color": "green", "value": None}]
        steps += [{"color": c, "value": v} for c, v in zip(("orange", "red"), entry["thresholds"], strict=True)]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    targets = [
        {
            "refId": chr(ord("A") + i),
            "expr": query["expr"],
            "legendFormat": query["legend"],
            "datasource": DATASOURCE,
            **({"instant": True, "format": "table"} if kind == "table" else {}),
        }
        for i, query in enumerate(entry["queries"])
    ]
    alone = [
        {
            "matcher": {"id": "byName", "options": query["legend"]},
            "properties": [
                {"id": "custom.stacking", "value": {"mode": "none"}},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.lineWidth", "value": 2},
            ],
        }
        for query in entry["queries"]
        if query.get("line")
    ]
    return {
        "id": number,
        "type": kind,
        "title": entry["title"],
        "description": entry["help"],
        "gridPos": place,
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": alone},
        "options": {} if kind != "timeseries" else {"legend": {"displayMode": "list"}, "tooltip": {"mode": "multi"}},
    }


def build() -> dict[Path, str]:
    """The text of every dashboard's file."""
    return {
        HERE / "dashboards" / f"{source['uid']}.json": json.dumps(dashboard(source), indent=1) + "\n"
        for source in yaml.safe_load((HERE / "dashboards.yaml").read_text(encoding="utf-8"))
    }


if __name__ == "__main__":
    for path, text in build().items():
        path.write_text(text, encoding="utf-8")
