"""Writes docs/alerts.md, the list of the alerts, from the rules: `python -m tests.support.alert_pages`."""

import re
from pathlib import Path
from typing import Final

from tests.support.prometheus import ROOT, alerts, limits

PATH: Final[Path] = ROOT / "docs" / "alerts.md"

_HEAD: Final = """# Alerts and dashboard

`deploy/prometheus/rules.yml` holds the alerts below, and the limits that they compare with. Load the file into your
Prometheus as it is; the chart for Kubernetes brings it as a PrometheusRule.

- **Jobs.** Give the scrape jobs names that begin with `callstream`: so the alerts know which targets are ours if a
  process never came up. A target of any other job counts as ours once it has shown our metrics.
- **Nodes.** If your Prometheus gives its targets the labels `node`, `cluster` or `namespace`, the alerts keep them.
  Otherwise `node` is the address of the process. An alert about no single node has `node: all`, and one about no single
  stage `stage: all`.
- **Severity.** `critical`: events are being lost, results stop, or somebody waits for the answer. `warning`: the
  morning is early enough.
- **Pages.** `runbook_url` is a path in this repository. Put the address where you keep the pages in front of it.
- **Limits.** They stand in the first group of the file. Change them there, and nowhere else.
- **Commands** on the pages need the settings of a process, as variables, and `CALLSTREAM_PROCESS_ADDRESSES`, which
  lists your processes. `INSTANCE` is the address of its /metrics,
  which is the label `instance` where that has a port; on Kubernetes the label is the name of a pod, to which `kubectl
  port-forward` gives you an address. `NODE` is the name of the node as it stands in events.

`deploy/grafana/dashboards/callstream.json` is the dashboard. Grafana imports it as it is, and its variables choose data
source, cluster, namespace, job, topic prefix and process.

| alert | severity | what it says |
| --- | --- | --- |
"""


def text() -> str:
    """The page's content."""
    rows = [
        f"| [{name}](runbooks/{name}.md) | {rule['labels']['severity']} | {_plain(rule['annotations']['summary'])} |"
        for name, rule in alerts().items()
    ]
    numbers = [f"| `{name}` | `{value}` |" for name, value in limits().items()]
    table = "\n| limit | value |\n| --- | --- |\n"
    return _HEAD + "\n".join(rows) + "\n" + table + "\n".join(numbers) + "\n"


def _plain(summary: str) -> str:
    """A summary with the names of labels where it shows their values."""
    named = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", summary)
    return re.sub(r"\{\{ \$value[^}]*\}\}", "*value*", named)


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
