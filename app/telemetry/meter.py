"""The values behind the metrics table: one lock, so that a scrape is one moment and the books balance in it.

prometheus_client's own counters lock one by one, and a page read while a batch is booked shows half of it. Here an
update of several metrics is made inside `together()`, sources that keep their own numbers are read under the
same lock when a page is made, and a histogram takes a weight, because stages measure batches and not events.

Only metrics of the table can be counted. A label value outside its set is a programming error and raises. Word labels
instead count a malformed word, and any word beyond their limit, as `other`.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import accumulate, product
from threading import RLock
from typing import Final, assert_never

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.telemetry.metric import Label, Metric, MetricKind
from app.telemetry.metrics import ALL

OTHER: Final = "other"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)


class _Histogram:
    """Weighted observations by bucket; the sum is exact up to float addition."""

    __slots__ = ("buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0


class Meter(Collector):
    """All metric values of one process. Every method may be called from any thread."""

    def __init__(self, table: tuple[Metric, ...] = ALL) -> None:
        self._table = table
        self._lock = RLock()
        self._values: dict[Metric, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[Metric, _Histogram] = {}
        self._words: dict[Label, set[str]] = {}
        self._sources: list[Callable[[], None]] = []
        for metric in table:
            if metric.kind is MetricKind.HISTOGRAM:
                self._histograms[metric] = _Histogram(metric.bounds)
            else:
                # Series exist from the start where every label is closed, so that a first increase is seen as one.
                closed = product(*(map(str, label.values) for label in metric.labels))
                self._values[metric] = dict.fromkeys(closed if metric.is_zero_at_start else (), 0)

    def together(self) -> AbstractContextManager[bool]:
        """Updates made inside appear in one scrape or in none."""
        return self._lock

    def add(self, counter: Metric, amount: float = 1, *labels: str) -> None:
        """Grow a counter by `amount` >= 0. Raises ValueError for a negative amount or a label outside its set."""
        if amount < 0:
            raise ValueError(f"{counter.name} cannot fall")
        assert counter.kind is MetricKind.COUNTER
        with self._lock:
            series = self._values[counter]
            key = self._checked(counter, labels)
            series[key] = series.get(key, 0) + amount

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge, or a counter whose value a source keeps itself.

        Raises ValueError for a label outside its set.
        """
        with self._lock:
            self._values[metric][self._checked(metric, labels)] = value

    def observe(self, histogram: Metric, value: float, weight: int = 1) -> None:
        """Record `weight` observations of `value`."""
        with self._lock:
            kept = self._histograms[histogram]
            kept.buckets[bisect_left(histogram.bounds, value)] += weight
            kept.total += value * weight

    def forget(self, gauge: Metric, *labels: str) -> None:
        """Remove one series of a gauge: a partition that this process no longer owns."""
        with self._lock:
            self._values[gauge].pop(labels, None)

    def replace(self, gauge: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """Have a gauge hold these series, by label values, and no others. Raises ValueError as `set` does."""
        with self._lock:
            self._values[gauge] = {self._checked(gauge, labels): value for labels, value in values.items()}

    def read(self, metric: Metric, *labels: str) -> float:
        """Current value of one series, after reading the sources; 0 where it does not exist."""
        with self._lock:
            self._read_sources()
            return self._values[metric].get(labels, 0)

    def total(self, metric: Metric) -> float:
        """Sum over all labels, after reading the sources."""
        with self._lock:
            self._read_sources()
            return sum(self._values[metric].values())

    def add_source(self, source: Callable[[], None]) -> None:
        """Have `source` called, under the lock, before every reading; it calls `set`. It must not block."""
        with self._lock:
            self._sources.append(source)

    def collect(self) -> Iterable[Family]:
        """One consistent page, as prometheus_client collects it."""
        with self._lock:
            self._read_sources()
            return [self._family(metric) for metric in self._table]

    def _read_sources(self) -> None:
        for source in self._sources:
            source()

    def _checked(self, metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels in self._values[metric]:
            return labels
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has {len(metric.labels)} labels, not {len(labels)}")
        return tuple(self._admitted(label, value) for label, value in zip(metric.labels, labels, strict=True))

    def _admitted(self, label: Label, value: str) -> str:
        if label.values:
            if value not in label.values:
                raise ValueError(f"{value!r} is not a value of the label {label.name}")
            return value
        if not _WORD.fullmatch(value):
            return OTHER
        seen = self._words.setdefault(label, set())
        if value not in seen:
            if len(seen) >= label.limit:
                return OTHER
            seen.add(value)
        return value

    def _family(self, metric: Metric) -> Family:
        names = [label.name for label in metric.labels]
        text = f"{metric.help} Unit: {metric.unit}. Bad: {metric.bad}"
        family: Family
        match metric.kind:
            case MetricKind.HISTOGRAM:
                return _histogram_family(metric, self._histograms[metric], text)
            case MetricKind.COUNTER:
                family = CounterMetricFamily(metric.name, text, labels=names)
            case MetricKind.GAUGE:
                family = GaugeMetricFamily(metric.name, text, labels=names)
            case _:
                assert_never(metric.kind)
        for labels, value in self._values[metric].items():
            family.add_sample(metric.name, dict(zip(names, labels, strict=True)), value)
        return family


def _histogram_family(metric: Metric, kept: _Histogram, text: str) -> Family:
    bounds = [*(repr(float(bound)) for bound in metric.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(kept.buckets), strict=True))
    return HistogramMetricFamily(metric.name, text, buckets=buckets, sum_value=kept.total)
