"""Writes deploy/grafana/dashboards/callstream.json from deploy/grafana/panels.yml: `python -m tests.support.dashboard`.

Grafana imports the file as it is: the data source, the cluster, the namespace, the jobs, the topic prefix and the
processes are variables, and every query uses them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

PATH: Final = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "callstream.json"

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN: Final = 'cluster=~"$cluster", namespace=~"$namespace", job=~"$job", instance=~"$instance"'
"""What every query selects by."""

_TABLE: Final = PATH.parents[1] / "panels.yml"
_WIDTH: Final = 24


def dashboard() -> dict[str, Any]:
    """The whole document."""
    return {
        "__inputs": [],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ],
        "id": None,
        "uid": "callstream",
        "title": "callstream",
        "description": "Made by tests/support/dashboard.py of the source.",
        "tags": ["callstream"],
        "schemaVersion": 39,
        "version": 2,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "annotations": {"list": [_alerts_as_annotations()]},
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }


def _alerts_as_annotations() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Callstream.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{stage}} {{node}}",
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}
    chosen: list[str] = []
    for name, label, series in (
        ("cluster", "Cluster", "runtime_process_info"),
        ("namespace", "Namespace", "runtime_process_info"),
        ("job", "Job", "runtime_process_info"),
        ("prefix", "Topic prefix", "runtime_deployment_info"),
        ("instance", "Process", "runtime_deployment_info"),
    ):
        query = f"label_values({series}{{{', '.join(chosen)}}}, {name})"
        variable: dict[str, Any] = {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        }
        # `All` of the processes is the list of those that the choices before it leave; of the others, also "has none".
        yield variable if name == "instance" else variable | {"allValue": ".*"}
        chosen.append(f'{name}=~"${name}"')


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row in yaml.safe_load(_TABLE.read_text(encoding="utf-8")):
        number += 1
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row["row"], "gridPos": place, "collapsed": False, "panels": []}
        y += 1
        x, height = 0, 0
        for panel in row["panels"]:
            number += 1
            width, height = (3, 5) if "steps" in panel else (8, 8)
            if x + width > _WIDTH:
                x, y = 0, y + height
            yield _panel(panel, number, {"h": height, "w": width, "x": x, "y": y})
            x += width
        y += height


def _panel(panel: dict[str, Any], number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": SOURCE,
            "expr": query.replace("{%", "{" + CHOSEN),
            "legendFormat": legend,
        }
        for at, (legend, query) in enumerate(panel["queries"].items())
    ]
    shown: dict[str, Any] = {
        "id": number,
        "title": panel["title"],
        "description": panel["description"],
        "datasource": SOURCE,
        "gridPos": place,
        "targets": targets,
    }
    defaults: dict[str, Any] = {"unit": panel["unit"]}
    shown["fieldConfig"] = {"defaults": defaults, "overrides": []}
    if "steps" not in panel:
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
        return shown | {"type": "timeseries"}
    steps = [{"value": None if at == "zero" else at, "color": color} for at, color in panel["steps"].items()]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "area"}
    return shown | {"type": "stat", "options": options}


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
