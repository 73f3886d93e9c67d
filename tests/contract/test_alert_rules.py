"""deploy/prometheus/rules.yml: each alert fires when it must and no other time, and says what a person needs."""

import re
from pathlib import Path

import pytest
import yaml

from app.telemetry import metrics
from app.telemetry.metric import Metric
from tests.support import alert_pages
from tests.support.alert_cases import CASES, AlertCase
from tests.support.deployed_queries import labels_in, series_in
from tests.support.prometheus import RULES, RUNBOOKS, alerts, limits, promtool

ALERTS = alerts()


def _tests(case: AlertCase) -> list[dict[str, object]]:
    """The firing test and the quiet one, in promtool's form."""
    named = {"alertname": case.alert, "alertstate": "firing"}
    wanted = named | {"severity": ALERTS[case.alert]["labels"]["severity"]} | case.labels
    return [_test(case, case.fires, wanted, 1), _test(case, case.quiet, named, 0)]


def _test(case: AlertCase, series: dict[str, str], alert: dict[str, str], count: int) -> dict[str, object]:
    selector = ",".join(f'{name}="{value}"' for name, value in alert.items())
    return {
        "name": f"{case.alert} {'fires' if count else 'is quiet'}",
        "interval": case.interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count(ALERTS{{{selector}}})",
                "eval_time": case.at,
                "exp_samples": [{"labels": "{}", "value": count}] if count else [],
            }
        ],
    }


def test_every_alert_fires_when_it_must_and_is_quiet_when_it_must(tmp_path: Path) -> None:
    """Prometheus' own evaluation of the rules, over series made for each of them."""
    for interval, evaluated in (("30s", "1m"), ("5m", "10m")):
        document = {
            "rule_files": [str(RULES)],
            "evaluation_interval": evaluated,
            "tests": [test for case in CASES if case.interval == interval for test in _tests(case)],
        }
        path = tmp_path / f"{interval}.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        done = promtool("test", "rules", path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert {case.alert for case in CASES} == ALERTS.keys(), "an alert has no case"


def test_prometheus_takes_the_rules() -> None:
    """As they are deployed."""
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_what_routes_and_people_need(name: str) -> None:
    """A severity, a stage, a node (`all` where it is about no single one), a sentence, what is lost, and a page."""
    rule = ALERTS[name]
    labels, annotations = rule["labels"], rule["annotations"]
    grouped = {label for names in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in re.split(r",\s*", names)}
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert labels["severity"] in {"critical", "warning"}
    assert "stage" in {*labels, *grouped}
    of_one_process = "instance" in grouped or re.match(r"up\b|changes\(process_start", rule["expr"]) is not None
    assert "node" in ({*labels} if of_one_process else {*labels, *grouped})
    assert of_one_process or labels.get("node", "all") == "all", "it is about no single node"
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"docs/runbooks/{name}.md"
    assert (RUNBOOKS / f"{name}.md").is_file()
    named = set(re.findall(r"\$labels\.(\w+)", annotations["summary"] + annotations["description"]))
    assert named <= grouped | {"job", "instance"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_metrics_labels_and_limits_that_exist(name: str) -> None:
    """One that asks for nothing would stay silent for ever."""
    query = ALERTS[name]["expr"]
    used = set(re.findall(r"callstream:limit:\w+", query))
    assert used <= limits().keys()
    assert labels_in(query) <= series_in(re.sub(r"callstream:limit:\w+", "", query))


def test_every_limit_is_used_and_stands_in_one_place() -> None:
    """Comparisons with anything but a limit, zero or one are about time."""
    text = " ".join(rule["expr"] for rule in ALERTS.values())
    assert set(re.findall(r"callstream:limit:\w+", text)) == limits().keys()
    assert set(re.findall(r"[<>]=? ([0-9.]+)", text)) <= {"0", "1", "600"}


def test_every_page_has_its_alert() -> None:
    """A page of an alert that is gone would be read in vain."""
    assert {path.stem for path in RUNBOOKS.glob("Callstream*.md")} == ALERTS.keys()


def test_the_list_of_alerts_is_what_the_rules_say() -> None:
    """`python -m tests.support.alert_pages` writes it."""
    assert alert_pages.PATH.read_text(encoding="utf-8") == alert_pages.text()


@pytest.mark.parametrize(
    "metric",
    [
        metrics.DROPPED,
        metrics.GAPS,
        metrics.GAPS_PENDING,
        metrics.UNDECODABLE,
        metrics.SKIPPED,
        metrics.REFUSED,
        metrics.DEAD_LETTERS,
        metrics.OWNER_REFUSALS,
        metrics.CONNECTIONS_CUT,
        metrics.DUPLICATES,
        metrics.REBALANCES,
    ],
)
def test_what_is_lost_refused_or_sent_again_calls_somebody(metric: Metric) -> None:
    """Each has an alert."""
    assert any(metric.name in rule["expr"] for rule in ALERTS.values())
