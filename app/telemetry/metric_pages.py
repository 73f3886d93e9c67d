"""The /metrics pages of processes, each read once, so that its numbers are of one moment.

A process makes its page under one lock, so the numbers on it belong together. Operators give an address as host:port
or URL. A page that cannot be read is named; its numbers never count as zeros.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import metrics
from app.telemetry.metric import Metric, MetricKind
from app.telemetry.page_reading import NoPageError, read_page
from app.telemetry.process_addresses import NoPlace, ProcessPlace, places_of

_AT_ONCE: Final = 32
"""Pages that are read side by side: a fleet of hundreds in which some do not answer takes seconds."""

_STARTED: Final = "process_start_time_seconds"
"""Which prometheus_client gives of every process."""


@dataclass(frozen=True, slots=True)
class Page:
    """One process's page: values by sample name and label values in the order of the metric's labels.

    `started` is when the process began, Unix time; 0 if it does not say.
    """

    address: str
    process: str
    samples: Mapping[str, Mapping[tuple[str, ...], float]]
    started: float = 0.0

    def series(self, metric: Metric) -> Mapping[tuple[str, ...], float]:
        """All series of a metric; none if the process does not have it."""
        return self.samples.get(metric.name, {})

    def total(self, metric: Metric) -> int:
        """Sum over all labels; 0 if the process does not have the metric."""
        return int(sum(self.series(metric).values()))

    def value(self, metric: Metric, *labels: str) -> int:
        """One series; 0 if it does not exist."""
        return int(self.series(metric).get(labels, 0))


@dataclass(frozen=True, slots=True)
class UnreadPage:
    """An address whose page could not be read, and why."""

    address: str
    reason: str

    def __str__(self) -> str:
        return f"no process can be read at {self.address}: {self.reason}"


def read_processes(addresses: Iterable[str]) -> list[Page | UnreadPage]:
    """The page of each process behind the addresses, in their order; an address that is given twice is read once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_read, places_of(addresses)))


def parse_page(address: str, text: str) -> Page | UnreadPage:
    """The page in a text in Prometheus' format, unless it is not of a process of ours."""
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    started = 0.0
    try:
        for family in text_string_to_metric_families("\n".join(filter(_says_something, text.split("\n"))) + "\n"):
            for sample in family.samples:
                names = _LABELS.get(sample.name)
                if names is not None and sample.labels.keys() == set(names):
                    labels = tuple(sample.labels[name] for name in names)
                    samples.setdefault(sample.name, {})[labels] = sample.value
                elif sample.name == _STARTED:
                    started = sample.value
    except ValueError:
        return UnreadPage(address, "what it serves is not a metrics page")
    named = [labels[0] for labels, value in samples.get(metrics.PROCESS_INFO.name, {}).items() if value]
    if len(named) != 1:
        return UnreadPage(address, "what it serves are not metrics of a callstream process")
    return Page(address, named[0], samples, started)


def _says_something(line: str) -> bool:
    """Whether a line is of a metric of ours: the parser takes 60 µs a line, and a fleet has hundreds of pages.

    A counter that is 0 says what a missing one says. A line that is broken says something, so that it is refused.
    """
    name = line.partition("{")[0].partition(" ")[0]
    if name in _COUNTERS:
        return not line.endswith(" 0.0")
    return name in _LABELS or name == _STARTED or not _COMMENT_OR_NAME.match(line)


_LABELS: Final = {metric.name: [label.name for label in metric.labels] for metric in metrics.ALL}
_COUNTERS: Final = frozenset(metric.name for metric in metrics.ALL if metric.kind is MetricKind.COUNTER)
_COMMENT_OR_NAME: Final = re.compile(r"#|$|[a-zA-Z_:][a-zA-Z0-9_:]*[{ ]")


def _read(place: ProcessPlace | NoPlace) -> Page | UnreadPage:
    if isinstance(place, NoPlace):
        return UnreadPage(place.address, place.reason)
    try:
        return parse_page(place.address, read_page(place.url))
    except NoPageError as error:
        return UnreadPage(place.address, str(error))
