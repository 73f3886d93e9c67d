"""deploy/grafana: a dashboard that any Grafana imports, and that shows what the program tells."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from app.telemetry import metrics, state_metrics
from tests.support.dashboard import CHOSEN, PATH, text
from tests.support.deployed_queries import labels_in, series_in

_ROOT: Final = Path(__file__).parents[2]
_DASHBOARD: Final[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
_PANELS: Final = [panel for panel in _DASHBOARD["panels"] if panel["type"] != "row"]
_QUERIES: Final = [target["expr"] for panel in _PANELS for target in panel["targets"]]
_VARIABLES: Final = {variable["name"]: variable for variable in _DASHBOARD["templating"]["list"]}


def test_the_file_is_what_its_table_makes() -> None:
    """`python -m tests.support.dashboard` writes it."""
    assert PATH.read_text(encoding="utf-8") == text()


@pytest.mark.parametrize("query", _QUERIES)
def test_a_query_asks_for_what_exists_and_only_of_what_is_chosen(query: str) -> None:
    """One that asks for nothing would stay empty for ever; one without the variables would add up two pipelines."""
    assert labels_in(query) <= series_in(query)
    selected = re.findall(r"\{([^}]*)\}", query)
    assert selected
    assert all(selector.startswith(CHOSEN) for selector in selected)


def test_every_metric_is_shown() -> None:
    """What is exported is on it, but for the two that only tell processes apart."""
    shown = " ".join(_QUERIES)
    for metric in metrics.ALL:
        if metric not in {metrics.PROCESS_INFO, state_metrics.DEPLOYMENT_INFO}:
            assert metric.name in shown, metric.name


def test_any_grafana_imports_it() -> None:
    """No data source of ours is named in it, ids are its own, and every panel says what it shows."""
    assert _DASHBOARD["uid"] == "callstream"
    assert _DASHBOARD["id"] is None
    assert _DASHBOARD["__inputs"] == []
    assert {panel["datasource"]["uid"] for panel in _PANELS} == {"${datasource}"}
    assert {target["datasource"]["uid"] for panel in _PANELS for target in panel["targets"]} == {"${datasource}"}
    numbers = [panel["id"] for panel in _DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] and panel["description"] for panel in _PANELS)
    assert all(panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in _PANELS if panel["type"] == "stat")


def test_panels_do_not_lie_on_each_other() -> None:
    """Each cell of the grid belongs to one panel at most."""
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in _DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_each_choice_narrows_the_next() -> None:
    """The processes are those of the chosen cluster, namespace, jobs and prefix."""
    assert list(_VARIABLES) == ["datasource", "cluster", "namespace", "job", "prefix", "instance"]
    for name in ("cluster", "namespace", "job", "prefix"):
        assert f'{name}=~"${name}"' in _VARIABLES["instance"]["definition"]
    assert "allValue" not in _VARIABLES["instance"], "All must be the list, or a chosen prefix would not matter"


def test_grafana_finds_its_data_and_its_dashboard() -> None:
    """The one-host deployment has a Prometheus, and the provider looks where the dashboards are mounted."""
    provisioning = _ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "callstream.yml").read_text())["providers"]
    services = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())["services"]
    assert provider["options"]["path"] in [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
