"""What a PromQL query of deploy/ asks for, held to the metrics that there are."""

import re
from typing import Final

from app.telemetry import metrics
from app.telemetry.metric import MetricKind

CLIENT_METRICS: Final = (
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
)
"""Metrics that Prometheus itself, or its client library, adds to ours."""

EVERYWHERE: Final = frozenset({"job", "instance", "node", "cluster", "namespace", "le", ""})
"""Labels that a Prometheus gives its targets, and the one of buckets."""

_WORDS: Final = frozenset(
    {"by", "and", "or", "unless", "on", "ignoring", "without", "offset", "group_left", "group_right", "bool"}
)


def all_series() -> dict[str, set[str]]:
    """Every series that Prometheus can have of us, with its own labels."""
    series: dict[str, set[str]] = {name: set() for name in CLIENT_METRICS}
    for metric in metrics.ALL:
        labels = {label.name for label in metric.labels}
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is MetricKind.HISTOGRAM else ("",)
        series |= {metric.name + suffix: labels for suffix in suffixes}
    return series


def labels_in(query: str) -> set[str]:
    """Labels that a query matches or groups by; fails for a value that its label never has."""
    allowed: dict[str, set[str]] = {}
    for metric in metrics.ALL:
        for label in metric.labels:
            allowed.setdefault(label.name, set()).update(label.values)
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"", query)
    for label, values in matched:
        if label not in EVERYWHERE and not values.startswith("$"):
            assert set(values.split("|")) <= allowed[label], f"{label} never is {values}"
    lists = re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([^)]*)\)", query)
    return {label for label, _ in matched} | {name.strip() for names in lists for name in names.split(",")}


def series_in(query: str) -> set[str]:
    """All labels that the metrics of a query may have; fails if one of the metrics is not ours."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring|group_left|group_right) ?\([^)]*\)", " ", query)
    names = set(re.findall(r"\b[a-z_]\w*\b(?!\s*\()", re.sub(r"\boffset \w+", " ", bare))) - _WORDS
    series = all_series()
    assert names, "a query asks for something"
    assert names <= series.keys(), f"no such metric: {names - series.keys()}"
    return set().union(*(series[name] for name in names)) | EVERYWHERE
