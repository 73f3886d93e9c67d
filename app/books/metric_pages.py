"""The /metrics page of a process, read once, so that its numbers are of one moment.

A process makes its page under one lock, so the numbers on it belong together. Operators give an address as host:port
or URL. A page that cannot be read is an error; its numbers never count as zeros.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError

from app.operators.errors import OperatorError
from app.telemetry import metrics
from app.telemetry.metric import Metric

_TIMEOUT: Final = urllib3.Timeout(connect=2, read=5)
_MAX_PAGE_BYTES: Final = 8 << 20
"""Our pages have some hundred kilobytes; a longer one is not ours."""


class PageUnreadableError(OperatorError):
    """The address does not serve a metrics page of ours. The message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """One process's page: values by sample name and label values in the order of the metric's labels."""

    address: str
    process: str
    samples: Mapping[str, Mapping[tuple[str, ...], float]]

    def total(self, metric: Metric) -> int:
        """Sum over all labels; 0 if the process does not have the metric."""
        return int(sum(self.samples.get(metric.name, {}).values()))

    def value(self, metric: Metric, *labels: str) -> int:
        """One series; 0 if it does not exist."""
        return int(self.samples.get(metric.name, {}).get(labels, 0))


def read_page(address: str) -> Page:
    """Read a process's page. Raises PageUnreadableError."""
    url = address if "://" in address else f"http://{address}"
    if not url.rstrip("/").endswith("/metrics"):
        url = url.rstrip("/") + "/metrics"
    try:
        with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as http:
            answer = http.request("GET", url, preload_content=False)
            text = answer.read(_MAX_PAGE_BYTES).decode("utf-8", "replace")
            answer.release_conn()
    except HTTPError as error:
        raise PageUnreadableError(f"no process answers at {url}: {type(error).__name__}") from None
    if answer.status != 200:
        raise PageUnreadableError(f"{url} answers with HTTP {answer.status}")
    return parse_page(address, text)


def parse_page(address: str, text: str) -> Page:
    """Parse a page in Prometheus' text format. Raises PageUnreadableError if it is not of a process of ours."""
    order = {metric.name: [label.name for label in metric.labels] for metric in metrics.ALL}
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in order and sample.labels.keys() == set(order[sample.name]):
                    labels = tuple(sample.labels[name] for name in order[sample.name])
                    samples.setdefault(sample.name, {})[labels] = sample.value
    except ValueError:
        raise PageUnreadableError(f"{address} serves no metrics page") from None
    named = [labels[0] for labels, value in samples.get(metrics.PROCESS_INFO.name, {}).items() if value]
    if len(named) != 1:
        raise PageUnreadableError(f"{address} serves no metrics of a callstream process")
    return Page(address, named[0], samples)


def read_pages(addresses: Iterable[str]) -> list[Page]:
    """All pages; an address that is given twice is read once. Raises PageUnreadableError."""
    return [read_page(address) for address in dict.fromkeys(addresses)]
